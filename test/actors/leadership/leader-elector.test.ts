import { strict as assert } from 'node:assert';
import { ApiError, configMaps, endpoints, events, leases } from '../../../actors/client/index.js';
import { leaderAnnotation, leaderElection, leadershipLimits } from '../../../actors/leadership/index.js';
import type { Actor, ChildSpec, RunningActorSystem } from '../../../actors/runtime/index.js';
import { nodeId } from '../../../transport/index.js';
import { SimWorld } from '../../sim/world.js';
import { MemoryApi, type MemoryClient } from '../client/memory-api.js';

interface Candidate {
  readonly name: string;
  readonly system: RunningActorSystem;
  readonly client: MemoryClient;
  /** What its worker writes with, while it runs. */
  fencing: string | undefined;
  crashing: boolean;
  started: number;
}

type Work = { readonly type: 'Work' };

describe('leader election', () => {
  let world: SimWorld;
  let api: MemoryApi;
  let candidates: Candidate[];

  function begin(seed: number, names: readonly string[] = ['m1', 'm2', 'm3']): void {
    world = new SimWorld(seed);
    api = new MemoryApi(world.simulation.clock);
    api.put(configMaps, { metadata: { name: 'work', namespace: 'default' } });
    candidates = names.map((name) => {
      const system = world.system(nodeId(name));
      const candidate: Candidate = {
        name,
        system,
        client: api.client(name),
        fencing: undefined,
        crashing: false,
        started: 0,
      };
      system.supervise({
        id: 'scheduler',
        strategy: 'one-for-one',
        intensity: { maxRestarts: 5, windowMs: 10_000 },
        backoff: { minMs: 50, maxMs: 1000, resetAfterMs: 10_000 },
        children: [
          leaderElection({
            lockName: 'kube-scheduler',
            identity: `${name}_id`,
            client: candidate.client,
            onLead: (fencing) => worker(candidate, fencing),
            nodeOf: (holder) => nodeId(holder.replace(/_id$/, '')),
          }),
        ],
      });
      return candidate;
    });
  }

  /** Writes every 20 ms while it runs, as a scheduler does. */
  function worker(candidate: Candidate, fencing: string): ChildSpec {
    const start = (): Actor<undefined, Work> => ({
      initial: (ctx) => {
        candidate.started += 1;
        candidate.fencing = fencing;
        ctx.setTimer('work', 20, { type: 'Work' });
        return undefined;
      },
      receive: (_state, _message, ctx) => {
        if (candidate.crashing) throw new Error('cannot work here');
        const patch = { metadata: { annotations: { by: candidate.name } } };
        void candidate.client
          .patch(configMaps, 'default', 'work', 'merge', patch, { fencing })
          .catch((error: unknown) => assert(error instanceof ApiError, String(error)));
        ctx.setTimer('work', 20, { type: 'Work' });
        return undefined;
      },
      stopped: () => {
        candidate.fencing = undefined;
      },
    });
    return { id: 'worker', start };
  }

  const leaders = () => candidates.filter(({ fencing }) => fencing !== undefined);
  const standingBack = () => world.journal.events().filter(({ kind }) => kind === 'standing back').length;
  const lease = () => api.find(leases, 'kube-system', 'kube-scheduler');

  async function firstLeader(): Promise<Candidate> {
    await world.run(() => leaders().length > 0, { maxVirtualMs: 5000 });
    return leaders()[0]!;
  }

  /** Runs until another one leads and says how long that took. */
  async function failover(from: Candidate): Promise<{ next: Candidate; tookMs: number }> {
    const before = world.simulation.nowMs;
    await world.run(() => leaders().some((c) => c !== from), { maxVirtualMs: 60_000 });
    return { next: leaders().find((c) => c !== from)!, tookMs: world.simulation.nowMs - before };
  }

  it('makes exactly one of three the leader, with Lease, annotation and event', async () => {
    begin(1);
    const leader = await firstLeader();
    await world.pass(5000);
    assert.deepEqual(leaders(), [leader]);
    assert.equal(lease()?.spec?.holderIdentity, `${leader.name}_id`);
    assert.equal(leader.fencing, `kube-system/kube-scheduler=${leader.name}_id/0`);
    const annotation = api.find(endpoints, 'kube-system', 'kube-scheduler')?.metadata?.annotations;
    const shown = JSON.parse(annotation?.[leaderAnnotation] ?? '{}') as Record<string, unknown>;
    assert.equal(shown['holderIdentity'], `${leader.name}_id`);
    assert.deepEqual(
      api.all(events).map(({ reason, message }) => [reason, message]),
      [['LeaderElection', `${leader.name}_id became leader`]],
    );
  });

  it('keeps its leader while all is well', async () => {
    begin(2);
    const leader = await firstLeader();
    await world.pass(60_000);
    assert.deepEqual(leaders(), [leader]);
    assert.equal(lease()?.spec?.leaseTransitions, 0);
    assert.equal(leader.started, 1);
  });

  for (let seed = 10; seed < 20; seed += 1) {
    it(`has another leader when the lease of a dead one is over, if not before (seed ${seed})`, async () => {
      begin(seed);
      const leader = await firstLeader();
      await world.pass(1000 + seed * 37);
      world.kill(leader.system.node);
      const { next, tookMs } = await failover(leader);
      assert.ok(tookMs < leadershipLimits.leaseDurationMs + 100, `took ${tookMs} ms`);
      assert.equal(next.fencing, `kube-system/kube-scheduler=${next.name}_id/1`);
    });
  }

  it('hands over at once when the leader is stopped cleanly', async () => {
    begin(3);
    const leader = await firstLeader();
    await world.pass(1000);
    const before = world.simulation.nowMs;
    const stopped = leader.system.stop();
    const { tookMs } = await failover(leader);
    assert.ok(tookMs < 700, `took ${tookMs} ms`);
    await world.settled(stopped);
    assert.ok(before > 0);
  });

  it('stops its children before another one leads when it is cut off', async () => {
    begin(4);
    const leader = await firstLeader();
    await world.pass(1000);
    leader.client.cut = true;
    await world.run(() => leader.fencing === undefined, { maxVirtualMs: 1600 });
    assert.equal(leaders().length, 0);
    const { next } = await failover(leader);
    leader.client.cut = false;
    await world.pass(5000);
    assert.deepEqual(leaders(), [next]);
  });

  it('lets a leader that slept through its end write nothing, and stops it when it wakes', async () => {
    begin(5);
    const leader = await firstLeader();
    await world.pass(1000);
    world.simulation.pause(leader.system.node);
    const { next } = await failover(leader);
    const writesBefore = api.writes.length;
    world.simulation.resume(leader.system.node);
    await world.run(() => leader.fencing === undefined, { maxVirtualMs: 100 });
    await world.pass(2000);
    const late = api.writes
      .slice(writesBefore)
      .filter(({ by, key }) => by === leader.name && key.startsWith('conf'));
    assert.ok(late.length > 0, 'the worker of the sleeper did try to write');
    assert.ok(
      late.every(({ ok }) => !ok),
      'and was refused',
    );
    assert.deepEqual(leaders(), [next]);
  });

  it('gives the lease up when its children keep crashing, so that another takes over', async () => {
    begin(6);
    const leader = await firstLeader();
    await world.pass(1000);
    leader.crashing = true;
    const { next } = await failover(leader);
    assert.equal(lease()?.spec?.holderIdentity, `${next.name}_id`);
    assert.equal(standingBack(), 1);
    leader.crashing = false;
    await world.pass(15_000);
    assert.deepEqual(leaders(), [next]);
  });

  it('tries again by itself when nobody else is there, after standing back', async () => {
    begin(7, ['m1']);
    const leader = await firstLeader();
    leader.crashing = true;
    await world.run(() => standingBack() === 1, { maxVirtualMs: 20_000 });
    assert.equal(lease()?.spec?.holderIdentity, '');
    assert.equal(lease()?.spec?.leaseDurationSeconds, 1);
    leader.crashing = false;
    await world.run(() => leaders().length === 1, { maxVirtualMs: 8000 });
    assert.equal(lease()?.spec?.leaseTransitions, 1);
  });

  it('does not take an unknown outcome for a renewal', async () => {
    begin(8, ['m1']);
    const leader = await firstLeader();
    await world.pass(1000);
    leader.client.sabotage = (verb, key) =>
      key.startsWith('leases') && verb === 'update'
        ? new ApiError(504, 'Timeout', 'outcome unknown', false)
        : undefined;
    await world.run(() => leader.fencing === undefined, { maxVirtualMs: 2000 });
    leader.client.sabotage = undefined;
    await world.run(() => leader.fencing !== undefined, { maxVirtualMs: 2000 });
  });

  it('replays to the letter from its seed', async () => {
    const run = async () => {
      begin(9);
      const leader = await firstLeader();
      await world.pass(700);
      world.kill(leader.system.node);
      await failover(leader);
      return JSON.stringify([api.writes, world.journal.toNdjson()]);
    };
    assert.equal(await run(), await run());
  });

  for (let seed = 100; seed < 112; seed += 1) {
    it(`never has writes of two leaders interleaved, whatever is cut or paused (seed ${seed})`, async () => {
      begin(seed);
      const random = world.simulation.random;
      for (let step = 0; step < 12; step += 1) {
        const victim = candidates[random.integer(3)]!;
        const forMs = 500 + random.integer(4000);
        const paused = random.next() < 0.5;
        if (paused) world.simulation.pause(victim.system.node);
        else victim.client.cut = true;
        await world.pass(forMs);
        if (paused) world.simulation.resume(victim.system.node);
        else victim.client.cut = false;
        await world.pass(random.integer(3000));
      }
      await world.run(() => leaders().length === 1, { maxVirtualMs: 10_000 });
      const tokens = api.writes
        .filter(({ ok, key }) => ok && key.startsWith('conf'))
        .map(({ fencing }) => fencing);
      const turns = tokens.filter((token, index) => token !== tokens[index - 1]);
      assert.equal(new Set(turns).size, turns.length, `a deposed leader wrote: ${turns.join(' ')}`);
    });
  }
});
