/** Two nodes of one process whose letters take the short way: all that a link must do, and that it is taken. */
import { strict as assert } from 'node:assert';
import {
  FaultPolicy,
  type Incarnation,
  nodeId,
  shortWay,
  type ShortWayEnd,
  ZmqLink,
} from '../../transport/index.js';
import { ShortWay } from '../../transport/zmq/short-way.js';
import { linkCases, TestNode } from './link.case.js';
import { realClock, until, zmqOptions, zmqWorld } from './zmq-world.js';

function shortWays() {
  const [ofA, ofB] = shortWay();
  const ends: Record<
    string,
    { readonly to: ReturnType<typeof nodeId>; readonly end: ShortWayEnd } | undefined
  > = {
    a: { to: nodeId('b'), end: ofA },
    b: { to: nodeId('a'), end: ofB },
  };
  return (node: string) => {
    const mine = ends[node];
    // A node that is started again is in another process, and has none.
    delete ends[node];
    return { ...(mine && { shortWay: mine }) };
  };
}

linkCases('ZeroMQ, with a short way between threads,', async () => zmqWorld(shortWays()));

describe('a short way', () => {
  it('holds no more than so many batches that nobody has taken, and goes on when they are', async () => {
    const [here, there] = shortWay();
    const [sender, receiver] = [new ShortWay(here), new ShortWay(there)];
    sender.start(() => {});
    let sent = 0;
    while (sender.send([new Uint8Array([sent])])) sent += 1;
    assert.equal(sent, 64);
    const taken: number[] = [];
    receiver.start((batch) => taken.push(batch[0]!));
    await until('all are taken', () => taken.length === 64);
    assert.deepEqual(
      taken,
      Array.from({ length: 64 }, (_, i) => i),
    );
    assert(sender.send([new Uint8Array([1, 2]), new Uint8Array([3])]));
    await until('the next one is taken', () => taken.length === 65);
    receiver.close();
    await until('the sender knows', () => !sender.isOpen);
    sender.close();
  });

  it('carries letters once the nodes have met over ZeroMQ, and ZeroMQ does when it is closed', async () => {
    const [ofA, ofB] = shortWay();
    const over: string[] = [];
    const start = async (name: string, peer: string, end: ShortWayEnd) => {
      const link = new ZmqLink(nodeId(name), 1 as Incarnation, new FaultPolicy(), {
        ...zmqOptions(),
        shortWay: { to: nodeId(peer), end },
      });
      const node = await new TestNode(link, new FaultPolicy(), realClock).start();
      end.port.on('message', () => over.push(name));
      return node;
    };
    const [a, b] = [await start('a', 'b', ofA), await start('b', 'a', ofB)];
    try {
      a.link.addPeer(b.link.node, b.link.address());
      await until('they meet', () => a.isUp(b) && b.isUp(a));
      a.send(b, 'one');
      await until('it arrives', () => b.got.length === 1);
      assert.deepEqual(over, ['b']);
      ofB.port.close();
      await until('it is closed at the other end', () => {
        a.send(b, 'more');
        return b.kinds().includes('more');
      });
      assert.deepEqual(
        over.filter((name) => name === 'a'),
        [],
      );
    } finally {
      await a.link.close();
      await b.link.close();
    }
  });
});
