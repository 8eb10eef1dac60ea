import { strict as assert } from 'node:assert';
import { FaultPolicy, type Incarnation, nodeId, SimNetwork } from '../../transport/index.js';
import { linkCases, type LinkWorld, TestNode } from './link.case.js';
import { memoryWorld } from './memory-world.js';
import { SeededRandom, VirtualClock } from './virtual-clock.js';

function makeWorld(seed: number): { world: LinkWorld; network: SimNetwork } {
  const clock = new VirtualClock();
  const network = new SimNetwork({ clock, random: new SeededRandom(seed), roundTrip: true });
  return { world: memoryWorld(network, clock), network };
}

linkCases('simulated', async () => makeWorld(7).world);

/** Shorter than the silence after which a peer counts as down. */
const disconnectGraceMs = 100;

describe('simulated network', () => {
  async function start(world: LinkWorld, name: string, incarnation = 1): Promise<TestNode> {
    const policy = new FaultPolicy();
    const link = await world.link(nodeId(name), incarnation as Incarnation, policy, { disconnectGraceMs });
    return new TestNode(link, policy, world.clock).start();
  }

  async function pair(
    seed: number,
  ): Promise<{ world: LinkWorld; network: SimNetwork; a: TestNode; b: TestNode }> {
    const { world, network } = makeWorld(seed);
    const [a, b] = [await start(world, 'a'), await start(world, 'b')];
    a.link.addPeer(b.link.node, b.link.address());
    await world.until('they meet', () => a.isUp(b) && b.isUp(a));
    return { world, network, a, b };
  }

  async function lossyRun(seed: number): Promise<string[]> {
    const { world, network, a, b } = await pair(seed);
    network.faults.add({ id: 'l', from: ['*'], to: ['*'], action: { type: 'drop', probability: 0.3 } });
    network.faults.add({ id: 'u', from: ['*'], to: ['*'], action: { type: 'duplicate', probability: 0.2 } });
    network.faults.add({
      id: 'r',
      from: ['*'],
      to: ['*'],
      action: { type: 'reorder', probability: 0.3, windowMs: 20 },
    });
    for (let i = 0; i < 100; i++) {
      a.send(b, `m${i}`);
      await world.pass(1);
    }
    await world.pass(100);
    return b.kinds();
  }

  it('loses, doubles and reorders by its own rules, the same way for the same seed', async () => {
    const first = await lossyRun(3);
    const sorted = first.toSorted((x, y) => Number(x.slice(1)) - Number(y.slice(1)));
    assert(new Set(first).size < 100, 'some are lost');
    assert(new Set(first).size < first.length, 'some are doubled');
    assert.notDeepEqual(first, sorted, 'some overtake others');
    assert.deepEqual(await lossyRun(3), first);
    assert.notDeepEqual(await lossyRun(4), first);
  });

  it('says of no letter that it sent twice that it did not arrive: one of the two may have', async () => {
    const { world, network, a, b } = await pair(1);
    network.setLatency('a', 'b', { minMs: 1, maxMs: 100 });
    network.faults.add({ id: 'd', from: ['*'], to: ['*'], action: { type: 'duplicate', probability: 1 } });
    a.send(b, 'doubled');
    network.kill(b.link.node);
    await world.pass(200);
    assert.deepEqual(a.dropped, []);
  });

  it('takes the latency of the directed pair', async () => {
    const { world, network, a, b } = await pair(1);
    network.setLatency('a', 'b', { minMs: 50, maxMs: 50 });
    const sentMs = world.clock.monotonicMs();
    a.send(b, 'slow');
    b.send(a, 'fast');
    await world.until('b answers', () => a.got.length === 1);
    assert(world.clock.monotonicMs() - sentMs < 5);
    await world.until('a is heard', () => b.got.length === 1);
    assert(world.clock.monotonicMs() - sentMs >= 50);
  });

  it('takes the latency that chance has by itself: half of the letters well below the mean, a few far beyond', async () => {
    const { world, network, a, b } = await pair(1);
    network.setLatency('a', 'b', { minMs: 10, meanMs: 50, maxMs: 300 });
    const tookMs: number[] = [];
    for (let n = 1; n <= 400; n++) {
      const sentMs = world.clock.monotonicMs();
      a.send(b, 'one');
      await world.until('it arrives', () => b.got.length === n);
      tookMs.push(world.clock.monotonicMs() - sentMs);
    }
    tookMs.sort((x, y) => x - y);
    const mean = tookMs.reduce((sum, ms) => sum + ms, 0) / tookMs.length;
    assert(
      tookMs[0]! >= 10 && tookMs.at(-1)! <= 301 && tookMs.at(-1)! > 150,
      `${tookMs[0]} to ${tookMs.at(-1)}`,
    );
    assert(mean > 40 && mean < 60 && tookMs[200]! < 45, `${mean}, ${tookMs[200]}`);
  });

  it('loses what is under way, both ways, when a connection breaks, and goes on when it is made anew', async () => {
    const { world, network, a, b } = await pair(1);
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      network.setLatency(from, to, { minMs: 20, maxMs: 20 });
    }
    a.send(b, 'lost');
    b.send(a, 'lost, too');
    network.breakConnection(a.link.node, b.link.node, 50);
    await world.pass(60);
    assert.deepEqual([a.kinds(), b.kinds()], [[], []]);
    a.send(b, 'again');
    b.send(a, 'again');
    await world.pass(5_000);
    assert.deepEqual([a.kinds(), b.kinds()], [['again'], ['again']]);
    assert.deepEqual([a.downs, b.downs], [[], []]);
  });

  it('cuts by a rule of the network as by one of the sender', async () => {
    const { world, network, a, b } = await pair(1);
    network.faults.add({ id: 'c', from: ['a'], to: ['b'], action: { type: 'cut' } });
    a.send(b, 'lost');
    await world.until('b misses a', () => b.downs.length === 1);
    assert.deepEqual([a.dropped, b.got, a.downs], [[['lost', 'fault']], [], []]);
    network.faults.clear();
    await world.until('b hears a', () => b.isUp(a));
  });

  it('delivers letters of a node that died after it sent them', async () => {
    const { world, network, a, b } = await pair(1);
    a.send(b, 'last words');
    network.kill(a.link.node);
    await world.until('they arrive', () => b.got.length === 1);
  });

  it('tells peers of an end that is seen when its last letters have come and a moment has passed', async () => {
    const { world, network, a, b } = await pair(1);
    network.setLatency('a', 'b', { minMs: 50, maxMs: 50 });
    const endedMs = world.clock.monotonicMs();
    a.send(b, 'last words');
    network.kill(a.link.node, 'seen');
    await world.until('b knows', () => b.downs.length === 1, 1_000);
    assert.deepEqual([b.kinds(), b.downs], [['last words'], ['a/1 closed']]);
    const tookMs = world.clock.monotonicMs() - endedMs;
    assert(tookMs >= 50 + disconnectGraceMs && tookMs < 60 + disconnectGraceMs, `${tookMs} ms`);
  });

  it('lets a node that comes back within that moment be one that started again', async () => {
    const { world, network, a, b } = await pair(1);
    network.kill(a.link.node, 'seen');
    await world.pass(disconnectGraceMs / 2);
    const again = await start(world, 'a', 2);
    again.link.addPeer(b.link.node, b.link.address());
    await world.until('they meet', () => b.isUp(again));
    await world.pass(1_000);
    assert.deepEqual(b.downs, ['a/1 restarted']);
  });

  it('does not tell of an end where nothing gets through', async () => {
    const { world, network, a, b } = await pair(1);
    network.faults.add({ id: 'c', from: ['a'], to: ['b'], action: { type: 'cut' } });
    network.kill(a.link.node, 'seen');
    await world.until('b misses a', () => b.downs.length === 1);
    assert.deepEqual(b.downs, ['a/1 timeout']);
  });
});
