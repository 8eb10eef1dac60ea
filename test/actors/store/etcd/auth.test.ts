/** What callers may do at etcd's API, in the words of etcd; one test for each of its advisories about rights. */
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AuthenticateRequest,
  AuthenticateResponse,
  AuthStatusResponse,
  NameRequest,
  RoleGrantRequest,
  UserAddRequest,
  UserPasswordRequest,
  UserRoleRequest,
} from '../../../../actors/store/etcd/auth-messages.js';
import { guarded } from '../../../../actors/store/etcd/guard.js';
import {
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
} from '../../../../actors/store/etcd/kv-messages.js';
import type { Schema } from '../../../../actors/store/etcd/message.js';
import { type Call, type UnaryMethod, unary } from '../../../../actors/store/etcd/method.js';
import {
  Empty,
  HeaderOnly,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRequest,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  WatchRequest,
  WatchResponse,
} from '../../../../actors/store/etcd/rpc-messages.js';
import { errors } from '../../../../actors/store/etcd/status.js';
import { newTokenKey, signToken, verifyToken } from '../../../../actors/store/etcd/tokens.js';
import { createAuthority } from '../../../../deploy/certificates.js';
import { GrpcClient } from '../../../harness/grpc-client.js';
import { startStoreAlone, type StoreAlone } from '../../../harness/store-alone.js';

const userEmpty = '3 etcdserver: user name is empty';
const denied = '7 etcdserver: permission denied';
const badToken = '16 etcdserver: invalid auth token';
const oldRevision = '3 etcdserver: revision of auth store is old';
const nobody = {};
const value = (text: string) => Buffer.from(text);

type Headers = Readonly<Record<string, string>>;

class Api {
  readonly client: GrpcClient;

  constructor(port: number, tls?: { readonly ca: string; readonly cert: string; readonly key: string }) {
    this.client = new GrpcClient(`${tls ? 'https' : 'http'}://127.0.0.1:${port}`, tls);
  }

  /** `code text`, or what was answered. */
  async call<Q extends object, R extends object>(
    path: string,
    schemas: readonly [Schema<Q>, Schema<R>],
    request: Partial<Q>,
    as: Headers,
  ): Promise<R | string> {
    const call = this.client.stream(`/etcdserverpb.${path}`, schemas, as);
    call.send(request);
    call.finish();
    const { code, message } = await call.status;
    return code === 0 ? (call.received[0] as R) : `${code} ${message}`;
  }

  async outcome<Q extends object>(
    path: string,
    schema: Schema<Q>,
    request: Partial<Q>,
    as: Headers,
  ): Promise<string> {
    const answer = await this.call(path, [schema, HeaderOnly], request, as);
    return typeof answer === 'string' ? answer : 'done';
  }

  async login(name: string, password: string): Promise<Headers> {
    const schemas = [AuthenticateRequest, AuthenticateResponse] as const;
    const answer = await this.call('Auth/Authenticate', schemas, { name, password }, nobody);
    assert.notEqual(typeof answer, 'string', String(answer));
    return { token: (answer as { token: string }).token };
  }

  put(key: string, as: Headers, more: object = {}): Promise<string> {
    return this.outcome('KV/Put', PutRequest, { key, value: value('1'), ...more }, as);
  }

  range(key: string, as: Headers, more: object = {}): Promise<string> {
    return this.outcome('KV/Range', RangeRequest, { key, ...more }, as);
  }

  async txn(success: readonly object[], as: Headers, more: object = {}): Promise<string> {
    const request = { success: success as never, ...more };
    const answer = await this.call('KV/Txn', [TxnRequest, TxnResponse], request, as);
    return typeof answer === 'string' ? answer : 'done';
  }
}

describe("etcd's API asks for rights", function () {
  this.timeout(120_000);
  let store: StoreAlone;
  let api: Api;
  let root: Headers;
  /** May read and write `mine`, read `r/` to `r0`, write `w`. */
  let alice: Headers;

  before(async () => {
    store = await startStoreAlone({ members: 1 });
    api = new Api(store.ports[0]!);
    const add = (name: string) =>
      api.outcome('Auth/UserAdd', UserAddRequest, { name, password: `${name}-secret` }, nobody);
    const grant = (user: string, role: string) =>
      api.outcome('Auth/UserGrantRole', UserRoleRequest, { user, role }, nobody);
    const permit = (access: number, key: string, rangeEnd = '') =>
      api.outcome(
        'Auth/RoleGrantPermission',
        RoleGrantRequest,
        { name: 'some', permission: { access, key, rangeEnd } },
        nobody,
      );
    for (const step of [
      () => api.put('secret', nobody),
      () => add('root'),
      () => add('alice'),
      () => api.outcome('Auth/RoleAdd', NameRequest, { name: 'some' }, nobody),
      () => permit(2, 'mine'),
      () => permit(0, 'r/', 'r0'),
      () => permit(1, 'w'),
      () => grant('alice', 'some'),
      () => grant('root', 'root'),
      () => api.outcome('Auth/AuthEnable', Empty, {}, nobody),
    ]) {
      assert.equal(await step(), 'done');
    }
    root = await api.login('root', 'root-secret');
    alice = await api.login('alice', 'alice-secret');
  });
  after(async () => {
    api?.client.close();
    await store?.remove();
  });

  it('of nobody at every method but the two that need no name (CVE-2026-33413)', async () => {
    const closed = [
      ...['Range', 'Put', 'DeleteRange'].map((name) => `KV/${name}`),
      'KV/Compact',
      ...['LeaseGrant', 'LeaseRevoke', 'LeaseTimeToLive', 'LeaseLeases'].map((name) => `Lease/${name}`),
      ...['MemberList', 'MemberAdd', 'MemberRemove', 'MemberUpdate', 'MemberPromote'].map(
        (name) => `Cluster/${name}`,
      ),
      ...['Alarm', 'Status', 'Defragment', 'Hash', 'HashKV', 'Snapshot', 'MoveLeader', 'Downgrade'].map(
        (name) => `Maintenance/${name}`,
      ),
      ...[
        'AuthEnable',
        'AuthDisable',
        'UserAdd',
        'UserGet',
        'UserList',
        'UserDelete',
        'UserChangePassword',
      ].map((name) => `Auth/${name}`),
      ...['UserGrantRole', 'UserRevokeRole', 'RoleAdd', 'RoleGet', 'RoleList', 'RoleDelete'].map(
        (name) => `Auth/${name}`,
      ),
      ...['RoleGrantPermission', 'RoleRevokePermission'].map((name) => `Auth/${name}`),
    ];
    const open: string[] = [];
    for (const path of closed) {
      // A field that all of them have or skip: a key, a name, an id, an action.
      const request = path.startsWith('KV/') && path !== 'KV/Compact' ? { key: 'a' } : {};
      const schema = path.startsWith('KV/') && path !== 'KV/Compact' ? RangeRequest : Empty;
      const outcome = await api.outcome(path, schema as Schema<object>, request, nobody);
      if (outcome !== userEmpty) open.push(`${path}: ${outcome}`);
    }
    const schemas = [Empty, AuthStatusResponse] as const;
    const status = await api.call('Auth/AuthStatus', schemas, {}, nobody);
    assert.equal((status as { enabled: boolean }).enabled, true);
    assert.deepEqual(open, []);
  });

  it('of root alone where one user could harm the others', async () => {
    for (const path of [
      'KV/Compact',
      'Maintenance/Defragment',
      'Maintenance/Hash',
      'Maintenance/HashKV',
      'Maintenance/MoveLeader',
      'Maintenance/Snapshot',
      'Maintenance/Downgrade',
      'Cluster/MemberAdd',
      'Cluster/MemberRemove',
      'Cluster/MemberPromote',
      'Auth/UserList',
      'Auth/RoleList',
      'Auth/AuthDisable',
    ]) {
      assert.equal(await api.outcome(path, Empty, {}, alice), denied, path);
    }
    for (const path of [
      'Maintenance/Status',
      'Maintenance/Alarm',
      'Cluster/MemberList',
      'Lease/LeaseLeases',
    ]) {
      assert.equal(await api.outcome(path, Empty, {}, alice), 'done', path);
    }
    assert.equal(await api.outcome('Maintenance/HashKV', Empty, {}, root), 'done');
  });

  it('of a method that nobody thought of: root’s', async () => {
    const asked: unknown[] = [];
    const refuse = async (need: unknown) => {
      asked.push(need);
      throw errors.noLeader();
    };
    const method = unary(Empty, HeaderOnly, () => assert.fail('it was served'));
    const [closed] = [...guarded(new Map([['/etcdserverpb.KV/Brandnew', method]])).values()];
    const call = { stores: () => ({ client: { authorize: refuse } }), timeoutMs: () => 1 } as unknown as Call;
    await assert.rejects((closed as UnaryMethod).serve({}, call), /no leader/);
    assert.deepEqual(asked, [{ type: 'admin' }]);
  });

  it('of whoever reads and writes keys', async () => {
    assert.equal(await api.put('mine', alice), 'done');
    assert.equal(await api.put('secret', alice), denied);
    assert.equal(await api.put('r/1', alice), denied);
    assert.equal(await api.range('r/', alice, { rangeEnd: 'r0' }), 'done');
    assert.equal(await api.range('r/', alice, { rangeEnd: 'r0', serializable: true }), 'done');
    assert.equal(await api.range('r/', alice, { rangeEnd: '\0' }), denied);
    assert.equal(await api.range('secret', alice), denied);
    assert.equal(await api.range('secret', alice, { serializable: true, countOnly: true }), denied);
    assert.equal(await api.put('w', alice), 'done');
    assert.equal(await api.put('w', alice, { prevKv: true }), denied);
    assert.equal(await api.range('w', alice), denied);
    assert.equal(await api.put('secret', root), 'done');
  });

  it('of all of a transaction, however deep (CVE-2026-33343), and of what a put returns (CVE-2026-44283)', async () => {
    const read = { range: { ...RangeRequest.decode(Buffer.alloc(0)), key: 'secret' } };
    const write = { put: { ...PutRequest.decode(Buffer.alloc(0)), key: 'secret' } };
    const peek = { put: { ...PutRequest.decode(Buffer.alloc(0)), key: 'w', prevKv: true } };
    const nested = (op: object) => ({ txn: { compare: [], success: [op], failure: [] } });
    const otherwise = (op: object) => ({ txn: { compare: [], success: [], failure: [op] } });
    for (const op of [read, write, peek]) {
      for (const request of [op, nested(op), nested(nested(op)), otherwise(op), nested(otherwise(op))]) {
        assert.equal(await api.txn([request], alice), denied, JSON.stringify(request));
        assert.equal(await api.txn([], alice, { failure: [request] }), denied, JSON.stringify(request));
        assert.equal(await api.txn([request], nobody), userEmpty, JSON.stringify(request));
      }
    }
    assert.equal(
      await api.txn([], alice, { compare: [{ key: 'secret', version: 1, target: 0, result: 0 }] }),
      denied,
    );
    const mine = { put: { ...PutRequest.decode(Buffer.alloc(0)), key: 'mine', prevKv: true } };
    assert.equal(await api.txn([nested(mine)], alice), 'done');
  });

  it('of whoever creates a watcher, from a key on too (GHSA-xg4h-6gfc-h4m8)', async () => {
    const create = async (as: Headers, key: string, rangeEnd = '') => {
      const call = api.client.stream('/etcdserverpb.Watch/Watch', [WatchRequest, WatchResponse] as const, as);
      call.send({ create: { key, rangeEnd } });
      const [answer] = await call.until('an answer', (received) => received.length > 0);
      call.cancel();
      return answer?.canceled === true ? `${answer.watchId} ${answer.cancelReason}` : 'done';
    };
    const refused = '-1 rpc error: code = PermissionDenied desc = etcdserver: permission denied';
    assert.equal(await create(alice, 'mine'), 'done');
    assert.equal(await create(alice, 'r/', 'r0'), 'done');
    assert.equal(await create(alice, 'mine', '\0'), refused);
    assert.equal(await create(alice, '', '\0'), refused);
    assert.equal(await create(alice, ''), refused);
    assert.equal(await create(alice, 'r/', 'r1'), refused);
    assert.equal(await create(alice, 'w'), refused);
    assert.equal(
      await create(nobody, 'mine'),
      '-1 rpc error: code = InvalidArgument desc = etcdserver: user name is empty',
    );
    assert.equal(
      await create({ token: 'x' }, 'mine'),
      '-1 rpc error: code = Unauthenticated desc = etcdserver: invalid auth token',
    );
    assert.equal(await create(root, '', '\0'), 'done');
  });

  it('of whoever uses a lease: its keys are his, or hidden from him (GHSA-3p4g-rcw5-8298)', async () => {
    const schemas = [LeaseGrantRequest, LeaseGrantResponse] as const;
    const grant = async (id: number) => {
      const granted = await api.call('Lease/LeaseGrant', schemas, { id, ttl: 600 }, root);
      assert.notEqual(typeof granted, 'string', String(granted));
    };
    await grant(71);
    await grant(72);
    assert.equal(await api.put('secret', root, { lease: 71 }), 'done');
    const ttl = async (id: number, keys: boolean, as: Headers) => {
      const both = [LeaseTimeToLiveRequest, LeaseTimeToLiveResponse] as const;
      const answer = await api.call('Lease/LeaseTimeToLive', both, { id, keys }, as);
      return typeof answer === 'string' ? answer : answer.keys.join();
    };
    const keepAlive = (id: number, as: Headers) =>
      api.call('Lease/LeaseKeepAlive', [LeaseRequest, LeaseKeepAliveResponse], { id }, as);
    assert.equal(await ttl(71, true, alice), denied);
    assert.equal(await ttl(71, false, alice), '');
    assert.equal(await ttl(71, true, root), 'secret');
    assert.equal(await api.put('mine', alice, { lease: 71 }), denied);
    assert.equal(
      await api.txn([{ put: { ...PutRequest.decode(Buffer.alloc(0)), key: 'mine', lease: 71 } }], alice),
      denied,
    );
    assert.equal(await api.outcome('Lease/LeaseRevoke', LeaseRequest, { id: 71 }, alice), denied);
    assert.equal(await keepAlive(71, alice), denied);
    assert.equal(await keepAlive(72, nobody), userEmpty);
    assert.equal(await keepAlive(72, { token: 'x' }), badToken);
    assert.equal(typeof (await keepAlive(72, alice)), 'object');
    assert.equal(await api.call('Lease/LeaseLeases', [Empty, LeaseLeasesResponse], {}, alice), denied);
    assert.equal(await api.put('mine', alice, { lease: 72 }), 'done');
    assert.equal(await api.outcome('Lease/LeaseRevoke', LeaseRequest, { id: 72 }, alice), 'done');
    assert.equal(await api.outcome('Lease/LeaseRevoke', LeaseRequest, { id: 71 }, root), 'done');
  });

  it('of locks and elections as of their keys', async () => {
    const lock = async (service: string, as: Headers, request: object, schema: Schema<object>) => {
      const call = api.client.stream(service, [schema, HeaderOnly], as);
      call.send(request);
      call.finish();
      const { code, message } = await call.status;
      return code === 0 ? 'done' : `${code} ${message}`;
    };
    const named = { name: 'secret' };
    for (const service of [
      '/v3lockpb.Lock/Lock',
      '/v3electionpb.Election/Campaign',
      '/v3electionpb.Election/Leader',
      '/v3electionpb.Election/Observe',
    ]) {
      assert.equal(await lock(service, alice, named, NameRequest as Schema<object>), denied, service);
      assert.equal(await lock(service, nobody, named, NameRequest as Schema<object>), userEmpty, service);
    }
    assert.equal(await lock('/v3lockpb.Lock/Unlock', alice, named, NameRequest as Schema<object>), denied);
  });

  it('with tokens that were signed here, for no longer than they say', async () => {
    const claims = { user: 'root', authRevision: 1_000, expiresAtMs: Date.now() + 60_000 };
    const forged = await signToken(claims, newTokenKey());
    const [, payload] = forged.split('.');
    const unsigned = `${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${payload}.`;
    for (const token of ['', 'x', 'a.b.c', forged, unsigned]) {
      assert.equal(await api.range('secret', { token }), badToken, token);
      assert.equal(await api.outcome('Auth/UserList', Empty, {}, { token }), badToken, token);
    }
    assert.equal(await api.range('secret', { authorization: `Bearer ${root['token']}` }), 'done');
    const key = newTokenKey();
    const token = await signToken(claims, key);
    assert.equal((await verifyToken(token, key, claims.expiresAtMs - 2_000))?.user, 'root');
    assert.equal(await verifyToken(token, key, claims.expiresAtMs + 1), undefined);
    assert.equal(await verifyToken(unsigned, key, 0), undefined);
  });

  it('with the password of today, which is kept nowhere (CVE-2021-28235)', async () => {
    const schemas = [AuthenticateRequest, AuthenticateResponse] as const;
    const login = (name: string, password: string) =>
      api.call('Auth/Authenticate', schemas, { name, password }, nobody);
    const failed = '3 etcdserver: authentication failed, invalid user ID or password';
    assert.equal(await login('alice', 'wrong'), failed);
    assert.equal(await login('mallory', 'wrong'), failed);
    assert.equal(await login('', ''), failed);
    const change = { name: 'alice', password: 'another-secret' };
    assert.equal(await api.outcome('Auth/UserChangePassword', UserPasswordRequest, change, root), 'done');
    assert.equal(await login('alice', 'alice-secret'), failed);
    assert.equal(await api.range('mine', alice), oldRevision);
    assert.equal(await api.outcome('Maintenance/Status', Empty, {}, alice), badToken);
    alice = await api.login('alice', 'another-secret');
    assert.equal(await api.range('mine', alice), 'done');
    root = await api.login('root', 'root-secret');
    const found = spawnSync('grep', ['-rlaE', '(root|alice|another)-secret', store.dataDir]);
    assert.equal(found.stdout.toString(), '');
    assert.equal(spawnSync('grep', ['-rlaE', '\\$2b\\$10\\$', store.dataDir]).status, 0);
    const tooLong = { name: 'alice', password: 'a'.repeat(73) };
    const refused = '2 bcrypt: password length exceeds 72 bytes';
    assert.equal(await api.outcome('Auth/UserChangePassword', UserPasswordRequest, tooLong, root), refused);
  });

  it('from when it is enabled until it is disabled; tokens of before are worth nothing after', async () => {
    const change = (path: string, as: Headers) => api.outcome(`Auth/${path}`, Empty, {}, as);
    assert.equal(await change('AuthDisable', root), 'done');
    assert.equal(await api.range('secret', nobody), 'done');
    assert.equal(await api.range('secret', { token: 'x' }), 'done');
    const schemas = [AuthenticateRequest, AuthenticateResponse] as const;
    const login = api.call('Auth/Authenticate', schemas, { name: 'root', password: 'root-secret' }, nobody);
    assert.equal(await login, '9 etcdserver: authentication is not enabled');
    assert.equal(await change('AuthEnable', nobody), 'done');
    assert.equal(await api.range('secret', nobody), userEmpty);
    assert.equal(await api.range('secret', root), oldRevision);
    assert.equal(await change('UserList', root), badToken);
    root = await api.login('root', 'root-secret');
    assert.equal(await change('UserList', root), 'done');
  });

  it('after a restart, too', async () => {
    api.client.close();
    await store.stop();
    store = await startStoreAlone({ members: 1, dataDir: store.dataDir, ports: store.ports });
    api = new Api(store.ports[0]!);
    assert.equal(await api.range('secret', nobody), userEmpty);
    assert.equal(await api.range('secret', root), 'done');
    alice = await api.login('alice', 'another-secret');
    assert.equal(await api.range('secret', alice), denied);
    const both = [PutRequest, PutResponse] as const;
    assert.equal(typeof (await api.call('KV/Put', both, { key: 'mine' }, alice)), 'object');
    assert.equal(
      typeof (await api.call('KV/Range', [RangeRequest, RangeResponse], { key: 'mine' }, alice)),
      'object',
    );
  });
});

describe("etcd's API takes a certificate for a user", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), 'kabuki-store-names-'));
  let store: StoreAlone | undefined;
  const apis: Api[] = [];
  afterEach(async () => {
    for (const api of apis.splice(0)) api.client.close();
    await store?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  it('unless the call came through a gateway, whose certificate it is then (CVE-2018-16886), or a token says who it is', async () => {
    const authority = await createAuthority('store-ca');
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const server = await authority.issueServer('store', ['127.0.0.1']);
    const certFile = file('server.crt', server.cert);
    const keyFile = file('server.key', server.key);
    const ca = file('ca.crt', authority.cert);
    const args = [`--cert-file=${certFile}`, `--key-file=${keyFile}`, `--trusted-ca-file=${ca}`];
    store = await startStoreAlone({ members: 1, args: [...args, '--client-cert-auth'] });
    const apiOf = async (name: string) => {
      const { cert, key } = await authority.issueClient(name, []);
      const api = new Api(store!.ports[0]!, { ca: authority.cert, cert, key });
      apis.push(api);
      return api;
    };
    const root = await apiOf('root');
    const user = (name: string, password: string) =>
      root.outcome('Auth/UserAdd', UserAddRequest, { name, password }, nobody);
    assert.equal(await user('root', 'root-secret'), 'done');
    assert.equal(await user('bob', 'bob-secret'), 'done');
    const grant = { user: 'root', role: 'root' };
    assert.equal(await root.outcome('Auth/UserGrantRole', UserRoleRequest, grant, nobody), 'done');
    assert.equal(await root.outcome('Auth/AuthEnable', Empty, {}, nobody), 'done');
    assert.equal(await root.put('a', nobody), 'done');
    assert.equal(await root.put('a', { 'grpcgateway-accept': 'application/json' }), userEmpty);
    assert.equal(await root.put('a', await root.login('bob', 'bob-secret')), denied);
    assert.equal(await root.put('a', { token: 'x' }), badToken);
    const stranger = await apiOf('mallory');
    assert.equal(await stranger.put('a', nobody), denied);
    assert.equal(await stranger.outcome('Lease/LeaseGrant', LeaseGrantRequest, { ttl: 10 }, nobody), denied);
    assert.equal(await stranger.put('a', await stranger.login('root', 'root-secret')), 'done');
    await store.stop();
    // Where names do not count, a certificate opens the connection and says nothing.
    store = await startStoreAlone({ members: 1, args, dataDir: store.dataDir, ports: store.ports });
    assert.equal(await (await apiOf('root')).put('a', nobody), userEmpty);
  });
});
