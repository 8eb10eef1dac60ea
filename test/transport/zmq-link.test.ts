import { strict as assert } from 'node:assert';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import * as zmq from 'zeromq';
import {
  type CurveKeys,
  type EnvelopeId,
  FaultPolicy,
  type Incarnation,
  encodeEnvelope,
  MemoryJournal,
  nodeId,
  ZmqLink,
  type ZmqLinkOptions,
} from '../../transport/index.js';
import { linkCases, TestNode } from './link.case.js';
import { realClock, until, zmqOptions, zmqWorld } from './zmq-world.js';

/** Keys of a few nodes that know each other. */
function curveOf(...names: string[]): (name: string) => { curve: CurveKeys } {
  const pairs = new Map(names.map((name) => [name, zmq.curveKeyPair()]));
  const serverKeys = new Map([...pairs].map(([name, keys]) => [name, keys.publicKey]));
  return (name) => ({ curve: { ...(pairs.get(name) ?? zmq.curveKeyPair()), serverKeys } });
}

const kindsOf = (journal: MemoryJournal) => journal.events().map(({ kind }) => kind);

linkCases('ZeroMQ', async () => zmqWorld());
linkCases('ZeroMQ with CURVE', async () => {
  const options = curveOf('a', 'b');
  return zmqWorld(options);
});

describe('ZeroMQ link', () => {
  const nodes: TestNode[] = [];
  const sockets: zmq.Dealer[] = [];

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.close();
    for (const node of nodes.splice(0)) await node.link.close();
  });

  async function start(
    name: string,
    options: Partial<ZmqLinkOptions> = {},
  ): Promise<TestNode & { journal: MemoryJournal; zmq: ZmqLink }> {
    const journal = new MemoryJournal();
    const policy = new FaultPolicy();
    const link = new ZmqLink(nodeId(name), 1 as Incarnation, policy, zmqOptions({ journal, ...options }));
    const node = await new TestNode(link, policy, realClock).start();
    nodes.push(node);
    return Object.assign(node, { journal, zmq: link });
  }

  /** A client that speaks ZeroMQ but not our protocol. */
  function stranger(address: string): zmq.Dealer {
    const socket = new zmq.Dealer({ linger: 0, receiveTimeout: 2000 });
    socket.connect(address);
    sockets.push(socket);
    return socket;
  }

  async function meet(a: TestNode, b: TestNode): Promise<void> {
    a.link.addPeer(b.link.node, b.link.address());
    await until('they meet', () => a.isUp(b) && b.isUp(a));
  }

  it('refuses a peer of another cluster, and both sides say so', async () => {
    const [a, b] = [await start('a'), await start('b', { clusterId: 'other' })];
    a.link.addPeer(b.link.node, b.link.address());
    await until('both journals tell', () => a.journal.events().length > 0 && b.journal.events().length > 0);
    assert.deepEqual(
      [b.journal.events()[0]?.kind, b.journal.events()[0]?.detail],
      [
        'link.refused',
        { peer: 'a', code: 'wrong-cluster', why: 'a is of cluster test, b is of cluster other' },
      ],
    );
    assert.equal(a.journal.events()[0]?.kind, 'link.refused-by-peer');
    assert.equal(a.journal.events()[0]?.detail?.['why'], 'a is of cluster test, b is of cluster other');
    assert.equal(a.zmq.peers()[0]?.refusal, 'a is of cluster test, b is of cluster other');
    assert.deepEqual([a.ups, b.ups], [[], []]);
  });

  it('refuses a peer with another protocol version, and tells it why', async () => {
    const a = await start('a');
    const client = stranger(a.link.address());
    await client.send([
      'H',
      JSON.stringify({
        protocol: 99,
        cluster: 'test',
        node: 'x',
        incarnation: 1,
        address: 'tcp://127.0.0.1:1',
      }),
    ]);
    const [type, content] = await client.receive();
    assert.equal(type?.toString(), 'R');
    assert.deepEqual(JSON.parse(String(content)), {
      code: 'wrong-protocol',
      message: 'x speaks link protocol 99, a speaks 1',
    });
    assert.deepEqual(kindsOf(a.journal), ['link.refused']);
  });

  it('counts and journals garbage frames and goes on', async () => {
    const [a, b] = [await start('a'), await start('b')];
    await meet(a, b);
    const client = stranger(a.link.address());
    const garbage: (string | Buffer)[][] = [
      ['nonsense'],
      [''],
      ['H'],
      ['H', 'no json'],
      ['H', '[1]'],
      ['H', '{"protocol":1,"cluster":"test","node":"NOT A NODE","incarnation":1,"address":"x"}'],
      ['H', `{"protocol":1,"cluster":"${'x'.repeat(5000)}"}`],
      ['P', '{"token":7}'],
      ['C', '{}'],
      ['H', 'a', 'b', 'c'],
      [Buffer.from([0, 255, 254]), Buffer.alloc(1000, 7)],
    ];
    for (const frame of garbage) await client.send(frame);
    await until('all are counted', () => a.zmq.counters.garbage === garbage.length);
    assert.deepEqual(new Set(kindsOf(a.journal)), new Set(['link.garbage']));
    b.send(a, 'still works');
    await until('letters flow', () => a.got.length === 1);
  });

  it('survives bytes that are not even ZeroMQ', async () => {
    const [a, b] = [await start('a'), await start('b')];
    await meet(a, b);
    const socket = createConnection(Number(a.link.address().split(':').at(-1)), '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(100));
    await sleep(50);
    socket.destroy();
    b.send(a, 'still works');
    await until('letters flow', () => a.got.length === 1);
  });

  it('takes no letter from a connection that has not proven who it is', async () => {
    const [a, b] = [await start('a'), await start('b')];
    await meet(a, b);
    const client = stranger(a.link.address());
    await client.send(['E', encodeEnvelope(b.letter(a, 'forged'))]);
    assert.equal(String((await client.receive())[0]), 'X', 'told to say hello');
    await client.send([
      'H',
      JSON.stringify({ protocol: 1, cluster: 'test', node: 'b', incarnation: 1, address: b.link.address() }),
    ]);
    await client.send(['P', JSON.stringify({ token: '00'.repeat(16) })]);
    await client.send(['E', encodeEnvelope(b.letter(a, 'forged'))]);
    assert.equal(String((await client.receive())[0]), 'X');
    assert.equal(String((await client.receive())[0]), 'X');
    b.send(a, 'true');
    await until('the true one arrives', () => a.got.length === 1);
    assert.deepEqual([a.kinds(), a.downs], [['true'], []]);
  });

  it('drops and journals letters in the name of another node', async () => {
    const [a, b] = [await start('a'), await start('b')];
    await meet(a, b);
    // A link would not send this: b's sender name is changed behind its back.
    Object.defineProperty(b.link, 'node', { value: nodeId('c') });
    b.link.send({ ...b.letter(a, 'forged'), id: 'c/1/1' as EnvelopeId });
    await until('it is counted', () => a.zmq.counters.forged === 1);
    assert.deepEqual(a.got, []);
    const event = a.journal.events().find((e) => e.type === 'drop');
    assert.deepEqual(
      [event?.reason, event?.from, event?.detail],
      ['wrong-identity', 'kabuki://c/test', { peer: 'b' }],
    );
  });

  it('reconnects after a restart at the same address', async () => {
    const [a, b] = [await start('a'), await start('b')];
    await meet(a, b);
    const address = b.link.address();
    await b.link.close();
    await until('b is seen down', () => a.downs.length === 1);
    const policy = new FaultPolicy();
    const link = new ZmqLink(nodeId('b'), 2 as Incarnation, policy, zmqOptions({ bind: address }));
    const b2 = await new TestNode(link, policy, realClock).start();
    nodes.push(b2);
    await until('a finds it again', () => a.isUp(b2) && b2.isUp(a));
  });

  it('holds back nothing that a delivery order could show: 20,000 letters arrive in order', async () => {
    const [a, b] = [await start('a'), await start('b')];
    await meet(a, b);
    let sent = 0;
    while (sent < 20_000) {
      for (let i = 0; i < 1000; i++) a.send(b, `m${sent++}`);
      await until('there is room', () => b.got.length > sent - 8000);
    }
    await until('all arrive', () => b.got.length === sent);
    assert.deepEqual(
      b.got.map((envelope) => envelope.kind),
      Array.from({ length: sent }, (_, i) => `m${i}`),
    );
  });

  it('binds to and dials nothing but loopback without CURVE', async () => {
    const make = (options: Partial<ZmqLinkOptions>) =>
      new ZmqLink(nodeId('a'), 1 as Incarnation, new FaultPolicy(), zmqOptions(options));
    assert.throws(() => make({ bind: 'tcp://0.0.0.0:0' }), { code: 'insecure-bind' });
    assert.throws(() => make({ advertise: 'tcp://10.0.0.1:7000' }), { code: 'insecure-bind' });
    assert.throws(() => make({}).addPeer(nodeId('b'), 'tcp://10.0.0.1:7000'), { code: 'insecure-bind' });
    assert.throws(() => make({}).addPeer(nodeId('b'), 'localhost'), { code: 'bad-address' });
    assert.throws(() => make({ bind: 'tcp://127.0.0.1:99999' }), { code: 'bad-address' });
  });

  it('says clearly that its port is taken', async () => {
    const a = await start('a');
    const b = new ZmqLink(
      nodeId('b'),
      1 as Incarnation,
      new FaultPolicy(),
      zmqOptions({ bind: a.link.address() }),
    );
    const events = { onEnvelope() {}, onDrop() {}, onPeerUp() {}, onPeerDown() {} };
    await assert.rejects(b.start(events), {
      code: 'bind-failed',
      message: /b cannot listen at tcp:.*in use/i,
    });
    await b.close();
  });

  describe('with CURVE', () => {
    it('refuses a peer whose key it does not know, and both sides say so', async () => {
      const known = curveOf('a', 'b');
      const a = await start('a', known('a'));
      const serverKeys = new Map(known('a').curve.serverKeys);
      const b = await start('b', { curve: { ...zmq.curveKeyPair(), serverKeys } });
      b.link.addPeer(a.link.node, a.link.address());
      await until('both journals tell', () => a.journal.events().length > 0 && b.journal.events().length > 0);
      assert.equal(a.journal.events()[0]?.detail?.['why'], 'unknown CURVE key');
      assert.equal(b.journal.events()[0]?.kind, 'link.refused-by-peer');
      assert.deepEqual([a.ups, b.ups], [[], []]);
    });

    it('refuses a peer without any key, and both sides say so', async () => {
      const a = await start('a', curveOf('a', 'b')('a'));
      const b = await start('b');
      b.link.addPeer(a.link.node, a.link.address());
      await until('both journals tell', () => a.journal.events().length > 0 && b.journal.events().length > 0);
      const { detail } = a.journal.events()[0]!;
      // Whoever sees it first hangs up, and the other one sees no more than that.
      assert(
        ['ERR_ZMTP_MECHANISM_MISMATCH', 'EPIPE'].includes(String(detail?.['code'])),
        JSON.stringify(detail),
      );
      assert.deepEqual([a.ups, b.ups], [[], []]);
    });

    it('does not take a known key for the name of another node', async () => {
      const options = curveOf('a', 'b', 'thief');
      const [a, b] = [await start('a', options('a')), await start('b', options('b'))];
      await meet(a, b);
      // The thief has a key of the cluster and says that it is b.
      const thief = await start('b', options('thief'));
      thief.link.addPeer(a.link.node, a.link.address());
      await sleep(400);
      assert.deepEqual([thief.ups, a.downs, b.downs], [[], [], []]);
      thief.link.send(thief.letter(a, 'forged'));
      b.send(a, 'true');
      await until('the true one arrives', () => a.got.length === 1);
      assert.deepEqual(a.kinds(), ['true']);
    });
  });
});
