/**
 * One address in front of all apiservers: forwards TCP connections, round robin over the backends that are well. One that
 * refuses a connection gets no more until a health probe finds it well; the probe also finds those that have lost the store's
 * quorum, and those that hang: at its first word of that they get no new connection, at the second the ones they have end
 * too, so that clients go elsewhere. A backend that does not answer a client's first bytes soon is passed over, unseen by the
 * client, whose bytes are kept for the next one; a client is given up when it leaves, or when all backends refuse it.
 * TLS passes through untouched.
 */
import { createServer, connect, type Server, type Socket } from 'node:net';

const connectTimeoutMs = 500;

export interface BalancerPace {
  readonly probeIntervalMs: number;
  /** A living apiserver answers a ClientHello sooner, but on a machine that is very busy: each round gives twice the time. */
  readonly firstByteTimeoutMs: number;
}

const usualPace: BalancerPace = { probeIntervalMs: 2_000, firstByteTimeoutMs: 2_000 };

/** What a client says before the server's first byte: a ClientHello. */
const openingBytesMax = 64 * 1024;

export interface Backend {
  readonly host: string;
  readonly port: number;
}

interface BackendState extends Backend {
  up: boolean;
  readonly sockets: Set<Socket>;
}

export interface HealthProbe {
  /** Whether a backend is well; never rejects. */
  ask(backend: Backend): Promise<boolean>;
  close(): void;
}

export interface LoadBalancer {
  readonly backends: readonly { readonly host: string; readonly port: number; readonly up: boolean }[];
  close(): Promise<void>;
}

/** `probe` says which backends should get work; it is closed with the balancer. */
export async function startLoadBalancer(
  listen: readonly Backend[],
  backends: readonly Backend[],
  probe: HealthProbe,
  { probeIntervalMs, firstByteTimeoutMs }: BalancerPace = usualPace,
): Promise<LoadBalancer> {
  const states: BackendState[] = backends.map((backend) => ({
    ...backend,
    up: true,
    sockets: new Set(),
  }));
  let turn = 0;
  const clients = new Set<Socket>();

  const serve = (client: Socket) => {
    clients.add(client);
    client.on('error', () => client.destroy());
    client.on('close', () => clients.delete(client));
    turn += 1;
    const order = rotate(states, turn);
    // Those believed down come last: when all are believed down, one of them may be back.
    const candidates = [...order.filter((s) => s.up), ...order.filter((s) => !s.up)];
    void forward(client, candidates, firstByteTimeoutMs);
  };
  const servers = await openAll(listen, serve);
  const timer = setInterval(() => void probeAll(states, probe), probeIntervalMs);
  timer.unref();
  void probeAll(states, probe);

  return {
    get backends() {
      return states.map(({ host, port, up }) => ({ host, port, up }));
    },
    close: async () => {
      clearInterval(timer);
      probe.close();
      for (const client of clients) client.destroy();
      await Promise.all(
        servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
      );
    },
  };
}

/** Finds a backend that answers, then joins the two. */
async function forward(
  client: Socket,
  candidates: readonly BackendState[],
  firstByteTimeoutMs: number,
): Promise<void> {
  const said: Buffer[] = [];
  let bytes = 0;
  let hear = (_chunk: Buffer): void => {};
  client.on('data', (chunk: Buffer) => {
    said.push(chunk);
    bytes += chunk.length;
    if (bytes > openingBytesMax) client.pause();
    hear(chunk);
  });
  let isAnyBusy = true;
  for (let timeoutMs = firstByteTimeoutMs; isAnyBusy && !client.destroyed; timeoutMs *= 2) {
    isAnyBusy = false;
    for (const backend of candidates) {
      const upstream = await dial(backend);
      if (!upstream) {
        backend.up = false;
        continue;
      }
      for (const chunk of said) upstream.write(chunk);
      hear = (chunk) => upstream.write(chunk);
      const first = await firstBytes(upstream, client, timeoutMs);
      hear = () => {};
      if (typeof first !== 'string' && !client.destroyed) {
        client.removeAllListeners('data');
        return join(client, upstream, first, backend);
      }
      upstream.destroy();
      if (client.destroyed) return;
      isAnyBusy ||= first === 'late';
    }
  }
  client.destroy();
}

/** What comes first. It is waited for as long as the client itself says nothing, and then for `timeoutMs`. */
function firstBytes(
  upstream: Socket,
  client: Socket,
  timeoutMs: number,
): Promise<Buffer | 'late' | 'closed'> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    let isSettled = false;
    const settle = (first: Buffer | 'late' | 'closed') => {
      if (isSettled) return;
      isSettled = true;
      upstream.pause();
      upstream.off('data', settle);
      upstream.off('close', closed);
      client.off('close', closed);
      client.off('data', spoken);
      clearTimeout(timer);
      resolve(first);
    };
    const closed = () => settle('closed');
    const spoken = () => {
      timer ??= unlessItCame(timeoutMs, () => settle('late'));
    };
    upstream.once('data', settle);
    upstream.on('error', () => upstream.destroy());
    upstream.once('close', closed);
    client.once('close', closed);
    client.on('data', spoken);
    if (client.bytesRead > 0) spoken();
    if (client.destroyed) closed();
  });
}

function join(client: Socket, upstream: Socket, first: Buffer, backend: BackendState): void {
  backend.sockets.add(upstream);
  upstream.setNoDelay(true);
  client.setNoDelay(true);
  upstream.on('close', () => {
    backend.sockets.delete(upstream);
    client.destroy();
  });
  client.on('close', () => upstream.destroy());
  client.write(first);
  client.pipe(upstream);
  upstream.pipe(client);
}

async function probeAll(states: readonly BackendState[], probe: HealthProbe): Promise<void> {
  const answers = await Promise.all(states.map((backend) => probe.ask(backend)));
  // When none is well, each may still answer something, and cutting everybody off would help nobody.
  if (!answers.includes(true)) return;
  states.forEach((backend, i) => {
    const isWell = answers[i] === true;
    // Not at the first word: it may only be busy, or hear a little later than others who leads the store.
    if (!isWell && !backend.up) for (const socket of backend.sockets) socket.destroy();
    backend.up = isWell;
  });
}

/** After a process stood still, timers fire before what came meanwhile is read: that gets another turn. */
function unlessItCame(timeoutMs: number, late: () => void): NodeJS.Timeout {
  return setTimeout(() => void setImmediate(late), timeoutMs);
}

function dial(backend: Backend): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: backend.host, port: backend.port });
    let isOpen = false;
    const failed = () => {
      if (isOpen) return;
      socket.destroy();
      resolve(undefined);
    };
    const timer = unlessItCame(connectTimeoutMs, failed);
    socket.once('error', failed);
    socket.once('connect', () => {
      isOpen = true;
      clearTimeout(timer);
      socket.removeListener('error', failed);
      resolve(socket);
    });
  });
}

/** All or none: a listener that stayed open would keep the process alive. */
async function openAll(listen: readonly Backend[], serve: (client: Socket) => void): Promise<Server[]> {
  const results = await Promise.allSettled(listen.map((address) => open(address, serve)));
  const servers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = results.find((result) => result.status === 'rejected');
  if (!failed) return servers;
  for (const server of servers) server.close();
  throw failed.reason;
}

function open(address: Backend, serve: (client: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ pauseOnConnect: false }, serve);
    server.once('error', reject);
    server.listen(address.port, address.host, () => {
      server.removeListener('error', reject);
      resolve(server);
    });
  });
}

function rotate<T>(items: readonly T[], by: number): T[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
