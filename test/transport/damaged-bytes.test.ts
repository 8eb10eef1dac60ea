/** Bytes that change on the way between two machines: a real link with CURVE takes nothing of what they were in. */
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { curveKeyPair } from 'zeromq';
import {
  FaultPolicy,
  type Incarnation,
  nodeId,
  ZmqLink,
  type ZmqLinkOptions,
} from '../../transport/index.js';
import { TestNode } from './link.case.js';
import { realClock, until, zmqOptions } from './zmq-world.js';

/** Stands in the way of connections, and changes one byte of some of what it passes on. */
class NoisyWay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** A port that was free a moment ago, for whoever is behind. */
  targetPort = 0;
  /** How many chunks are still to be damaged. */
  damages = 0;
  connections = 0;

  private constructor() {
    this.#server = createServer((socket) => this.#connected(socket));
  }

  static async open(): Promise<NoisyWay> {
    const way = new NoisyWay();
    way.#server.listen(0, '127.0.0.1');
    const other = createServer().listen(0, '127.0.0.1');
    await Promise.all([once(way.#server, 'listening'), once(other, 'listening')]);
    way.targetPort = portOf(other);
    await new Promise((resolve) => other.close(resolve));
    return way;
  }

  get address(): string {
    return `tcp://127.0.0.1:${portOf(this.#server)}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #connected(near: Socket): void {
    this.connections += 1;
    const far = connect(this.targetPort, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => other.destroy());
    }
    far.on('data', (bytes) => near.write(bytes));
    near.on('data', (bytes) => {
      // What is long is letters; a byte in the middle is one of theirs.
      if (this.damages > 0 && bytes.length > 400) {
        this.damages -= 1;
        const at = bytes.length >> 1;
        bytes[at] = bytes[at]! ^ 1;
      }
      far.write(bytes);
    });
  }
}

describe('a link with CURVE, over a way that changes bytes', function () {
  this.timeout(30_000);

  it('delivers nothing that was changed, and begins anew', async () => {
    const way = await NoisyWay.open();
    const [a, b] = await startBehind(way);
    const body = { bytes: new Uint8Array(1_000).fill(7) };
    try {
      a.link.addPeer(b.link.node, way.address);
      await until('they meet', () => a.isUp(b) && b.isUp(a));
      const { connections } = way;
      for (const round of ['first', 'second', 'third']) {
        way.damages = 1;
        const came = () => {
          a.send(b, round, body);
          return way.damages === 0 && b.kinds().at(-1) === round;
        };
        await until('a byte is changed, and letters come again', came, 10_000);
      }
      for (const { body: got } of b.got) assert.deepEqual(got, body);
      assert(way.connections >= connections + 3, `${way.connections} connections`);
    } finally {
      await a.link.close();
      await b.link.close();
      way.close();
    }
  });
});

/** `b` is behind the way, and lets everybody know of no other. */
async function startBehind(way: NoisyWay): Promise<readonly [TestNode, TestNode]> {
  const keys = { a: curveKeyPair(), b: curveKeyPair() };
  const serverKeys = new Map([
    [nodeId('a'), keys.a.publicKey],
    [nodeId('b'), keys.b.publicKey],
  ]);
  const start = async (name: 'a' | 'b', addresses: Partial<ZmqLinkOptions>) => {
    const policy = new FaultPolicy();
    const options = zmqOptions({ curve: { ...keys[name], serverKeys }, ...addresses });
    const link = new ZmqLink(nodeId(name), 1 as Incarnation, policy, options);
    return new TestNode(link, policy, realClock).start();
  };
  const bind = `tcp://127.0.0.1:${way.targetPort}`;
  return [await start('a', {}), await start('b', { bind, advertise: way.address })];
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
