/** In which words a write of unknown outcome is answered: what is decided, and what clients of a store of three processes read. */
import { strict as assert } from 'node:assert';
import { AskError, type AskErrorCode } from '../../../../actors/runtime/index.js';
import { MemberIdRequest, MembersResponse } from '../../../../actors/store/etcd/cluster-messages.js';
import { HeaderOnly, MoveLeaderRequest } from '../../../../actors/store/etcd/rpc-messages.js';
import { code } from '../../../../actors/store/etcd/status.js';
import { WriteTimeouts } from '../../../../actors/store/etcd/write-timeouts.js';
import { StoreError, type StoreErrorCode, type StoreStatus } from '../../../../actors/store/index.js';
import { waitFor } from '../../../../deploy/wait.js';
import { rpc } from '../../../harness/etcd-calls.js';
import { GrpcClient, type GrpcFailure } from '../../../harness/grpc-client.js';
import { kabukiPath } from '../../../harness/process-cluster.js';
import { output } from '../../../harness/program.js';
import { startStoreAlone, type StoreAlone } from '../../../harness/store-alone.js';
import { ManualClock } from '../../client/manual-env.js';

const timedOut = 'etcdserver: request timed out';
const leaderFailed = `${timedOut}, possibly due to previous leader failure`;
const connectionLost = `${timedOut}, possibly due to connection lost`;

/** A status of which nothing else is looked at; undefined: the member does not answer. */
type Seen = Pick<StoreStatus, 'leader' | 'leaderForMs' | 'connectedForMs'> | undefined;

const leads = (leaderForMs: number, connectedForMs = leaderForMs): Seen => ({
  leader: 'm1',
  leaderForMs,
  connectedForMs,
});
const nobody: Seen = { leader: null, leaderForMs: 0, connectedForMs: 0 };

const lost = (how: AskErrorCode | undefined, what: StoreErrorCode = 'Timeout') =>
  new StoreError(what, 'm1', false, how && { cause: new AskError(how, 'm1', false) });

describe('a write of unknown outcome', () => {
  /** `seen` after so many milliseconds; the write has 7 s, and failed after `failedMs`. */
  const play = async (error: StoreError, failedMs: number, seen: (afterMs: number) => Seen) => {
    const clock = new ManualClock();
    const beganMs = clock.monotonicMs();
    const status = async () => seen(clock.monotonicMs() - beganMs) ?? assert.fail('silent');
    const timeouts = new WriteTimeouts({ status: status as () => Promise<StoreStatus> }, clock);
    const write = timeouts.begin({ timeoutMs: () => 7_000 });
    await clock.advance(failedMs);
    let answer: [text: string, afterMs: number] | undefined;
    void timeouts.explain(error, write).then(({ message }) => {
      answer = [message, clock.monotonicMs() - beganMs];
    });
    while (answer === undefined && clock.monotonicMs() - beganMs < 20_000) await clock.advance(25);
    return answer;
  };
  const cases: readonly [string, StoreError, number, (ms: number) => Seen, string, number][] = [
    ['of a slow leader', lost('Timeout'), 7_000, (ms) => leads(60_000 + ms), timedOut, 7_000],
    ['that the leader gave up', lost(undefined), 5_000, (ms) => leads(60_000 + ms), timedOut, 5_000],
    [
      'of a leader that lost its term',
      lost(undefined, 'LeaderChanged'),
      300,
      () => nobody,
      leaderFailed,
      300,
    ],
    ['that a new leader was elected under', lost('Timeout'), 7_000, () => leads(6_999), leaderFailed, 7_000],
    ['that began under this leader', lost('Timeout'), 7_000, (ms) => leads(ms), timedOut, 7_000],
    ['where nobody leads', lost('Timeout'), 7_000, () => nobody, timedOut, 7_000],
    [
      'whose leader lost its majority for a while, or the member its leader',
      lost('Timeout'),
      7_000,
      (ms) => leads(60_000 + ms, 3_000),
      connectionLost,
      7_000,
    ],
    [
      'whose leader ended waits for the next one',
      lost('Unreachable'),
      100,
      (ms) => (ms < 900 ? nobody : leads(ms - 900)),
      leaderFailed,
      900,
    ],
    ['whose leader ended, and no other came', lost('Dead'), 100, () => nobody, timedOut, 7_000],
    [
      'whose leader’s end was noticed here first',
      lost('Unreachable'),
      100,
      (ms) => (ms < 300 ? leads(60_000) : ms < 900 ? nobody : leads(ms - 900)),
      leaderFailed,
      900,
    ],
    [
      'whose leader is not heard here alone',
      lost('Unreachable'),
      3_000,
      () => leads(60_000),
      connectionLost,
      4_000,
    ],
    ['whose member does not answer', lost('Unreachable'), 3_000, () => undefined, timedOut, 3_000],
  ];
  for (const [what, error, failedMs, seen, expected, afterMs] of cases) {
    it(`${what}: ${expected.slice(timedOut.length + 2) || 'it timed out, no more is known'}`, async () => {
      assert.deepEqual(await play(error, failedMs, seen), [expected, afterMs]);
    });
  }
});

describe('a write that nobody answers, by gRPC', function () {
  this.timeout(60_000);
  let store: StoreAlone;
  let clients: readonly GrpcClient[] = [];
  const fault = (...args: string[]) =>
    output(process.execPath, [kabukiPath, 'fault', ...args, '--data-dir', store.dataDir]);
  const put = (client: GrpcClient) => client.unary(...rpc.put, { key: 'k', value: Buffer.from('v') });
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => 'it went well',
      (error: GrpcFailure) => [error.code, error.message],
    );
  /** The leader's name, and clients of it and of a follower; `kabuki fault` knows machines by the order of their ports. */
  const parts = async () => {
    const statuses = await Promise.all(clients.map((client) => client.unary(...rpc.status, {})));
    const at = statuses.findIndex(({ leader, header }) => leader === header?.memberId);
    const other = (at + 1) % clients.length;
    const ids = statuses.map(({ header }) => header?.memberId ?? 0);
    return {
      leader: `store-${at + 1}`,
      follower: `store-${other + 1}`,
      client: clients[other]!,
      clientId: ids[other]!,
      otherId: ids[3 - at - other]!,
    };
  };

  before(async () => {
    store = await startStoreAlone({ members: 3 });
  });
  after(() => store?.remove());
  beforeEach(async () => {
    clients = store.ports.map((port) => new GrpcClient(`http://127.0.0.1:${port}`));
    await waitFor('all to write', 20_000, async () => {
      for (const client of clients) await put(client);
      return true;
    });
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    await fault('heal');
  });

  it('timed out for a connection that was lost, where the leader still leads', async () => {
    const { leader, follower, client } = await parts();
    const kinds = ['StoreTxnDone', 'StoreManyAre', 'Heartbeat'];
    await fault('link', leader, follower, '--drop', '1', '--kind', ...kinds);
    assert.deepEqual(await failure(put(client)), [code.unavailable, connectionLost]);
    assert.equal((await parts()).leader, leader);
  });

  it('timed out for a leader that fell', async () => {
    const { leader, client } = await parts();
    // Some are under way when it happens.
    let isOver = false;
    const write = async (): Promise<unknown> => {
      while (!isOver) {
        const outcome = await failure(put(client));
        if (outcome !== 'it went well') return outcome;
      }
      return [code.unavailable, leaderFailed];
    };
    const writes = Array.from({ length: 20 }, write);
    await fault('kill', leader);
    assert.deepEqual(await Promise.race(writes), [code.unavailable, leaderFailed]);
    isOver = true;
    for (const outcome of await Promise.all(writes)) {
      assert.deepEqual(outcome, [code.unavailable, leaderFailed]);
    }
  });

  it('and what else only some of three members refuse: a change that the rest may not outlive, another leader’s work', async () => {
    const { leader, follower, client, clientId, otherId } = await parts();
    const moved = client.unary('/etcdserverpb.Maintenance/MoveLeader', [MoveLeaderRequest, HeaderOnly], {
      targetId: clientId,
    });
    assert.deepEqual(await failure(moved), [code.failedPrecondition, 'etcdserver: not leader']);
    await fault('kill', leader);
    const remove = (id: number) =>
      client.unary('/etcdserverpb.Cluster/MemberRemove', [MemberIdRequest, MembersResponse], { id });
    await waitFor('the others to go on', 20_000, async () => (await put(client)) !== undefined);
    assert.deepEqual(await failure(remove(otherId)), [code.unavailable, 'etcdserver: unhealthy cluster']);
    // Which of the two leads now is no matter.
    const rest = ['store-1', 'store-2', 'store-3'].find((name) => name !== leader && name !== follower)!;
    await fault('kill', rest);
    const read = () => client.unary(...rpc.range, { key: 'k', serializable: true }, { hasleader: 'true' });
    await waitFor('nobody to lead', 20_000, async () => {
      const outcome = await failure(read());
      assert.deepEqual(outcome, [code.unavailable, 'etcdserver: no leader']);
      return true;
    });
  });
});
