/**
 * Where etcd's clients connect, an edge: gRPC over HTTP/2, and HTTP/1.1 for health, version and metrics, on one port. Over TLS
 * the client says which by ALPN; on a plaintext port its first bytes do. The servers of node:http and node:http2 never listen
 * themselves, they are handed the connections.
 */
import { createServer as createHttp1, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  createServer as createHttp2,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import {
  checkServerIdentity,
  createServer as createTls,
  type SecureContextOptions,
  Server as TlsServer,
  type TLSSocket,
} from 'node:tls';
import { FirstCall } from './first-call.js';
import { type CallHost, serveCall } from './http2-call.js';
import { type EtcdLimits, etcdLimits } from './limits.js';
import type { Methods } from './method.js';
import { UnusedConnections } from './unused-connections.js';

export interface EtcdTls {
  /** PEM */
  readonly key: string;
  readonly certificate: string;
  /** PEM; with it clients must bring a certificate that it signed. */
  readonly clientCa?: string;
  /** PEM: certificates of clients that count no more. With it every authority must have a list in force. */
  readonly clientCrl?: string;
  /** A name that the certificate of a client must be for, beside what it is called. */
  readonly clientHostname?: string;
  /** The common name of that certificate is the name of a user. */
  readonly clientCertAuth?: boolean;
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
}

export interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export interface EtcdDoorOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly tls?: EtcdTls;
  readonly methods: Methods;
  readonly calls: CallHost;
  /** Undefined for a path that there is not. */
  page(path: string, query: URLSearchParams): Promise<Page | undefined>;
  readonly limits: EtcdLimits;
}

export interface EtcdDoor {
  readonly port: number;
  /** Other certificates, for connections from now on. Throws when they cannot be used, and leaves it as it was. */
  renewTls(tls: EtcdTls): void;
  /** Says GOAWAY, lets running requests end, then closes; what is left is cut after `graceMs`. */
  close(graceMs?: number): Promise<void>;
}

export async function openEtcdDoor(options: EtcdDoorOptions): Promise<EtcdDoor> {
  const door = new Door(options);
  await door.listen();
  return door;
}

const preface = 'PRI ';

class Door implements EtcdDoor {
  readonly #options: EtcdDoorOptions;
  readonly #server: Server;
  #tls: EtcdTls | undefined;
  readonly #http1 = createHttp1((request, response) => {
    this.#unused.used(request.socket);
    void this.#servePage(request, response);
  });
  readonly #http2;
  readonly #sessions = new Set<ServerHttp2Session>();
  /** Whom the certificate names, where that counts. */
  readonly #commonNames = new WeakMap<ServerHttp2Session, string>();
  readonly #sockets = new Set<Socket>();
  readonly #unused: UnusedConnections;

  constructor(options: EtcdDoorOptions) {
    this.#options = options;
    this.#tls = options.tls;
    const { limits, calls } = options;
    this.#unused = new UnusedConnections(calls.clock, limits.firstCallTimeoutMs);
    this.#http2 = createHttp2({
      maxSessionMemory: limits.http2SessionMemoryMaxMb,
      settings: {
        maxConcurrentStreams: limits.http2StreamsMax,
        initialWindowSize: limits.http2WindowBytes,
        enablePush: false,
      },
    });
    this.#http2.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) =>
      this.#serveStream(stream, headers),
    );
    this.#http2.on('session', (session: ServerHttp2Session) => {
      this.#sessions.add(session);
      this.#noteCommonName(session);
      session.setLocalWindowSize(limits.http2WindowBytes * 4);
      session.on('close', () => this.#sessions.delete(session));
      // What a client does to its connection is its own affair; its calls are told by their streams.
      session.on('error', () => {});
    });
    this.#server = options.tls
      ? this.#listenTls(options.tls)
      : createTcp({ noDelay: true }, (socket) => {
          this.#keep(socket);
          this.#unused.accepted(socket);
          this.#sniff(socket);
        });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  renewTls(tls: EtcdTls): void {
    if (!(this.#server instanceof TlsServer)) throw new TypeError('a door without TLS has no certificates');
    this.#server.setSecureContext(contextOf(tls));
    this.#tls = tls;
  }

  async close(graceMs = etcdLimits.closeGraceMs): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const session of this.#sessions) session.close();
    this.#http1.closeIdleConnections();
    const timer = this.#options.calls.clock.setTimer(graceMs, () => {
      for (const session of this.#sessions) session.destroy();
      for (const socket of this.#sockets) socket.destroy();
    });
    await closed;
    timer.cancel();
  }

  #listenTls(tls: EtcdTls): Server {
    const server = createTls({
      ...contextOf(tls),
      ALPNProtocols: ['h2', 'http/1.1'],
      noDelay: true,
      handshakeTimeout: this.#options.limits.firstBytesTimeoutMs,
      ...(tls.clientCa !== undefined && { requestCert: true, rejectUnauthorized: true }),
    });
    // From before the handshake on: who does not end it must not outlive the door.
    server.on('connection', (socket: Socket) => this.#keep(socket));
    // Node tells of a handshake that takes too long, and leaves it.
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    server.on('secureConnection', (socket: TLSSocket) => {
      this.#unused.accepted(socket);
      socket.on('error', () => {});
      if (!this.#isForHostname(socket)) return void socket.destroy();
      if (socket.alpnProtocol === 'h2') this.#firstCall(socket);
      else this.#http1.emit('connection', socket);
    });
    return server;
  }

  /** Its alternative names alone count, as for Go. */
  #isForHostname(socket: TLSSocket): boolean {
    const hostname = this.#tls?.clientHostname;
    if (hostname === undefined) return true;
    const certificate = socket.getPeerCertificate();
    return (
      certificate.subjectaltname !== undefined && checkServerIdentity(hostname, certificate) === undefined
    );
  }

  #noteCommonName(session: ServerHttp2Session): void {
    const tls = this.#tls;
    if (tls?.clientCa === undefined || tls.clientCertAuth !== true) return;
    const socket = session.socket as TLSSocket;
    if (!socket.authorized) return;
    const { subject } = socket.getPeerCertificate();
    const name: unknown = subject?.CN;
    // One that claims several names proves none.
    if (typeof name === 'string') this.#commonNames.set(session, name);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => {});
  }

  /** HTTP/2 begins with a preface of its own (RFC 9113 §3.4). */
  #sniff(socket: Socket): void {
    const { clock } = this.#options.calls;
    const timer = clock.setTimer(this.#options.limits.firstBytesTimeoutMs, () => socket.destroy());
    socket.once('close', () => timer.cancel());
    const look = () => {
      const first = socket.read() as Buffer | null;
      if (first === null) return void socket.once('readable', look);
      socket.unshift(first);
      const begin = first.toString('latin1', 0, preface.length);
      if (begin.length < preface.length && preface.startsWith(begin)) {
        return void socket.once('readable', look);
      }
      timer.cancel();
      if (begin === preface) this.#firstCall(socket);
      else this.#http1.emit('connection', socket);
    };
    socket.once('readable', look);
  }

  #firstCall(socket: Socket): void {
    const first = new FirstCall((bytes) => socket.write(bytes));
    const look = () => {
      const chunk = socket.read() as Buffer | null;
      const bytes = chunk === null ? undefined : first.push(chunk);
      if (bytes === undefined) return void socket.once('readable', look);
      socket.unshift(bytes);
      // The session comes within.
      this.#http2.once('session', (session: ServerHttp2Session) =>
        session.once('stream', () => this.#unused.used(socket)),
      );
      this.#http2.emit('connection', socket);
    };
    look();
  }

  #serveStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const path = headers[':path'] ?? '';
    const type = headers['content-type'] ?? '';
    if (headers[':method'] === 'POST' && type.startsWith('application/grpc')) {
      const commonName = stream.session && this.#commonNames.get(stream.session as ServerHttp2Session);
      return serveCall(
        stream,
        headers,
        path,
        this.#options.methods.get(path),
        this.#options.calls,
        commonName,
      );
    }
    stream.on('error', () => {});
    stream.resume();
    if (headers[':method'] === 'GET') void this.#pageOnStream(stream, path);
    else stream.respond({ ':status': 415 }, { endStream: true });
  }

  async #pageOnStream(stream: ServerHttp2Stream, path: string): Promise<void> {
    const { status, type, body } = await this.#page(path);
    if (stream.destroyed) return;
    stream.respond({ ':status': status, 'content-type': type });
    stream.end(body);
  }

  async #servePage(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const { status, type, body } = isRead
      ? await this.#page(request.url ?? '/')
      : { status: 405, type: 'text/plain', body: 'Method Not Allowed\n' };
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  async #page(target: string): Promise<Page> {
    const mark = target.indexOf('?');
    const path = mark === -1 ? target : target.slice(0, mark);
    const query = new URLSearchParams(mark === -1 ? '' : target.slice(mark + 1));
    try {
      const page = await this.#options.page(path, query);
      return page ?? { status: 404, type: 'text/plain', body: '404 page not found\n' };
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      return { status: 503, type: 'text/plain', body: `${text}\n` };
    }
  }
}

function contextOf({ key, certificate, clientCa, clientCrl, minVersion }: EtcdTls): SecureContextOptions {
  return {
    key,
    cert: certificate,
    ...(clientCa !== undefined && { ca: clientCa }),
    ...(clientCrl !== undefined && { crl: clientCrl }),
    ...(minVersion !== undefined && { minVersion }),
  };
}
