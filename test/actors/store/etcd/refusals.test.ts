/**
 * Every error of etcd's list (api/v3rpc/rpctypes/error.go) that one member can give, by gRPC, with its code and to the letter:
 * clients match on them. What takes more members: write-timeouts.test.ts, stop.test.ts, test/conformance/etcdctl/members.test.ts;
 * rights that are enforced: auth.test.ts. What there is not: docs/decisions/0007.
 */
import { strict as assert } from 'node:assert';
import { RaftError } from 'raft-consensus';
import {
  AuthenticateRequest,
  AuthenticateResponse,
  NameRequest,
  RoleGrantRequest,
  RoleRevokeRequest,
  UserAddRequest,
  UserRoleRequest,
} from '../../../../actors/store/etcd/auth-messages.js';
import {
  MemberAddRequest,
  MemberAddResponse,
  MemberIdRequest,
  MembersResponse,
  MemberUpdateRequest,
} from '../../../../actors/store/etcd/cluster-messages.js';
import { DeleteRangeRequest, PutRequest } from '../../../../actors/store/etcd/kv-messages.js';
import type { Schema } from '../../../../actors/store/etcd/message.js';
import { Empty, HeaderOnly, MoveLeaderRequest } from '../../../../actors/store/etcd/rpc-messages.js';
import { code, toGrpcError } from '../../../../actors/store/etcd/status.js';
import { StoreError } from '../../../../actors/store/index.js';
import { rpc } from '../../../harness/etcd-calls.js';
import { GrpcClient, type GrpcFailure } from '../../../harness/grpc-client.js';
import { startStoreAlone, type StoreAlone } from '../../../harness/store-alone.js';

const value = (text: string) => Buffer.from(text);
const blankPut = PutRequest.decode(Buffer.alloc(0));
const many = 129;

describe("etcd's API refuses, with the code and the words of etcd,", function () {
  this.timeout(60_000);
  let store: StoreAlone;
  let client: GrpcClient;
  before(async () => {
    store = await startStoreAlone({ members: 1 });
    client = new GrpcClient(`http://127.0.0.1:${store.ports[0]}`);
  });
  after(async () => {
    client?.close();
    await store?.remove();
  });

  const call = <Q extends object>(path: string, schema: Schema<Q>, request: Partial<Q>) =>
    client.unary(`/etcdserverpb.${path}`, [schema, HeaderOnly], request);
  const put = (request: Partial<PutRequest>) => client.unary(...rpc.put, request);
  const failure = async (promise: Promise<unknown>) => {
    const error = await promise.then(
      () => assert.fail('it went well'),
      (e: GrpcFailure) => e,
    );
    return [error.code, error.message];
  };
  type Case = readonly [what: string, act: () => Promise<unknown>, wanted: number, text: string];
  const refused = (cases: readonly Case[]) => {
    for (const [what, act, wanted, text] of cases) {
      it(what, async () => assert.deepEqual(await failure(act()), [wanted, `etcdserver: ${text}`]));
    }
  };
  const { invalidArgument, notFound, outOfRange, failedPrecondition } = code;

  describe('of keys', () => {
    const noKey = 'key is not provided';
    refused([
      ['a put without a key', () => put({ value: value('v') }), invalidArgument, noKey],
      ['a read without a key', () => client.unary(...rpc.range, {}), invalidArgument, noKey],
      ['a delete without a key', () => client.unary(...rpc.deleteRange, {}), invalidArgument, noKey],
      [
        'an order that there is not',
        () => client.unary(...rpc.range, { key: 'a', sortOrder: 7 }),
        invalidArgument,
        'invalid sort option',
      ],
      [
        'a value where none is wanted',
        () => put({ key: 'a', value: value('v'), ignoreValue: true }),
        invalidArgument,
        'value is provided',
      ],
      [
        'a lease where none is wanted',
        () => put({ key: 'a', lease: 1, ignoreLease: true }),
        invalidArgument,
        'lease is provided',
      ],
      [
        'the value of before, of a key that there is not',
        () => put({ key: 'none', ignoreValue: true }),
        invalidArgument,
        'key not found',
      ],
      [
        'a read of the future',
        () => client.unary(...rpc.range, { key: 'a', revision: 1_000_000 }),
        outOfRange,
        'mvcc: required revision is a future revision',
      ],
      [
        'a compaction of the future',
        () => client.unary(...rpc.compact, { revision: 1_000_000 }),
        outOfRange,
        'mvcc: required revision is a future revision',
      ],
      [
        'a read of what was compacted',
        async () => {
          for (const text of ['1', '2', '3']) await put({ key: 'compacted', value: value(text) });
          const revision = (await client.unary(...rpc.range, { key: 'x' })).header?.revision ?? 0;
          await client.unary(...rpc.compact, { revision });
          await client.unary(...rpc.range, { key: 'a', revision: revision - 1 });
        },
        outOfRange,
        'mvcc: required revision has been compacted',
      ],
      [
        'a request that is too large',
        () => put({ key: 'a', value: value('x'.repeat(1700 * 1024)) }),
        invalidArgument,
        'request is too large',
      ],
      [
        'a client whose version is no text',
        () => client.unary(...rpc.put, { key: 'a' }, { 'client-api-version': '3.6.\xff' }),
        invalidArgument,
        'invalid client api version',
      ],
    ]);
  });

  describe('of transactions', () => {
    refused([
      [
        'more operations than allowed',
        () => client.unary(...rpc.txn, { success: Array.from({ length: many }, (_, i) => put0(`${i}`)) }),
        invalidArgument,
        'too many operations in txn request',
      ],
      [
        'an operation that is none',
        () => client.unary(...rpc.txn, { success: [{}] }),
        invalidArgument,
        'key not found',
      ],
      [
        'a key twice',
        () => client.unary(...rpc.txn, { success: [put0('a'), put0('a')] }),
        invalidArgument,
        'duplicate key given in txn request',
      ],
      [
        'a key that is deleted, too',
        () => client.unary(...rpc.txn, { success: [put0('a'), { deleteRange: blankDelete('a') }] }),
        invalidArgument,
        'duplicate key given in txn request',
      ],
    ]);
  });

  describe('of leases', () => {
    const noLease = 'requested lease not found';
    refused([
      ['a put under one that there is not', () => put({ key: 'a', lease: 12345 }), notFound, noLease],
      [
        'the end of one that there is not',
        () => client.unary(...rpc.leaseRevoke, { id: 12345 }),
        notFound,
        noLease,
      ],
      [
        'an id that is taken',
        async () => {
          await client.unary(...rpc.leaseGrant, { id: 77, ttl: 60 });
          await client.unary(...rpc.leaseGrant, { id: 77, ttl: 60 });
        },
        failedPrecondition,
        'lease already exists',
      ],
      [
        'a time that is too long',
        () => client.unary(...rpc.leaseGrant, { ttl: 9_000_000_001 }),
        outOfRange,
        'too large lease TTL',
      ],
    ]);
  });

  describe('while an alarm is raised,', () => {
    const alarm = async (kind: number, act: () => Promise<unknown>) => {
      await client.unary(...rpc.alarm, { action: 1, alarm: kind });
      try {
        await act();
      } finally {
        await client.unary(...rpc.alarm, { action: 2, alarm: kind });
      }
    };
    refused([
      [
        'what takes room',
        () => alarm(1, () => put({ key: 'a' })),
        code.resourceExhausted,
        'mvcc: database space exceeded',
      ],
      [
        'a lease, which takes room, too',
        () => alarm(1, () => client.unary(...rpc.leaseGrant, { ttl: 60 })),
        code.resourceExhausted,
        'mvcc: database space exceeded',
      ],
      ['everything', () => alarm(2, () => put({ key: 'a' })), code.dataLoss, 'corrupt cluster'],
    ]);
  });

  describe('of members', () => {
    const add = (request: Partial<{ peerUrls: readonly string[]; isLearner: boolean }>) =>
      client.unary(
        '/etcdserverpb.Cluster/MemberAdd',
        [MemberAddRequest, MemberAddResponse],
        request as never,
      );
    const withId = (method: string, id: number) =>
      client.unary(`/etcdserverpb.Cluster/${method}`, [MemberIdRequest, MembersResponse], { id });
    const moveLeader = (targetId: number) => call('Maintenance/MoveLeader', MoveLeaderRequest, { targetId });
    const self = async () => (await client.unary(...rpc.status, {})).header?.memberId ?? 0;
    const learnerUrl = 'http://127.0.0.1:9';
    let learner = 0;
    before(async () => {
      learner = (await add({ peerUrls: [learnerUrl], isLearner: true })).member?.id ?? 0;
    });
    after(() => withId('MemberRemove', learner));
    const unknown = 'member not found';
    const noUrls = 'given member URLs are invalid';
    refused([
      ['the removal of one that there is not', () => withId('MemberRemove', 5), notFound, unknown],
      ['the promotion of one that there is not', () => withId('MemberPromote', 5), notFound, unknown],
      [
        'a change of one that there is not',
        () => call('Cluster/MemberUpdate', MemberUpdateRequest, { id: 5, peerUrls: ['http://127.0.0.1:8'] }),
        notFound,
        unknown,
      ],
      ['a URL that is none', () => add({ peerUrls: ['here'] }), invalidArgument, noUrls],
      ['no URL', () => add({}), invalidArgument, noUrls],
      [
        'a URL that another has',
        () => add({ peerUrls: [learnerUrl] }),
        failedPrecondition,
        'Peer URLs already exists',
      ],
      [
        'a learner more',
        () => add({ peerUrls: ['http://127.0.0.1:8'], isLearner: true }),
        failedPrecondition,
        'too many learner members in cluster',
      ],
      [
        'the promotion of a learner that is not in sync',
        () => withId('MemberPromote', learner),
        failedPrecondition,
        'can only promote a learner member which is in sync with leader',
      ],
      [
        'the promotion of a voter',
        async () => withId('MemberPromote', await self()),
        failedPrecondition,
        'can only promote a learner member',
      ],
      [
        'the removal of the last voter',
        async () => withId('MemberRemove', await self()),
        failedPrecondition,
        're-configuration failed due to not enough started members',
      ],
      [
        'leadership for one that there is not',
        () => moveLeader(5),
        failedPrecondition,
        'bad leader transferee',
      ],
      ['leadership for a learner', () => moveLeader(learner), failedPrecondition, 'bad leader transferee'],
    ]);
  });

  describe('of users and roles', () => {
    const addUser = (name: string) =>
      call('Auth/UserAdd', UserAddRequest, { name, options: { noPassword: true } } as never);
    const named = (method: string, name: string) => call(`Auth/${method}`, NameRequest, { name });
    const role = (method: string, user: string, name: string) =>
      call(`Auth/${method}`, UserRoleRequest, { user, role: name });
    const grant = (name: string, permission?: object) =>
      call('Auth/RoleGrantPermission', RoleGrantRequest, {
        name,
        ...(permission && { permission }),
      } as never);
    const revoke = (name: string, key: string) =>
      call('Auth/RoleRevokePermission', RoleRevokeRequest, { name, key });
    const enable = () => call('Auth/AuthEnable', Empty, {});
    before(async () => {
      await addUser('alice');
      await named('RoleAdd', 'some');
    });
    refused([
      ['rights without root', enable, failedPrecondition, 'root user does not exist'],
      [
        'rights while root has not his role',
        async () => {
          await addUser('root');
          await enable();
        },
        failedPrecondition,
        'root user does not have root role',
      ],
      ['a user twice', () => addUser('alice'), failedPrecondition, 'user name already exists'],
      ['a user without a name', () => addUser(''), invalidArgument, 'user name is empty'],
      [
        'the end of a user that there is not',
        () => named('UserDelete', 'nobody'),
        failedPrecondition,
        'user name not found',
      ],
      ['a role twice', () => named('RoleAdd', 'some'), failedPrecondition, 'role name already exists'],
      ['a role without a name', () => named('RoleAdd', ''), invalidArgument, 'role name is empty'],
      [
        'a role that there is not, for a user',
        () => role('UserGrantRole', 'alice', 'none'),
        failedPrecondition,
        'role name not found',
      ],
      [
        'a role that a user has not, to be taken from him',
        () => role('UserRevokeRole', 'alice', 'some'),
        failedPrecondition,
        'role is not granted to the user',
      ],
      ['no right, for a role', () => grant('some'), invalidArgument, 'permission not given'],
      [
        'a right to a range that is none',
        () => grant('some', { access: 0, key: 'b', rangeEnd: 'a' }),
        invalidArgument,
        'invalid auth management',
      ],
      [
        'a right that a role has not, to be taken from it',
        () => revoke('some', 'a'),
        failedPrecondition,
        'permission is not granted to the role',
      ],
      [
        'a token while no rights are asked for',
        () =>
          client.unary('/etcdserverpb.Auth/Authenticate', [AuthenticateRequest, AuthenticateResponse], {
            name: 'alice',
            password: 'x',
          }),
        failedPrecondition,
        'authentication is not enabled',
      ],
      [
        'more passwords at once than there is time for',
        () =>
          Promise.all(
            Array.from({ length: 40 }, (_, i) =>
              call('Auth/UserAdd', UserAddRequest, { name: `user-${i}`, password: 'secret' }),
            ),
          ),
        code.resourceExhausted,
        'too many requests',
      ],
    ]);
  });
});

describe('what only a moment brings is refused with the code and the words of etcd:', () => {
  for (const [what, definite, text] of [
    ['LeaderChanged', false, '14 etcdserver: leader changed'],
    ['NoLeader', true, '14 etcdserver: no leader'],
    ['Timeout', false, '14 etcdserver: request timed out'],
    ['Overloaded', true, '8 etcdserver: too many requests'],
  ] as const) {
    it(`${what}, of a read`, () => {
      const error = toGrpcError(new StoreError(what, 'm1', definite));
      assert.equal(`${error.code} ${error.message}`, text);
    });
  }
  for (const [reason, text] of [
    ['quorum-at-risk', '14 etcdserver: unhealthy cluster'],
    ['no-voter-left', '9 etcdserver: re-configuration failed due to not enough started members'],
    ['too-many-members', '9 etcdserver: too many members in cluster'],
    ['pending', '14 etcdserver: unhealthy cluster'],
  ] as const) {
    it(`a change of the members: ${reason}`, () => {
      const cause = new RaftError('Membership', reason, { definite: true, reason });
      const error = toGrpcError(new StoreError('Refused', reason, true, { cause }));
      assert.equal(`${error.code} ${error.message}`, text);
    });
  }
});

function put0(key: string) {
  return { put: { ...blankPut, key } };
}

function blankDelete(key: string) {
  return { ...DeleteRangeRequest.decode(Buffer.alloc(0)), key };
}
