/** Paths of the simulated network that pass little, or damage what they pass. */
import { strict as assert } from 'node:assert';
import { FaultPolicy, type Incarnation, nodeId, SimNetwork } from '../../transport/index.js';
import { type LinkWorld, TestNode } from './link.case.js';
import { memoryWorld } from './memory-world.js';
import { SeededRandom, VirtualClock } from './virtual-clock.js';

interface Pair {
  readonly world: LinkWorld;
  readonly network: SimNetwork;
  readonly a: TestNode;
  readonly b: TestNode;
  start(name: string): Promise<TestNode>;
}

/** As long as a connection is stuck: shorter than the silence after which a peer counts as down, or not. */
async function pair(connectionTimeoutMs = 200): Promise<Pair> {
  const clock = new VirtualClock();
  const network = new SimNetwork({ clock, random: new SeededRandom(1) });
  const world = memoryWorld(network, clock);
  const start = async (name: string) => {
    const policy = new FaultPolicy();
    const link = await world.link(nodeId(name), 1 as Incarnation, policy, { connectionTimeoutMs });
    return new TestNode(link, policy, clock).start();
  };
  const [a, b] = [await start('a'), await start('b')];
  a.link.addPeer(b.link.node, b.link.address());
  await world.until('they meet', () => a.isUp(b) && b.isUp(a));
  return { world, network, a, b, start };
}

describe('a narrow path', () => {
  const narrow = { id: 'n', type: 'narrow', from: ['a'], to: ['b'], bytesPerSecond: 2_000 } as const;
  const body = 'x'.repeat(1_000);

  it('passes so many bytes a second, and refuses what finds no room', async () => {
    const { world, network, a, b } = await pair();
    network.paths.add({ ...narrow, lettersMax: 3 });
    for (let n = 0; n < 5; n++) a.send(b, `m${n}`, body);
    b.send(a, 'back', body);
    await world.pass(10);
    // The other direction is as wide as ever, and only the sender hears of what was refused.
    assert.deepEqual([a.kinds(), b.kinds()], [['back'], []]);
    assert.deepEqual(a.dropped, [
      ['m3', 'queue-full'],
      ['m4', 'queue-full'],
    ]);
    await world.pass(1_000);
    assert.deepEqual(b.kinds(), ['m0']);
    await world.pass(1_000);
    assert.deepEqual(b.kinds(), ['m0', 'm1', 'm2']);
    a.send(b, 'there is room again', body);
    await world.until('it arrives', () => b.got.length === 4);
    assert.deepEqual(network.paths.counts, {
      damaged: 0,
      decodable: 0,
      frames: 0,
      late: 2,
      refused: 2,
      held: 0,
    });
  });

  it('is as wide as ever when that is over', async () => {
    const { world, network, a, b } = await pair();
    network.paths.add({ ...narrow, lettersMax: 1 });
    a.send(b, 'm0', body);
    network.paths.remove('n');
    for (let n = 1; n < 4; n++) a.send(b, `m${n}`, body);
    await world.until('all arrive', () => b.got.length === 4);
    assert.deepEqual([b.kinds(), a.dropped], [['m0', 'm1', 'm2', 'm3'], []]);
  });
});

describe('a clogged path', () => {
  it('holds what is sent, and passes all of it in its order when it is free', async () => {
    const { world, network, a, b } = await pair();
    const untilMs = world.clock.monotonicMs() + 300;
    network.paths.add({ id: 'c', type: 'clogged', from: ['a'], to: ['b'], untilMs });
    for (let n = 0; n < 3; n++) a.send(b, `m${n}`);
    b.send(a, 'back');
    await world.pass(250);
    assert.deepEqual([a.kinds(), b.kinds()], [['back'], []]);
    await world.pass(100);
    assert.deepEqual([a.dropped, b.kinds()], [[], ['m0', 'm1', 'm2']]);
    assert.equal(network.paths.counts.held, 3);
    a.send(b, 'm3');
    await world.pass(5);
    assert.equal(b.got.length, 4);
  });
});

describe('a noisy path', () => {
  const noisy = (isSealed: boolean, probability: number) =>
    ({
      id: 'n',
      type: 'noisy',
      from: ['a'],
      to: ['b'],
      probability,
      random: new SeededRandom(5),
      isSealed,
    }) as const;

  it('that is sealed delivers nothing that was changed, nor what comes after it over that connection', async () => {
    const { world, network, a, b } = await pair();
    network.setLatency('a', 'b', { minMs: 10, maxMs: 10 });
    network.paths.add(noisy(true, 1));
    a.send(b, 'damaged');
    network.paths.clear();
    a.send(b, 'behind it');
    await world.pass(15);
    b.send(a, 'the other direction');
    await world.until('it arrives', () => a.got.length === 1);
    await world.pass(200);
    assert.deepEqual(b.got, []);
    a.send(b, 'over a new one');
    await world.until('it arrives', () => b.got.length === 1);
    // Who sent it knows nothing of that.
    assert.deepEqual(
      [a.dropped, b.dropped, b.downs],
      [
        [],
        [
          ['damaged', 'undecodable'],
          ['behind it', 'closed'],
        ],
        [],
      ],
    );
  });

  it('is missed for so long, if that is long, that the peer counts as down', async () => {
    const { world, network, a, b } = await pair(1_000);
    network.paths.add(noisy(true, 1));
    a.send(b, 'damaged');
    network.paths.remove('n');
    await world.until('b misses a', () => b.downs.length === 1);
    assert.deepEqual([a.downs, b.downs], [[], ['a/1 timeout']]);
    await world.until('they meet again', () => b.isUp(a));
  });

  it('loses by and by, and delivers what it delivers as it was', async () => {
    const { world, network, a, b } = await pair();
    network.paths.add(noisy(true, 0.1));
    const body = { bytes: new Uint8Array(100).fill(7) };
    for (let n = 0; n < 300; n++) {
      a.send(b, `m${n}`, body);
      await world.pass(50);
    }
    const { damaged, decodable } = network.paths.counts;
    assert(
      damaged > 10 && b.got.length > 100 && b.got.length <= 300 - damaged,
      `${damaged}, ${b.got.length}`,
    );
    for (const { body: got } of b.got) assert.deepEqual(got, body);
    assert(decodable > 0, 'the codec alone would have taken some of it');
  });

  it('damages what links say to each other, too: one that has nothing else to say is missed, and met again', async () => {
    const { world, network, a, b } = await pair(1_000);
    network.paths.add(noisy(true, 1));
    await world.until('b misses a', () => b.downs.length === 1);
    assert.deepEqual([a.downs, b.downs], [[], ['a/1 timeout']]);
    network.paths.remove('n');
    await world.until('they meet again', () => b.isUp(a));
    assert(network.paths.counts.frames > 0 && network.paths.counts.damaged === 0);
  });

  for (const isSealed of [true, false]) {
    it(`${isSealed ? 'with' : 'without'} a seal lets two meet when a handshake gets through`, async () => {
      const { world, network, a, start } = await pair();
      network.paths.add({ ...noisy(isSealed, 0.8), from: ['*'], to: ['*'] });
      const c = await start('c');
      a.link.addPeer(c.link.node, c.link.address());
      await world.until('they meet', () => a.isUp(c) && c.isUp(a), 60_000);
      assert(network.paths.counts.frames > 0);
    });
  }

  it('may swallow a goodbye: who does not hear it misses the other by its silence', async () => {
    const { world, network, a, b } = await pair(1_000);
    network.paths.add(noisy(true, 1));
    await a.link.close();
    await world.until('b misses a', () => b.downs.length === 1);
    assert.deepEqual(b.downs, ['a/1 timeout']);
  });

  it('without a seal delivers what still decodes, changed as it is', async () => {
    const { world, network, a, b } = await pair();
    network.paths.add(noisy(false, 1));
    const body = { bytes: new Uint8Array(1_000) };
    for (let n = 0; n < 100; n++) {
      a.send(b, 'm', body);
      await world.pass(150);
    }
    const { damaged, decodable } = network.paths.counts;
    assert.deepEqual([damaged, b.got.length], [100, decodable]);
    assert(decodable > 10 && decodable < 90, `${decodable}`);
    const isWhole = ({ bytes }: typeof body) => bytes.every((byte) => byte === 0);
    assert(b.got.some(({ body: got }) => !isWhole(got as typeof body)));
  });
});
