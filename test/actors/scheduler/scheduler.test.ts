/** The scheduler actor with informers, events and conditions, against an API in memory, in virtual time. */
import { strict as assert } from 'node:assert';
import { ApiError, events, leases, namespaces, nodes, pods } from '../../../actors/client/index.js';
import { leaderElection, leadershipLimits } from '../../../actors/leadership/index.js';
import type { Pod } from '../../../actors/objects/types/core.js';
import type { RunningActorSystem } from '../../../actors/runtime/index.js';
import { nodeId } from '../../../transport/index.js';
import { SimWorld } from '../../sim/world.js';
import { schedulerSpec } from '../../../actors/scheduler/index.js';
import { MemoryApi, type MemoryClient } from '../client/memory-api.js';
import { node, pod } from './cluster-builder.js';

describe('scheduler', () => {
  let world: SimWorld;
  let api: MemoryApi;
  let client: MemoryClient;
  let system: RunningActorSystem;

  function begin(seed: number | string, nodeCount = 3): void {
    world = new SimWorld(seed);
    api = new MemoryApi(world.simulation.clock);
    system = world.system(nodeId('m1'));
    client = api.client('m1');
    api.put(namespaces, { metadata: { name: 'default' } });
    for (let n = 0; n < nodeCount; n += 1) api.put(nodes, node(`n${n}`));
  }

  function run(fencing?: string): void {
    system.supervise(schedulerSpec({ system, client, ...(fencing === undefined ? {} : { fencing }) }));
  }

  const nodeOf = (name: string) => api.find(pods, 'default', name)?.spec?.nodeName;
  const allBound = () => api.all(pods).every(({ spec }) => spec?.nodeName);
  const eventsOf = (reason: string) =>
    api
      .all(events)
      .filter((event) => event.reason === reason)
      .map(({ message }) => message);
  const conditionOf = (name: string) =>
    api.find(pods, 'default', name)?.status?.conditions?.find(({ type }) => type === 'PodScheduled');

  it('binds pods that were there and pods that come, and says so', async () => {
    begin(1);
    api.put(pods, pod('early'));
    run();
    await world.run(allBound);
    api.put(pods, pod('late'));
    await world.run(allBound);
    await world.pass(100);
    const said = eventsOf('Scheduled').sort();
    assert.deepEqual(said, [
      `Successfully assigned default/early to ${nodeOf('early')}`,
      `Successfully assigned default/late to ${nodeOf('late')}`,
    ]);
    assert.equal(api.all(events)[0]?.source?.component, 'default-scheduler');
  });

  it('spreads and fills up, never over what a node has', async () => {
    begin(2);
    run();
    for (let n = 0; n < 12; n += 1) api.put(pods, pod(`p${n}`, { requests: { cpu: '1' }, owner: 'rs' }));
    await world.run(allBound);
    const perNode = ['n0', 'n1', 'n2'].map(
      (name) => api.all(pods).filter(({ spec }) => spec?.nodeName === name).length,
    );
    assert.deepEqual(perNode, [4, 4, 4]);
  });

  it('leaves pods of other schedulers and gated pods alone', async () => {
    begin(3);
    run();
    api.put(pods, pod('mine'));
    api.put(pods, pod('theirs', { schedulerName: 'custom' }));
    api.put(pods, pod('gated', { schedulingGates: [{ name: 'quota' }] }));
    await world.run(() => nodeOf('mine') !== undefined);
    await world.pass(1000);
    assert.equal(nodeOf('theirs'), undefined);
    assert.equal(nodeOf('gated'), undefined);
    const gated = api.find(pods, 'default', 'gated')!;
    const { schedulingGates: _gates, ...spec } = gated.spec!;
    api.put(pods, { ...gated, spec });
    await world.run(() => nodeOf('gated') !== undefined);
  });

  it('says why a pod cannot be placed, in an event and a condition, and places it when there is room', async () => {
    begin(4, 2);
    api.put(pods, pod('big', { requests: { cpu: '3' } }));
    api.put(pods, pod('big2', { requests: { cpu: '3' } }));
    run();
    await world.run(allBound);
    api.put(pods, pod('waiting', { requests: { cpu: '2' } }));
    await world.run(() => conditionOf('waiting') !== undefined && eventsOf('FailedScheduling').length > 0);
    const text =
      '0/2 nodes are available: 2 Insufficient cpu. ' +
      'preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.';
    assert.deepEqual(eventsOf('FailedScheduling'), [text]);
    const { status, reason, message } = conditionOf('waiting')!;
    assert.deepEqual([status, reason, message], ['False', 'Unschedulable', text]);
    await world.pass(20_000);
    assert.equal(nodeOf('waiting'), undefined);
    const before = world.simulation.nowMs;
    api.remove(pods, 'default', 'big');
    await world.run(() => nodeOf('waiting') !== undefined, { maxVirtualMs: 5000 });
    assert.ok(world.simulation.nowMs - before < 100, 'its backoff was over, so at once');
  });

  it('places a pod when a node comes that will do', async () => {
    begin(5, 0);
    api.put(pods, pod('p'));
    run();
    await world.run(() => conditionOf('p')?.message === 'no nodes available to schedule pods');
    api.put(nodes, node('n0'));
    await world.run(() => nodeOf('p') === 'n0', { maxVirtualMs: 5000 });
  });

  it('does not lose the place of a pod that is being bound', async () => {
    begin(6, 1);
    run();
    await world.pass(100);
    // Both are decided before either binding is seen: the second must find the first one's place taken.
    api.put(pods, pod('a', { requests: { cpu: '3' } }));
    api.put(pods, pod('b', { requests: { cpu: '3' } }));
    await world.pass(3000);
    const bound = api.all(pods).filter(({ spec }) => spec?.nodeName);
    assert.equal(bound.length, 1);
  });

  it('tries again after a binding that failed, or may have failed', async () => {
    begin(7);
    run();
    await world.pass(100);
    let failures = 2;
    client.sabotage = (verb) => {
      if (verb !== 'binding' || failures === 0) return undefined;
      failures -= 1;
      return new ApiError(failures === 1 ? 500 : 504, 'InternalError', 'no', false);
    };
    api.put(pods, pod('p'));
    await world.run(() => nodeOf('p') !== undefined, { maxVirtualMs: 10_000 });
    assert.equal(api.writes.filter(({ verb }) => verb === 'binding').length, 3);
  });

  it('makes room for a more important pod, keeps it for it, and says so on both', async () => {
    begin(14, 1);
    run();
    api.put(pods, pod('low', { requests: { cpu: '3' } }));
    await world.run(allBound);
    api.put(pods, pod('high', { requests: { cpu: '3' }, priority: 1000 }));
    await world.run(() => api.find(pods, 'default', 'low') === undefined, { maxVirtualMs: 5000 });
    assert.equal(api.find(pods, 'default', 'high')?.status?.nominatedNodeName, 'n0');
    api.put(pods, pod('sneaky', { requests: { cpu: '3' } }));
    await world.run(() => nodeOf('high') === 'n0', { maxVirtualMs: 5000 });
    await world.pass(3000);
    assert.equal(nodeOf('sneaky'), undefined);
    const uid = api.find(pods, 'default', 'high')?.metadata?.uid;
    assert.deepEqual(eventsOf('Preempted'), [`Preempted by pod ${uid} on node n0`]);
  });

  it('gives the room back that a pod would have had whose binding was refused', async () => {
    begin(13, 1);
    run();
    await world.pass(100);
    client.sabotage = (verb, key) =>
      verb === 'binding' && key.endsWith('/a')
        ? new ApiError(422, 'Invalid', 'not this one', true)
        : undefined;
    api.put(pods, pod('a', { requests: { cpu: '3' } }));
    await world.pass(50);
    api.put(pods, pod('b', { requests: { cpu: '3' } }));
    await world.run(() => nodeOf('b') === 'n0', { maxVirtualMs: 5000 });
  });

  it('puts the fencing token on everything that it decides, and is refused when it is deposed', async () => {
    begin(8);
    const lease = (holderIdentity: string, leaseTransitions: number) =>
      api.put(leases, {
        metadata: { name: 'kube-scheduler', namespace: 'kube-system' },
        spec: { holderIdentity, leaseTransitions },
      });
    lease('me', 0);
    run('kube-system/kube-scheduler=me/0');
    api.put(pods, pod('before'));
    await world.run(allBound);
    lease('other', 1);
    api.put(pods, pod('after'));
    await world.pass(5000);
    assert.equal(nodeOf('after'), undefined);
    const decided = api.writes.filter(({ key }) => key.startsWith('pods'));
    assert.ok(decided.every(({ fencing }) => fencing === 'kube-system/kube-scheduler=me/0'));
    assert.ok(decided.some(({ ok }) => !ok));
  });

  it('starts from scratch after a crash without binding anything twice', async () => {
    begin(9);
    run();
    for (let n = 0; n < 20; n += 1) api.put(pods, pod(`p${n}`, { requests: { cpu: '100m' } }));
    await world.run(() => api.all(pods).some(({ spec }) => spec?.nodeName));
    assert.ok(system.crash('/scheduler/scheduler', 'on purpose'));
    await world.run(allBound);
    await world.pass(500);
    const bindings = api.writes.filter(({ verb, ok }) => verb === 'binding' && ok);
    assert.equal(new Set(bindings.map(({ key }) => key)).size, 20);
    assert.equal(bindings.length, 20);
  });

  it('goes on under another leader when the first one dies, with every pod bound once', async () => {
    begin(10);
    const second = world.system(nodeId('m2'));
    const clients = new Map([
      [system, client],
      [second, api.client('m2')],
    ]);
    for (const [host, its] of clients) {
      host.supervise({
        id: 'kube-scheduler',
        strategy: 'one-for-one',
        intensity: { maxRestarts: 5, windowMs: 10_000 },
        backoff: { minMs: 50, maxMs: 1000, resetAfterMs: 10_000 },
        children: [
          leaderElection({
            lockName: 'kube-scheduler',
            identity: `${host.node}_1`,
            client: its,
            onLead: (fencing) => schedulerSpec({ system: host, client: its, fencing }),
          }),
        ],
      });
    }
    for (let n = 0; n < 5; n += 1) api.put(pods, pod(`p${n}`));
    await world.run(allBound);
    const holder = api.find(leases, 'kube-system', 'kube-scheduler')?.spec?.holderIdentity;
    const leader = [system, second].find(({ node: name }) => holder === `${name}_1`)!;
    world.kill(leader.node);
    const before = world.simulation.nowMs;
    for (let n = 5; n < 10; n += 1) api.put(pods, pod(`p${n}`));
    await world.run(allBound);
    // In the simulated network a machine's death shows no sooner than its lease ends.
    assert.ok(world.simulation.nowMs - before < leadershipLimits.leaseDurationMs + 1000);
    const bindings = api.writes.filter(({ verb, ok }) => verb === 'binding' && ok);
    assert.equal(bindings.length, 10);
  });

  it('replays to the letter from its seed', async () => {
    const once = async (seed: number) => {
      begin(seed);
      run();
      for (let n = 0; n < 15; n += 1) api.put(pods, pod(`p${n}`, { requests: { cpu: '1' } }));
      await world.pass(5000);
      return JSON.stringify([api.writes, world.journal.toNdjson(), api.all<Pod>(pods)]);
    };
    assert.equal(await once(11), await once(11));
    assert.notEqual(await once(11), await once(12));
  });
});
