/**
 * One address in front of all apiservers: forwards TCP connections, round robin over the backends that are well. One that
 * refuses a connection is dropped at once; a health probe drops those that have lost the store's quorum, and those that
 * hang: at the first silence they get no new connection, at the second the ones they have end too. It takes them back
 * in. Until then one that does not answer a client's first bytes is passed over, unseen by the client,
 * whose bytes are kept for the next one. TLS passes through untouched.
 */
import { createServer, connect, type Server, type Socket } from 'node:net';

const connectTimeoutMs = 500;
const probeIntervalMs = 2_000;
/** A living apiserver answers a TLS ClientHello much sooner, even on a machine that is busy. */
const firstByteTimeoutMs = 2_000;
/** What a client says before the server's first byte: a ClientHello. */
const openingBytesMax = 64 * 1024;

export interface Backend {
  readonly host: string;
  readonly port: number;
}

interface BackendState extends Backend {
  up: boolean;
  /** The last probe got no answer in time. */
  silent: boolean;
  readonly sockets: Set<Socket>;
}

/** `silent`: it took the question and did not answer in time; it may only be busy. */
export type Health = 'ready' | 'unready' | 'silent';

/** Asks a backend whether it is well; never rejects. */
export interface HealthProbe {
  ask(backend: Backend): Promise<Health>;
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
): Promise<LoadBalancer> {
  const states: BackendState[] = backends.map((backend) => ({
    ...backend,
    up: true,
    silent: false,
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
    void forward(client, [...order.filter((s) => s.up), ...order.filter((s) => !s.up)]);
  };
  const servers = await openAll(listen, serve);
  const timer = setInterval(() => void probeAll(states, probe), probeIntervalMs);
  timer.unref();

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
async function forward(client: Socket, candidates: readonly BackendState[]): Promise<void> {
  const said: Buffer[] = [];
  let bytes = 0;
  let hear = (_chunk: Buffer): void => {};
  client.on('data', (chunk: Buffer) => {
    said.push(chunk);
    bytes += chunk.length;
    if (bytes > openingBytesMax) client.pause();
    hear(chunk);
  });
  for (const backend of candidates) {
    const upstream = await dial(backend);
    if (!upstream) {
      markDown(backend);
      continue;
    }
    for (const chunk of said) upstream.write(chunk);
    hear = (chunk) => upstream.write(chunk);
    const first = await firstBytes(upstream, client);
    hear = () => {};
    if (first !== undefined && !client.destroyed) {
      client.removeAllListeners('data');
      return join(client, upstream, first, backend);
    }
    upstream.destroy();
    if (client.destroyed) return;
  }
  client.destroy();
}

/** Undefined: none came in time, or the connection ended. Waits as long as the client itself says nothing. */
function firstBytes(upstream: Socket, client: Socket): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const settle = (bytes: Buffer | undefined) => {
      upstream.pause();
      upstream.off('data', settle);
      upstream.off('close', gone);
      client.off('close', gone);
      client.off('data', spoken);
      clearTimeout(timer);
      resolve(bytes);
    };
    const gone = () => settle(undefined);
    const spoken = () => {
      timer ??= setTimeout(gone, firstByteTimeoutMs);
    };
    upstream.once('data', settle);
    upstream.on('error', () => upstream.destroy());
    upstream.once('close', gone);
    client.once('close', gone);
    client.on('data', spoken);
    if (client.bytesRead > 0) spoken();
    if (client.destroyed) gone();
  });
}

function join(client: Socket, upstream: Socket, first: Buffer, backend: BackendState): void {
  backend.up = true;
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

/** Its connections are ended too, so that clients go elsewhere at once. */
function markDown(backend: BackendState): void {
  backend.up = false;
  for (const socket of backend.sockets) socket.destroy();
}

async function probeAll(states: readonly BackendState[], probe: HealthProbe): Promise<void> {
  const answers = await Promise.all(states.map((backend) => probe.ask(backend)));
  // When none is well, each may still answer something, and cutting everybody off would help nobody.
  if (!answers.includes('ready')) return;
  states.forEach((backend, i) => {
    const answer = answers[i];
    if (answer === 'unready' || (answer === 'silent' && backend.silent)) markDown(backend);
    else backend.up = answer === 'ready';
    backend.silent = answer === 'silent';
  });
}

function dial(backend: Backend): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: backend.host, port: backend.port });
    const failed = () => {
      socket.destroy();
      resolve(undefined);
    };
    socket.setTimeout(connectTimeoutMs, failed);
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.setTimeout(0);
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
