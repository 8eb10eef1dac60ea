import { strict as assert } from 'node:assert';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { portIsFree } from '../../deploy/create-cluster.js';
import { type Backend, startLoadBalancer } from '../../deploy/load-balancer.js';
import { waitFor } from '../../deploy/wait.js';

describe('load balancer', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  it('spreads connections over the backends that are well', async () => {
    const backends = [await backend('a'), await backend('b')];
    await balanced(
      backends,
      async () => true,
      async (port) => {
        const seen = new Set([await ask(port), await ask(port), await ask(port), await ask(port)]);
        assert.deepEqual([...seen].sort(), ['a', 'b']);
      },
    );
  });

  it('passes over a backend that refuses, at once', async () => {
    const dead = { host: '127.0.0.1', port: await freePort() };
    await balanced(
      [dead, await backend('b')],
      async () => true,
      async (port) => {
        for (let i = 0; i < 4; i += 1) assert.equal(await ask(port), 'b');
      },
    );
  });

  it('passes over a backend that accepts and says nothing, as a stopped process does, and loses no byte', async () => {
    const silent = await served((socket) => void socket.on('data', () => {}));
    const echo = await served((socket) => void socket.on('data', (bytes) => socket.write(bytes)));
    await balanced(
      [silent, echo],
      async () => true,
      async (port) => {
        for (let i = 0; i < 3; i += 1) assert.equal(await ask(port, `hello ${i}`), `hello ${i}`);
      },
    );
  }).timeout(10_000);

  it('drops a backend that says that it is not well, ends its connections, and takes it back', async () => {
    const backends = [await backend('a'), await backend('b')];
    let sick = -1;
    await balanced(
      backends,
      async ({ port }) => port !== backends[sick]?.port,
      async (port, balancer) => {
        const held = await hold(port);
        sick = held.name === 'a' ? 0 : 1;
        await held.closed;
        const other = sick === 0 ? 'b' : 'a';
        for (let i = 0; i < 4; i += 1) assert.equal(await ask(port), other);
        sick = -1;
        await waitFor('the backend to be back', 5_000, async () => balancer.backends.every(({ up }) => up));
      },
    );
  }).timeout(15_000);

  it('keeps the connections of a backend that is not well once, and ends them when it stays so', async () => {
    const backends = [await backend('a'), await backend('b')];
    let busy = -1;
    let refusals = 0;
    const asked = async ({ port }: Backend): Promise<boolean> => {
      if (port !== backends[busy]?.port) return true;
      refusals += 1;
      // Once, then well again, then for good.
      return refusals === 2;
    };
    await balanced(backends, asked, async (port) => {
      const held = await hold(port);
      busy = held.name === 'a' ? 0 : 1;
      await held.closed;
      assert.equal(refusals, 4);
    });
  }).timeout(15_000);

  it('keeps its connections, and makes one, when its process stood still meanwhile', async () => {
    await balanced(
      [await backend('slow')],
      async () => true,
      async (port) => {
        const held = await hold(port);
        for (const turns of [0, 1, 2]) assert.equal(await ask(port, '', turns), 'slow');
        assert.equal(held.ended(), false);
      },
    );
  }).timeout(15_000);

  it('gives a client that all keep waiting another round, with more time', async () => {
    const asked: number[] = [];
    const busy = await served((socket) => {
      asked.push(Date.now());
      // Says nothing the first time, and only after 0.8 s the second.
      if (asked.length > 1) socket.once('data', () => setTimeout(() => socket.write('at last'), 800));
    });
    await balanced(
      [busy],
      async () => true,
      async (port) => {
        assert.equal(await ask(port, 'hello'), 'at last');
        assert.equal(asked.length, 2);
      },
    );
  }).timeout(15_000);

  it('gives up a client on whom all hang up', async () => {
    let calls = 0;
    const rude = await served((socket) => {
      calls += 1;
      socket.destroy();
    });
    await balanced(
      [rude],
      async () => true,
      async (port) => {
        const socket = connect(port, '127.0.0.1');
        socket.write('hello');
        await new Promise<void>((resolve) => socket.once('close', () => resolve()));
        assert.equal(calls, 1);
      },
    );
  });

  it('opens all its addresses or none', async () => {
    const taken = await backend('taken');
    const port = await freePort();
    const probe = { ask: async () => true, close: () => {} };
    const both = [{ host: '127.0.0.1', port }, taken];
    await assert.rejects(startLoadBalancer(both, [taken], probe), { code: 'EADDRINUSE' });
    await waitFor('the free port to be free again', 2_000, () => portIsFree(port));
  });

  it('cuts nobody off when no backend is well', async () => {
    await balanced(
      [await backend('a')],
      async () => false,
      async (port) => {
        const held = await hold(port);
        await assert.rejects(
          waitFor('the connection to end', 1_000, async () => held.ended()),
          /waited/,
        );
        assert.equal(await ask(port), 'a');
      },
    );
  }).timeout(10_000);

  async function backend(name: string): Promise<Backend> {
    return served((socket) => void socket.write(name));
  }

  async function served(serve: (socket: Socket) => void): Promise<Backend> {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      serve(socket);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { host: '127.0.0.1', port: (server.address() as { port: number }).port };
  }
});

async function balanced(
  backends: readonly Backend[],
  health: (backend: Backend) => Promise<boolean>,
  play: (port: number, balancer: Awaited<ReturnType<typeof startLoadBalancer>>) => Promise<void>,
): Promise<void> {
  const port = await freePort();
  const probe = { ask: health, close: () => {} };
  const pace = { probeIntervalMs: 200, firstByteTimeoutMs: 500 };
  const balancer = await startLoadBalancer([{ host: '127.0.0.1', port }], backends, probe, pace);
  try {
    await play(port, balancer);
  } finally {
    await balancer.close();
  }
}

/** As a process on a machine that is too busy for it. */
async function standStillAfter(turns: number): Promise<void> {
  for (let turn = 0; turn <= turns; turn += 1) await new Promise(setImmediate);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
}

interface Held {
  readonly name: string;
  readonly closed: Promise<void>;
  ended(): boolean;
}

function hold(port: number): Promise<Held> {
  return new Promise((resolve, reject) => {
    let ended = false;
    const socket = connect(port, '127.0.0.1');
    const closed = new Promise<void>((done) =>
      socket.once('close', () => {
        ended = true;
        done();
      }),
    );
    socket.once('error', reject);
    socket.once('data', (data) => resolve({ name: String(data), closed, ended: () => ended }));
  });
}

/** `stillAfterTurns`: of the event loop; then it stands still, while the balancer dials. */
function ask(port: number, question = '', stillAfterTurns?: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', reject);
    if (question !== '') socket.write(question);
    if (stillAfterTurns !== undefined) socket.once('connect', () => void standStillAfter(stillAfterTurns));
    socket.once('close', () => reject(new Error('hung up')));
    socket.once('data', (data) => {
      resolve(String(data));
      socket.destroy();
    });
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
