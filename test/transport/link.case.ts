/** What every link must do; run for ZeroMQ, in-process and simulated links (model: hono's router cases). */
import { strict as assert } from 'node:assert';
import {
  type Clock,
  type DropReason,
  type Envelope,
  type EnvelopeId,
  FaultPolicy,
  type FaultRule,
  type Incarnation,
  type Link,
  type LinkLimits,
  type NodeId,
  nodeId,
  type TraceParent,
} from '../../transport/index.js';

/** A network of one kind, and its time. */
export interface LinkWorld {
  readonly clock: Clock;
  /** Limits that keep the suite short; at most these. */
  readonly peerTimeoutMs: number;
  link(
    node: NodeId,
    incarnation: Incarnation,
    policy: FaultPolicy,
    limits: Partial<LinkLimits>,
  ): Promise<Link>;
  /** The node falls silent without a word, as after SIGKILL. */
  kill(node: TestNode): Promise<void>;
  /** Lets time pass until the condition holds; fails after `boundMs`. */
  until(what: string, condition: () => boolean, boundMs?: number): Promise<void>;
  /** Lets so much time pass. */
  pass(ms: number): Promise<void>;
  close(): Promise<void>;
}

export class TestNode {
  readonly link: Link;
  readonly policy: FaultPolicy;
  readonly got: Envelope[] = [];
  readonly dropped: [kind: string, reason: DropReason][] = [];
  readonly ups: string[] = [];
  readonly downs: string[] = [];
  readonly #clock: Clock;
  #seq = 0;

  constructor(link: Link, policy: FaultPolicy, clock: Clock) {
    this.link = link;
    this.policy = policy;
    this.#clock = clock;
  }

  async start(): Promise<this> {
    await this.link.start({
      onEnvelope: (envelope) => this.got.push(envelope),
      onDrop: (envelope, reason) => this.dropped.push([envelope.kind, reason]),
      onPeerUp: (peer, incarnation) => this.ups.push(`${peer}/${incarnation}`),
      onPeerDown: (peer, incarnation, reason) => this.downs.push(`${peer}/${incarnation} ${reason}`),
    });
    return this;
  }

  letter(to: TestNode, kind: string, body: unknown = { n: this.#seq }, livesMs?: number): Envelope {
    this.#seq += 1;
    const { node, incarnation } = this.link;
    return {
      id: `${node}/${incarnation}/${this.#seq}` as EnvelopeId,
      trace: `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01` as TraceParent,
      lamport: this.#seq,
      from: node,
      fromPath: '/test',
      incarnation,
      to: to.link.node,
      toPath: '/test',
      kind,
      deadlineMs: livesMs === undefined ? 0 : this.#clock.nowMs() + livesMs,
      body,
    };
  }

  send(to: TestNode, kind: string, body?: unknown, livesMs?: number): void {
    this.link.send(this.letter(to, kind, body, livesMs));
  }

  kinds(): string[] {
    return this.got.map((envelope) => envelope.kind);
  }

  isUp(peer: TestNode): boolean {
    const name = `${peer.link.node}/${peer.link.incarnation}`;
    return (
      this.ups.filter((up) => up === name).length > this.downs.filter((d) => d.startsWith(`${name} `)).length
    );
  }
}

const cut = (from: string, to: string): FaultRule => ({
  id: `cut ${from} ${to}`,
  from: [from],
  to: [to],
  action: { type: 'cut' },
});

const count = (from: number, to: number, prefix = 'm'): string[] =>
  Array.from({ length: to - from }, (_, i) => `${prefix}${from + i}`);

export function linkCases(name: string, makeWorld: () => Promise<LinkWorld>): void {
  describe(`${name} link`, () => {
    let world: LinkWorld;
    const nodes: TestNode[] = [];

    beforeEach(async () => {
      world = await makeWorld();
    });

    afterEach(async () => {
      for (const node of nodes.splice(0)) await node.link.close();
      await world.close();
    });

    async function start(name: string, incarnation = 1, limits: Partial<LinkLimits> = {}): Promise<TestNode> {
      const policy = new FaultPolicy();
      const link = await world.link(nodeId(name), incarnation as Incarnation, policy, limits);
      const node = await new TestNode(link, policy, world.clock).start();
      nodes.push(node);
      return node;
    }

    async function join(a: TestNode, b: TestNode): Promise<void> {
      a.link.addPeer(b.link.node, b.link.address());
      await world.until(`${a.link.node} and ${b.link.node} meet`, () => a.isUp(b) && b.isUp(a));
    }

    async function pair(limits: Partial<LinkLimits> = {}): Promise<[TestNode, TestNode]> {
      const [a, b] = [await start('a', 1, limits), await start('b', 1, limits)];
      await join(a, b);
      return [a, b];
    }

    it('introduces two nodes to each other when one of them knows the other', async () => {
      const [a, b] = await pair();
      assert.deepEqual([a.ups, b.ups], [['b/1'], ['a/1']]);
    });

    it('says that a peer is up exactly once, also when both add each other, twice', async () => {
      const [a, b] = await pair();
      b.link.addPeer(a.link.node, a.link.address());
      a.link.addPeer(b.link.node, b.link.address());
      await world.pass(world.peerTimeoutMs * 2);
      assert.deepEqual([a.ups, b.ups, a.downs, b.downs], [['b/1'], ['a/1'], [], []]);
    });

    it('delivers in order per sender, both ways', async () => {
      const [a, b] = await pair();
      for (const kind of count(0, 500)) {
        a.send(b, kind);
        b.send(a, kind);
      }
      await world.until('all arrive', () => a.got.length === 500 && b.got.length === 500);
      assert.deepEqual(a.kinds(), count(0, 500));
      assert.deepEqual(b.kinds(), count(0, 500));
    });

    it('delivers no letter inside the call that sends it', async () => {
      const [a, b] = await pair();
      a.send(b, 'x');
      assert.equal(b.got.length, 0);
      await world.until('it arrives', () => b.got.length === 1);
    });

    it('keeps bodies: nested objects, bytes, big numbers, dates, undefined', async () => {
      const [a, b] = await pair();
      const body = {
        text: 'grüße 🙂',
        bytes: new Uint8Array([0, 1, 255]),
        large: new Uint8Array(300_000).fill(7),
        nested: { list: [1, -2.5, null, true, { deep: 'yes' }] },
        big: 2n ** 60n,
        at: new Date(1_700_000_000_000),
        safe: Number.MAX_SAFE_INTEGER,
      };
      a.send(b, 'x', body);
      await world.until('it arrives', () => b.got.length === 1);
      assert.deepEqual(b.got[0]?.body, body);
      assert.equal(b.got[0]?.fromPath, '/test');
    });

    it('drops what is for a peer that was never added as unreachable, and does not throw', async () => {
      const [a, b] = [await start('a'), await start('b')];
      a.send(b, 'x');
      assert.deepEqual(a.dropped, [], 'told in a later turn');
      await world.until('the drop is told', () => a.dropped.length === 1);
      assert.deepEqual(a.dropped, [['x', 'unreachable']]);
    });

    it('drops what is for a dead peer as unreachable once it is seen down', async () => {
      const [a, b] = await pair();
      await world.kill(b);
      await world.until('b is seen down', () => a.downs.length === 1, world.peerTimeoutMs * 3);
      a.send(b, 'x');
      await world.until('the drop is told', () => a.dropped.length === 1);
      assert.deepEqual(a.dropped, [['x', 'unreachable']]);
    });

    it('bounds the letters that wait for a peer and drops more with queue-full', async () => {
      const [a, b] = await pair({ outboundEnvelopesMax: 10 });
      for (const kind of count(0, 25)) a.send(b, kind);
      await world.until('all is settled', () => b.got.length + a.dropped.length === 25);
      assert.deepEqual(b.kinds(), count(0, 10));
      assert.deepEqual(
        a.dropped,
        count(10, 25).map((kind) => [kind, 'queue-full']),
      );
    });

    it('drops what has expired before it leaves', async () => {
      const [a, b] = await pair();
      a.send(b, 'late', {}, -1);
      a.send(b, 'fresh', {}, 60_000);
      await world.until('all is settled', () => b.got.length === 1 && a.dropped.length === 1);
      assert.deepEqual([b.kinds(), a.dropped], [['fresh'], [['late', 'expired']]]);
    });

    it('drops what expires under way', async () => {
      const [a, b] = await pair();
      a.policy.add({ id: 'd', from: ['*'], to: ['*'], action: { type: 'delay', minMs: 80, maxMs: 80 } });
      a.send(b, 'late', {}, 30);
      a.policy.clear();
      await world.pass(200);
      assert.deepEqual(b.kinds(), []);
      assert.deepEqual([...a.dropped, ...b.dropped], [['late', 'expired']]);
    });

    it('delays by rule and lets a letter that was held back arrive after a heal', async () => {
      const [a, b] = await pair();
      a.policy.add({ id: 'd', from: ['a'], to: ['b'], action: { type: 'delay', minMs: 100, maxMs: 100 } });
      a.send(b, 'held');
      a.policy.clear();
      a.policy.add(cut('a', 'b'));
      a.policy.clear();
      a.send(b, 'swift');
      await world.until('both arrive', () => b.got.length === 2);
      assert.deepEqual(b.kinds(), ['swift', 'held']);
    });

    it('duplicates by rule', async () => {
      const [a, b] = await pair();
      a.policy.add({ id: 'd', from: ['a'], to: ['b'], action: { type: 'duplicate', probability: 1 } });
      a.send(b, 'x');
      await world.until('both copies arrive', () => b.got.length === 2);
      assert.deepEqual(b.kinds(), ['x', 'x']);
    });

    it('cuts only the kinds that a rule names, and then the peer stays up', async () => {
      const [a, b] = await pair();
      a.policy.add({ ...cut('a', 'b'), kinds: ['x'] });
      a.send(b, 'x');
      a.send(b, 'y');
      await world.until('y arrives', () => b.got.length === 1);
      await world.pass(world.peerTimeoutMs * 2);
      assert.deepEqual([b.kinds(), a.dropped, b.downs], [['y'], [['x', 'fault']], []]);
    });

    it('cut in one direction: that direction drops, the other delivers, only the deaf side sees a peer down', async () => {
      const [a, b] = await pair();
      a.policy.add(cut('a', 'b'));
      a.send(b, 'lost');
      b.send(a, 'heard');
      await world.until('b misses a', () => b.downs.length === 1, world.peerTimeoutMs * 3);
      b.send(a, 'still heard');
      await world.until('a hears b', () => a.got.length === 2);
      assert.deepEqual([b.downs, a.downs], [['a/1 timeout'], []]);
      assert.deepEqual([a.kinds(), b.kinds()], [['heard', 'still heard'], []]);
      assert.deepEqual(a.dropped, [['lost', 'fault']]);
    });

    it('cut in both directions: both see the other down exactly once, and up again after a heal', async () => {
      const [a, b] = await pair();
      a.policy.add(cut('*', '*'));
      b.policy.add(cut('*', '*'));
      await world.until(
        'both miss the other',
        () => a.downs.length === 1 && b.downs.length === 1,
        world.peerTimeoutMs * 3,
      );
      await world.pass(world.peerTimeoutMs * 2);
      assert.deepEqual([a.downs, b.downs], [['b/1 timeout'], ['a/1 timeout']]);
      a.policy.clear();
      b.policy.clear();
      await world.until('they meet again', () => a.isUp(b) && b.isUp(a));
      a.send(b, 'after');
      await world.until('letters flow', () => b.got.length === 1);
      assert.deepEqual(
        [a.ups, b.ups],
        [
          ['b/1', 'b/1'],
          ['a/1', 'a/1'],
        ],
      );
    });

    it('a cut shorter than the timeout goes unnoticed', async () => {
      const [a, b] = await pair();
      a.policy.add(cut('*', '*'));
      await world.pass(world.peerTimeoutMs / 3);
      a.policy.clear();
      await world.pass(world.peerTimeoutMs * 2);
      assert.deepEqual([a.downs, b.downs], [[], []]);
    });

    it('nodes that are cut off from the start meet after the heal', async () => {
      const [a, b] = [await start('a'), await start('b')];
      a.policy.add(cut('*', '*'));
      a.link.addPeer(b.link.node, b.link.address());
      await world.pass(world.peerTimeoutMs);
      assert.deepEqual([a.ups, b.ups], [[], []]);
      a.policy.clear();
      await world.until('they meet', () => a.isUp(b) && b.isUp(a));
    });

    it('sees a killed peer down exactly once', async () => {
      const [a, b] = await pair();
      await world.kill(b);
      await world.until('b is seen down', () => a.downs.length > 0, world.peerTimeoutMs * 3);
      await world.pass(world.peerTimeoutMs * 2);
      assert.equal(a.downs.length, 1);
      assert.match(a.downs[0] ?? '', /^b\/1 (timeout|closed)$/);
    });

    it('sees a peer that closes down at once', async () => {
      const [a, b] = await pair();
      await b.link.close();
      await world.until('b is seen down', () => a.downs.length > 0, world.peerTimeoutMs / 2);
      await world.pass(world.peerTimeoutMs * 2);
      assert.deepEqual(a.downs, ['b/1 closed']);
    });

    it('meets a peer that restarts as a new incarnation', async () => {
      const [a, b] = await pair();
      await world.kill(b);
      const b2 = await start('b', 2);
      await join(b2, a);
      b2.send(a, 'hello');
      a.link.addPeer(b2.link.node, b2.link.address());
      await world.until('the new one talks', () => a.got.length === 1);
      assert.deepEqual(a.ups, ['b/1', 'b/2']);
      assert.equal(a.downs.length, 1);
      a.send(b2, 'welcome back');
      await world.until('the new one hears', () => b2.got.length === 1);
    });

    it('keeps a letter of an old incarnation from its receiver once the new one is known', async () => {
      const [a, b] = await pair();
      // Long enough for the new one to be met meanwhile, also on a machine that has much else to do.
      const delayMs = 600;
      b.policy.add({
        id: 'd',
        from: ['b'],
        to: ['a'],
        action: { type: 'delay', minMs: delayMs, maxMs: delayMs },
      });
      b.send(a, 'old');
      const b2 = await start('b', 2);
      await join(b2, a);
      await world.pass(delayMs + 150);
      assert.deepEqual(a.kinds(), []);
    });

    it('forgets a removed peer and takes it back when it is added again', async () => {
      const [a, b] = await pair();
      a.link.removePeer(b.link.node);
      assert.deepEqual(a.downs, ['b/1 closed']);
      await world.until('b sees it', () => b.downs.length === 1, world.peerTimeoutMs * 3);
      a.send(b, 'x');
      await world.until('the drop is told', () => a.dropped.length === 1);
      await world.pass(world.peerTimeoutMs * 2);
      assert.deepEqual([a.dropped, a.ups, b.got], [[['x', 'unreachable']], ['b/1'], []]);
      a.link.addPeer(b.link.node, b.link.address());
      await world.until('they meet again', () => a.isUp(b) && b.isUp(a));
    });

    it('drops what is sent after close, and closes twice without harm', async () => {
      const [a, b] = await pair();
      await a.link.close();
      await a.link.close();
      a.send(b, 'x');
      await world.until('the drop is told', () => a.dropped.length === 1);
      assert.deepEqual(a.dropped, [['x', 'closed']]);
    });

    it('refuses to send in the name of another node', async () => {
      const [a, b] = await pair();
      assert.throws(() => a.link.send({ ...a.letter(b, 'x'), from: nodeId('c') }), /in the name of c/);
    });
  });
}
