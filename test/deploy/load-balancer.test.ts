import { strict as assert } from 'node:assert';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { portIsFree } from '../../deploy/create-cluster.js';
import { type Backend, type Health, startLoadBalancer } from '../../deploy/load-balancer.js';
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
      async () => 'ready',
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
      async () => 'ready',
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
      async () => 'ready',
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
      async ({ port }) => (port === backends[sick]?.port ? 'unready' : 'ready'),
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
  });

  it('keeps the connections of a backend that is silent once, and ends them when it stays so', async () => {
    const backends = [await backend('a'), await backend('b')];
    let busy = -1;
    let silences = 0;
    const asked = async ({ port }: Backend): Promise<Health> => {
      if (port !== backends[busy]?.port) return 'ready';
      silences += 1;
      // Silent once, well again, then silent for good.
      return silences === 2 ? 'ready' : 'silent';
    };
    await balanced(backends, asked, async (port) => {
      const held = await hold(port);
      busy = held.name === 'a' ? 0 : 1;
      await held.closed;
      assert.equal(silences, 4);
    });
  }).timeout(15_000);

  it('opens all its addresses or none', async () => {
    const taken = await backend('taken');
    const port = await freePort();
    const probe = { ask: async () => 'ready' as const, close: () => {} };
    const both = [{ host: '127.0.0.1', port }, taken];
    await assert.rejects(startLoadBalancer(both, [taken], probe), { code: 'EADDRINUSE' });
    await waitFor('the free port to be free again', 2_000, () => portIsFree(port));
  });

  it('cuts nobody off when no backend is well', async () => {
    await balanced(
      [await backend('a')],
      async () => 'unready',
      async (port) => {
        const held = await hold(port);
        await assert.rejects(
          waitFor('the connection to end', 2_500, async () => held.ended()),
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
  health: (backend: Backend) => Promise<Health>,
  play: (port: number, balancer: Awaited<ReturnType<typeof startLoadBalancer>>) => Promise<void>,
): Promise<void> {
  const port = await freePort();
  const probe = { ask: health, close: () => {} };
  const balancer = await startLoadBalancer([{ host: '127.0.0.1', port }], backends, probe);
  try {
    await play(port, balancer);
  } finally {
    await balancer.close();
  }
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

function ask(port: number, question = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', reject);
    if (question !== '') socket.write(question);
    socket.once('data', (data) => {
      socket.destroy();
      resolve(String(data));
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
