/**
 * Random changes of users, roles and permissions, and requests of all sorts of callers, to Debian's etcd and to our store: the
 * same answers, to the letter. Left out are the holes of etcd 3.4.23 that later versions closed (nested transactions, previous
 * values and leases of puts in transactions, requests of nobody that name no key, keys of a lease). etcd's own tokens never
 * grow old, ours do: callers come with a new one after each change.
 */
import { strict as assert } from 'node:assert';
import { inspect } from 'node:util';
import { seededRandom } from '../../../actors/runtime/index.js';
import {
  AuthenticateRequest,
  AuthenticateResponse,
  NameRequest,
  NamesResponse,
  RoleGetResponse,
  RoleGrantRequest,
  RoleRevokeRequest,
  UserAddRequest,
  UserPasswordRequest,
  UserRoleRequest,
} from '../../../actors/store/etcd/auth-messages.js';
import {
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
} from '../../../actors/store/etcd/kv-messages.js';
import type { Schema } from '../../../actors/store/etcd/message.js';
import { Empty, HeaderOnly, WatchRequest, WatchResponse } from '../../../actors/store/etcd/rpc-messages.js';
import type { Random } from '../../../transport/index.js';
import { EtcdCluster } from '../../harness/etcd-cluster.js';
import { GrpcClient, GrpcFailure } from '../../harness/grpc-client.js';
import { isInstalled, startStoreAlone, type StoreAlone } from '../../harness/store-alone.js';
import { plain } from './plain.js';

const users = ['root', 'alice', 'bob', 'nobody'] as const;
const roles = ['root', 'r1', 'r2', ''] as const;
const keys = ['a', 'b', 'b\0', 'c', 'd'] as const;
const ends = ['', '', '', '\0', 'b', 'c', 'd', 'e'] as const;
const steps = 200;

interface Step {
  readonly path: string;
  readonly schemas: readonly [Schema<object>, Schema<object>];
  readonly request: object;
  readonly isChange?: boolean;
}

type Session = {
  readonly client: GrpcClient;
  readonly tokens: Map<string, Readonly<Record<string, string>>>;
};

describe('random users, roles and rights give the same answers from our store and from etcd', function () {
  this.timeout(180_000);
  let etcd: EtcdCluster;
  let store: StoreAlone;
  let both: readonly [Session, Session];
  beforeEach(async function () {
    if (!isInstalled('etcd', '--version')) return this.skip();
    [etcd, store] = await Promise.all([
      EtcdCluster.start({ args: ['--bcrypt-cost=4'] }),
      startStoreAlone({ members: 1 }),
    ]);
    const session = (url: string): Session => ({ client: new GrpcClient(url), tokens: new Map() });
    both = [session(`http://${etcd.endpoints[0]}`), session(`http://127.0.0.1:${store.ports[0]}`)];
  });
  afterEach(async () => {
    for (const { client } of both ?? []) client.close();
    await Promise.all([etcd?.stop(), store?.remove()]);
  });

  const same = async (caller: string, step: Step): Promise<boolean> => {
    const [expected, actual] = await Promise.all(both.map((session) => outcome(session, caller, step)));
    const said = `${caller}: ${show(step)}\netcd answered ${show(expected)}\nours answered ${show(actual)}`;
    assert.deepEqual(actual, expected, said);
    return !('code' in (expected as object));
  };

  for (const seed of [1, 2]) {
    it(`seed ${seed}, ${steps} steps`, async () => {
      const random = seededRandom(seed, 'rights-diff');
      const ranges = rangesOf(random);
      for (const step of beginning) await same('', step);
      let refused = 0;
      for (let at = 0; at < steps; at += 1) {
        const caller = random.integer(8) === 0 ? '' : pick(random, ['root', 'alice', 'alice', 'bob', 'bob']);
        const isChange = random.integer(3) === 0;
        const step = isChange ? changeOf(random, ranges) : requestOf(random);
        const isDone = await same(isChange && random.integer(4) > 0 ? 'root' : caller, step);
        if (!isDone) refused += 1;
        if (isDone && step.isChange) for (const { tokens } of both) tokens.clear();
      }
      assert.ok(refused > steps / 10 && refused < (steps * 9) / 10, `${refused} of ${steps} refused`);
    });
  }
});

async function outcome(session: Session, caller: string, step: Step): Promise<unknown> {
  try {
    const as = caller === '' ? {} : await tokenOf(session, caller);
    const answer = await ask(session.client, step, as);
    const { header, ...rest } = plain(answer) as { header?: { revision: number } };
    return { ...rest, revision: header?.revision };
  } catch (error) {
    if (error instanceof GrpcFailure) return { code: error.code, message: error.message };
    throw error;
  }
}

async function ask(
  client: GrpcClient,
  { path, schemas, request }: Step,
  as: Readonly<Record<string, string>>,
) {
  if (!path.endsWith('Watch')) return client.unary(path, schemas, request, as);
  const call = client.stream(path, schemas, as);
  call.send(request);
  const [first] = (await call.until('an answer', (received) => received.length > 0)) as {
    canceled: boolean;
    cancelReason: string;
  }[];
  call.cancel();
  return { canceled: first?.canceled, reason: first?.cancelReason };
}

/** A new one after each change; whoever cannot have one is told so. */
async function tokenOf(
  { client, tokens }: Session,
  caller: string,
): Promise<Readonly<Record<string, string>>> {
  const known = tokens.get(caller);
  if (known) return known;
  const schemas = [AuthenticateRequest, AuthenticateResponse] as const;
  const request = { name: caller, password: `${caller}-secret` };
  const { token } = await client.unary('/etcdserverpb.Auth/Authenticate', schemas, request);
  tokens.set(caller, { token });
  return { token };
}

const auth = (method: string, schema: Schema<never>, request: object, answer: Schema<never>): Step => ({
  path: `/etcdserverpb.Auth/${method}`,
  schemas: [schema, answer] as never,
  request,
});
const change = (method: string, schema: unknown, request: object): Step => ({
  ...auth(method, schema as never, request, HeaderOnly as never),
  isChange: true,
});

const addUser = (name: string) => change('UserAdd', UserAddRequest, { name, password: `${name}-secret` });
const grant = (user: string, role: string) => change('UserGrantRole', UserRoleRequest, { user, role });

const beginning: readonly Step[] = [
  change('AuthEnable', Empty, {}),
  addUser('root'),
  change('AuthEnable', Empty, {}),
  grant('root', 'root'),
  ...['alice', 'bob'].map(addUser),
  ...['r1', 'r2', ''].map((name) => change('RoleAdd', NameRequest, { name })),
  addUser(''),
  grant('alice', 'r1'),
  grant('bob', 'r2'),
  change('AuthEnable', Empty, {}),
];

function changeOf(random: Random, ranges: ReturnType<typeof rangesOf>): Step {
  const user = pick(random, users);
  const role = pick(random, roles);
  const range = pick(random, ranges);
  const permission = { access: random.integer(3), ...range };
  const changes: readonly (() => Step)[] = [
    () => addUser(user),
    () => change('UserDelete', NameRequest, { name: user }),
    () => change('UserChangePassword', UserPasswordRequest, { name: user, password: `${user}-secret` }),
    () => change('UserRevokeRole', UserRoleRequest, { user, role }),
    () => change('RoleAdd', NameRequest, { name: role }),
    () => change('RoleDelete', NameRequest, { name: role }),
    () => change('RoleRevokePermission', RoleRevokeRequest, { name: role, ...range }),
    () => change('AuthEnable', Empty, {}),
  ];
  // What gives rights comes oftener than what takes them, or nobody would have any.
  if (random.integer(2) === 0) return pick(random, changes)();
  if (random.integer(3) === 0) return random.integer(2) === 0 ? addUser(user) : grant(user, role);
  return change('RoleGrantPermission', RoleGrantRequest, {
    name: pick(random, ['r1', 'r2', role]),
    permission,
  });
}

function requestOf(random: Random): Step {
  // None that is empty either: who may read nothing depends on the shape of a tree in etcd.
  const range = endFor(random, pick(random, keys));
  const kv = (method: string, schemas: readonly [unknown, unknown], request: object): Step => ({
    path: `/etcdserverpb.KV/${method}`,
    schemas: schemas as never,
    request,
  });
  const put = { key: range.key, value: Buffer.from(String(random.integer(10))) };
  const empty = <T extends object>(schema: Schema<T>) => schema.decode(Buffer.alloc(0));
  const op = () =>
    pick(random, [
      { range: { ...empty(RangeRequest), ...range } },
      { put: { ...empty(PutRequest), ...put } },
      { deleteRange: { ...empty(DeleteRangeRequest), ...range, prevKv: random.integer(2) === 0 } },
    ]);
  const compare = { ...range, target: 0, result: random.integer(3), version: random.integer(3) };
  const requests: readonly (() => Step)[] = [
    () => kv('Range', [RangeRequest, RangeResponse], { ...range, serializable: random.integer(2) === 0 }),
    () => kv('Range', [RangeRequest, RangeResponse], range),
    () => kv('Put', [PutRequest, PutResponse], { ...put, prevKv: random.integer(2) === 0 }),
    () => kv('Put', [PutRequest, PutResponse], put),
    () =>
      kv('DeleteRange', [DeleteRangeRequest, DeleteRangeResponse], {
        ...range,
        prevKv: random.integer(2) === 0,
      }),
    () =>
      kv('Txn', [TxnRequest, TxnResponse], {
        compare: random.integer(2) === 0 ? [] : [compare],
        success: [op()],
        failure: random.integer(2) === 0 ? [] : [op()],
      }),
    // From a key on is left out: etcd 3.4.23 asks for the right to the key alone (GHSA-xg4h-6gfc-h4m8).
    () => ({
      path: '/etcdserverpb.Watch/Watch',
      schemas: [WatchRequest, WatchResponse] as never,
      request: { create: { key: range.key, rangeEnd: range.rangeEnd === '\0' ? '' : range.rangeEnd } },
    }),
    () => auth('UserGet', NameRequest as never, { name: pick(random, users) }, NamesResponse as never),
    () =>
      auth('RoleGet', NameRequest as never, { name: pick(random, roles.slice(1)) }, RoleGetResponse as never),
    () => auth('UserList', Empty as never, {}, NamesResponse as never),
    () => auth('RoleList', Empty as never, {}, NamesResponse as never),
  ];
  return pick(random, requests)();
}

/**
 * Of permissions. None that is empty: etcd 3.4 grants it, later ones refuse it, as we do. And one for each key: where two
 * begin with the same, etcd may grant the same range twice instead of changing it.
 */
function rangesOf(random: Random): readonly { readonly key: string; readonly rangeEnd: string }[] {
  return keys.map((key) => endFor(random, key));
}

function endFor(random: Random, key: string): { readonly key: string; readonly rangeEnd: string } {
  return {
    key,
    rangeEnd: pick(
      random,
      ends.filter((end) => end === '' || end === '\0' || end > key),
    ),
  };
}

function pick<T>(random: Random, of: readonly T[]): T {
  return of[random.integer(of.length)]!;
}

function show(value: unknown): string {
  return inspect(value, { depth: 6, breakLength: 160 });
}
