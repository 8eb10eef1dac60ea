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
  });

  it('opens all its addresses or none', async () => {
    const taken = await backend('taken');
    const port = await freePort();
    const probe = { isReady: async () => true, close: () => {} };
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
  isReady: (backend: Backend) => Promise<boolean>,
  play: (port: number, balancer: Awaited<ReturnType<typeof startLoadBalancer>>) => Promise<void>,
): Promise<void> {
  const port = await freePort();
  const probe = { isReady, close: () => {} };
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
