import { strict as assert } from 'node:assert';
import { createSocket } from 'node:dgram';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { type Listener, type ListenerState, UserSpaceProxy } from '../../../actors/proxy/index.js';
import { realClock, realRandom } from '../../../actors/runtime/index.js';
import { until } from '../kubelet/until.js';

const vip = '127.96.77.1';

/** A server that answers each line with its name and the line. */
async function echo(
  name: string,
  address: string,
  port = 0,
): Promise<{ server: Server; port: number; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => socket.write(`${name}:${bytes}`));
    socket.on('end', () => socket.end());
  });
  await new Promise<void>((resolve) => server.listen(port, address, resolve));
  return { server, sockets, port: (server.address() as { port: number }).port };
}

async function say(socket: Socket, text: string): Promise<string> {
  const answer = new Promise<string>((resolve, reject) => {
    socket.once('data', (bytes) => resolve(String(bytes)));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
  socket.write(text);
  return answer;
}

async function dial(port: number): Promise<Socket> {
  const socket = createConnection({ host: vip, port });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.once('error', reject);
  });
  return socket;
}

describe('user-space proxy', () => {
  const proxies: UserSpaceProxy[] = [];
  const servers: Server[] = [];
  const clients: Socket[] = [];
  const newProxy = (limits = {}) => {
    const proxy = new UserSpaceProxy({
      clock: realClock,
      random: realRandom,
      limits: { standbyRetryMs: 30, ...limits },
    });
    proxies.push(proxy);
    return proxy;
  };
  const pod = async (name: string, address: string, port = 0) => {
    const started = await echo(name, address, port);
    servers.push(started.server);
    return started;
  };
  const ask = async (port: number): Promise<string> => {
    const socket = await dial(port);
    clients.push(socket);
    return say(socket, 'x');
  };
  const listener = (
    port: number,
    backends: Listener['backends'],
    parts: Partial<Listener> = {},
  ): Listener => ({
    key: `tcp/${vip}:${port}`,
    protocol: 'tcp',
    address: vip,
    port,
    service: 'default/web',
    backends,
    ...parts,
  });
  const isBound = (proxy: UserSpaceProxy, port: number) =>
    proxy.states().get(`tcp/${vip}:${port}`)?.type === 'bound';
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    for (const proxy of proxies.splice(0)) await proxy.close();
    for (const server of servers.splice(0)) server.close();
  });

  it('spreads connections over all endpoints', async () => {
    const a = await pod('a', '127.64.77.1');
    const b = await pod('b', '127.64.77.2');
    const proxy = newProxy();
    proxy.apply([
      listener(18080, [
        { address: '127.64.77.1', port: a.port },
        { address: '127.64.77.2', port: b.port },
      ]),
    ]);
    await until('bound', () => isBound(proxy, 18080));
    const seen = new Set<string>();
    for (let count = 0; count < 40; count += 1) seen.add(await ask(18080));
    assert.deepEqual([...seen].sort(), ['a:x', 'b:x']);
  });

  it('tries another endpoint when one refuses', async () => {
    const a = await pod('a', '127.64.77.1');
    const proxy = newProxy();
    proxy.apply([
      listener(18081, [
        { address: '127.64.77.1', port: a.port },
        { address: '127.64.77.9', port: 9 },
      ]),
    ]);
    await until('bound', () => isBound(proxy, 18081));
    for (let count = 0; count < 20; count += 1) assert.equal(await ask(18081), 'a:x');
  });

  it('resets a client when no endpoint takes it', async () => {
    const proxy = newProxy();
    proxy.apply([listener(18082, [{ address: '127.64.77.9', port: 9 }])]);
    await until('bound', () => isBound(proxy, 18082));
    await assert.rejects(ask(18082), { code: 'ECONNRESET' });
  });

  it('refuses connections of a service that it serves no more, and lets those that stand go on', async () => {
    const a = await pod('a', '127.64.77.1');
    const proxy = newProxy();
    proxy.apply([listener(18083, [{ address: '127.64.77.1', port: a.port }])]);
    await until('bound', () => isBound(proxy, 18083));
    const client = await dial(18083);
    clients.push(client);
    assert.equal(await say(client, '1'), 'a:1');
    proxy.apply([]);
    await until('refused', () =>
      dial(18083).then(
        (socket) => (socket.destroy(), false),
        (error) => error.code === 'ECONNREFUSED',
      ),
    );
    assert.equal(await say(client, '2'), 'a:2');
  });

  it('drains: after an endpoint goes, old connections stay with it and new ones go elsewhere', async () => {
    const a = await pod('a', '127.64.77.1');
    const b = await pod('b', '127.64.77.2');
    const proxy = newProxy();
    proxy.apply([listener(18084, [{ address: '127.64.77.1', port: a.port }])]);
    await until('bound', () => isBound(proxy, 18084));
    const old = await dial(18084);
    clients.push(old);
    assert.equal(await say(old, '1'), 'a:1');
    proxy.apply([listener(18084, [{ address: '127.64.77.2', port: b.port }])]);
    assert.equal(await ask(18084), 'b:x');
    assert.equal(await say(old, '2'), 'a:2');
    // The pod ends: so does the connection.
    for (const socket of a.sockets) socket.destroy();
    await new Promise((resolve) => old.once('close', resolve));
  });

  it('closes halves by themselves, losing nothing', async () => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      let size = 0;
      socket.on('data', (bytes) => (size += bytes.length));
      socket.on('end', () => socket.end(`got ${size}`));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.64.77.1', resolve));
    const proxy = newProxy();
    proxy.apply([
      listener(18085, [{ address: '127.64.77.1', port: (server.address() as { port: number }).port }]),
    ]);
    await until('bound', () => isBound(proxy, 18085));
    const client = createConnection({ host: vip, port: 18085, allowHalfOpen: true });
    clients.push(client);
    client.end(Buffer.alloc(3_000_000));
    let text = '';
    for await (const bytes of client) text += String(bytes);
    assert.equal(text, 'got 3000000');
  });

  it('keeps a client with its endpoint under session affinity, until the time is over', async () => {
    const a = await pod('a', '127.64.77.1');
    const b = await pod('b', '127.64.77.2');
    const backends = [
      { address: '127.64.77.1', port: a.port },
      { address: '127.64.77.2', port: b.port },
    ];
    const proxy = newProxy();
    proxy.apply([listener(18086, backends, { affinityMs: 60_000 })]);
    await until('bound', () => isBound(proxy, 18086));
    const first = await ask(18086);
    for (let count = 0; count < 20; count += 1) assert.equal(await ask(18086), first);
    proxy.apply([listener(18086, backends, { affinityMs: 0 })]);
    await until('another one', async () => (await ask(18086)) !== first);
  });

  it('stands by while another proxy holds the address, and takes over when that ends', async () => {
    const a = await pod('a', '127.64.77.1');
    const first = newProxy();
    const second = newProxy();
    const heard: string[] = [];
    second.onState((_listener, state) => heard.push(state.type));
    const one = listener(18087, [{ address: '127.64.77.1', port: a.port }]);
    first.apply([one]);
    await until('bound', () => isBound(first, 18087));
    second.apply([one]);
    await until('standby', () => second.states().get(one.key)?.type === 'standby');
    await first.close();
    await until('takes over', () => isBound(second, 18087));
    assert.deepEqual(heard, ['standby', 'bound']);
    assert.equal(await ask(18087), 'a:x');
  });

  it('says what to do about a port that it may not have', async function refusal() {
    const proxy = newProxy();
    let state: ListenerState | undefined;
    proxy.onState((_listener, now) => (state = now));
    // Not an address of this machine (TEST-NET-1): refused for whoever asks.
    proxy.apply([listener(18088, [{ address: '127.64.77.1', port: 1 }], { address: '192.0.2.1' })]);
    await until('refused', () => state?.type === 'refused');
    assert.match(state?.type === 'refused' ? state.message : '', /not an address of this machine/);
  });

  it('refuses connections beyond its limit', async () => {
    const a = await pod('a', '127.64.77.1');
    const proxy = newProxy({ connectionsMax: 1 });
    proxy.apply([listener(18089, [{ address: '127.64.77.1', port: a.port }])]);
    await until('bound', () => isBound(proxy, 18089));
    assert.equal(await ask(18089), 'a:x');
    await assert.rejects(ask(18089));
    clients.splice(0).forEach((client) => client.destroy());
    await until('room again', () =>
      ask(18089).then(
        () => true,
        () => false,
      ),
    );
  });

  it('carries datagrams both ways, and to another endpoint when one goes', async () => {
    const pods = ['a', 'b'].map((name, index) => {
      const socket = createSocket('udp4');
      socket.on('message', (bytes, from) => socket.send(`${name}:${bytes}`, from.port, from.address));
      socket.bind(17053, `127.64.77.${index + 1}`);
      return socket;
    });
    const proxy = newProxy();
    const key = `udp/${vip}:18053`;
    const udp = (address: string): Listener => ({
      ...listener(18053, [{ address, port: 17053 }]),
      key,
      protocol: 'udp',
    });
    proxy.apply([udp('127.64.77.1')]);
    await until('bound', () => proxy.states().get(key)?.type === 'bound');
    const client = createSocket('udp4');
    const answers: string[] = [];
    client.on('message', (bytes, from) => answers.push(`${from.address} ${bytes}`));
    await until('an answer', () => {
      client.send('1', 18053, vip);
      return answers.includes(`${vip} a:1`);
    });
    proxy.apply([udp('127.64.77.2')]);
    await until('an answer of the other', () => {
      client.send('2', 18053, vip);
      return answers.includes(`${vip} b:2`);
    });
    client.close();
    for (const socket of pods) socket.close();
  });
});
