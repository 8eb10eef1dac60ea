/**
 * The HTTPS door, an edge: HTTP/1.1 and HTTP/2 on one port, TLS client certificates and bearer tokens in, ApiRequests
 * for the core, responses and streams out. Everything that Kubernetes clients expect of the wire and that the core
 * need not know of.
 */
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { gzip } from 'node:zlib';
import type { TraceParent } from '../../transport/index.js';
import type { ActorSystem } from '../runtime/index.js';
import { accountExistsIn, anonymous, authenticate, isOpenPath } from './authentication.js';
import { type ApiServer, statusResponse, toStatusError } from './core.js';
import { isProxied, proxyRequest } from './http-proxy.js';
import { limits } from './limits.js';
import {
  type ApiRequest,
  type ApiResponse,
  type ApiStream,
  type Identity,
  traceIdHeader,
} from './request.js';
import { badRequest, bodyTooLarge, unauthorized } from './status.js';
import { upgrade } from './websocket-door.js';

export interface HttpsDoorOptions {
  readonly system: ActorSystem;
  readonly server: ApiServer;
  /** PEM */
  readonly key: string;
  readonly certificate: string;
  /** PEM; certificates that it signed are clients. */
  readonly clientCa: string;
  readonly host?: string;
  /** 0: any free port. */
  readonly port: number;
  /** Bearer tokens of people and components; service account tokens come from the server's signer. */
  readonly staticTokens?: ReadonlyMap<string, Identity>;
  /** `Kabuki-Served-By`; default the node's name. */
  readonly servedBy?: string;
}

export interface HttpsDoor {
  readonly port: number;
  /** Says GOAWAY, lets running requests end, then closes; streams are cut after `graceMs`. */
  close(graceMs?: number): Promise<void>;
}

type Incoming = IncomingMessage | Http2ServerRequest;
type Outgoing = ServerResponse | Http2ServerResponse;

export async function openHttpsDoor(options: HttpsDoorOptions): Promise<HttpsDoor> {
  const door = new Door(options);
  await door.listen();
  return door;
}

class Door implements HttpsDoor {
  readonly #options: HttpsDoorOptions;
  readonly #http: Http2SecureServer;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #sockets = new Set<Duplex>();
  readonly #running = new Set<ApiStream>();
  #closing = false;

  constructor(options: HttpsDoorOptions) {
    this.#options = options;
    this.#http = createSecureServer({
      key: options.key,
      cert: options.certificate,
      ca: options.clientCa,
      requestCert: true,
      rejectUnauthorized: false,
      allowHTTP1: true,
      settings: { maxConcurrentStreams: limits.http2StreamsMax },
    });
    this.#http.on('request', (request: Incoming, response: Outgoing) => {
      this.#serve(request, response);
    });
    this.#http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#upgrade(request, socket, head);
    });
    this.#http.on('session', (session: ServerHttp2Session) => {
      this.#sessions.add(session);
      session.on('close', () => this.#sessions.delete(session));
      session.on('error', (error: Error) => this.#remark('http2 session failed', error));
    });
    this.#http.on('secureConnection', (socket: TLSSocket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', (error: Error) => this.#remark('connection failed', error));
    });
    this.#http.on('tlsClientError', (error: Error) => this.#remark('TLS handshake failed', error));
    this.#http.on('clientError', (error: Error, socket: Duplex) => {
      this.#remark('malformed request', error);
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    });
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  listen(): Promise<void> {
    const { host = '127.0.0.1', port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#http.once('error', reject);
      this.#http.listen(port, host, () => {
        this.#http.off('error', reject);
        this.#http.on('error', (error: Error) => this.#remark('https door failed', error));
        resolve();
      });
    });
  }

  async close(graceMs = 2_000): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    const { clock } = this.#options.system.env;
    const closed = new Promise<void>((resolve) => {
      this.#http.close(() => resolve());
    });
    for (const session of this.#sessions) session.close();
    for (const stream of this.#running) stream.cancel();
    const timer = clock.setTimer(graceMs, () => {
      for (const session of this.#sessions) session.destroy();
      for (const socket of this.#sockets) socket.destroy();
    });
    // Idle keep-alive connections would hold the door open until the timer.
    (this.#http as unknown as { closeIdleConnections?: () => void }).closeIdleConnections?.();
    await closed;
    timer.cancel();
  }

  /** One request, in a trace of its own: the caller's when it brings one. */
  #serve(request: Incoming, response: Outgoing): void {
    const { system } = this.#options;
    const begin = () => {
      void this.#answer(request, response).catch((error: unknown) => {
        this.#remark('response not delivered', error as Error);
        response.destroy();
      });
    };
    const parent = request.headers['traceparent'];
    if (typeof parent === 'string' && /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(parent)) {
      system.withCause({ trace: parent as TraceParent }, begin);
    } else system.withCause(newTrace(system), begin);
  }

  /** To WebSocket, which only HTTP/1.1 has. */
  #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { server, system } = this.#options;
    socket.on('error', (error: Error) => this.#remark('connection failed', error));
    system.withCause(newTrace(system), () => {
      void upgrade(
        {
          server,
          identify: async (peer) => {
            const request = requestHead(peer);
            const identity = await identifyPeer(peer, request, this.#options);
            system.note('https', `${peer.method} ${request.path} upgrade`, { user: identity.username });
            return { identity, request };
          },
          remark: (what, error) => this.#remark(what, error),
        },
        incoming,
        socket,
        head,
      );
    });
  }

  async #answer(incoming: Incoming, outgoing: Outgoing): Promise<void> {
    const { system, server } = this.#options;
    const startedMs = system.env.clock.monotonicMs();
    let request: ApiRequest | undefined;
    let user = '';
    let answer: ApiResponse;
    try {
      const head = requestHead(incoming);
      if (isProxied(head.path)) return await this.#proxy(head, incoming, outgoing);
      request = await readRequest(incoming, head);
      const identity = await this.#identify(incoming, request);
      user = identity.username;
      answer = await server.handle(request, identity);
    } catch (error) {
      answer = statusResponse(toStatusError(error));
    }
    const path = request?.path ?? incoming.url ?? '';
    system.note('https', `${incoming.method} ${path} ${answer.status}`, {
      user,
      ms: Math.round((system.env.clock.monotonicMs() - startedMs) * 1_000) / 1_000,
    });
    await this.#deliver(incoming, outgoing, answer);
  }

  /** Bodies stream through in both directions; only what is refused is answered here. */
  async #proxy(request: ApiRequest, incoming: Incoming, outgoing: Outgoing): Promise<void> {
    const { system, server } = this.#options;
    const identity = await this.#identify(incoming, request);
    const remark = (what: string, error: Error) => this.#remark(what, error);
    const options = { server, identity, request, incoming, remark };
    const status = await proxyRequest(options, outgoing, this.#headers());
    system.note('https', `${incoming.method} ${request.path} ${status}`, { user: identity.username });
  }

  async #identify(incoming: Incoming, request: ApiRequest): Promise<Identity> {
    return await identifyPeer(incoming, request, this.#options);
  }

  async #deliver(incoming: Incoming, outgoing: Outgoing, answer: ApiResponse): Promise<void> {
    const headers = { ...this.#headers(), ...answer.headers };
    if (this.#closing && incoming.httpVersionMajor === 1) headers['connection'] = 'close';
    if (answer.body instanceof Uint8Array) {
      await sendBytes(incoming, outgoing, answer.status, headers, answer.body);
      return;
    }
    const stream = answer.body;
    outgoing.writeHead(answer.status, headers);
    flush(outgoing);
    this.#pour(stream, outgoing);
  }

  #pour(stream: ApiStream, outgoing: Outgoing): void {
    this.#running.add(stream);
    const done = () => {
      this.#running.delete(stream);
      stream.cancel();
    };
    outgoing.on('close', done);
    outgoing.on('error', (error: Error) => this.#remark('stream failed', error));
    stream.start({
      chunk: (bytes) => void (outgoing as ServerResponse).write(bytes),
      end: () => {
        this.#running.delete(stream);
        outgoing.end();
      },
      bufferedBytes: () => ('stream' in outgoing ? outgoing.stream.writableLength : outgoing.writableLength),
    });
  }

  #headers(): Record<string, string> {
    const { system, servedBy } = this.#options;
    const trace = system.cause()?.trace.split('-')[1] ?? '';
    return {
      'cache-control': 'no-cache, private',
      'audit-id': system.env.uuid(),
      'kabuki-served-by': servedBy ?? system.node,
      ...(trace && { [traceIdHeader]: trace }),
    };
  }

  #remark(what: string, error: Error): void {
    this.#options.system.note('https', what, { error: error.message });
  }
}

function newTrace(system: ActorSystem) {
  const { random } = system.env;
  return { trace: `00-${random.hex(16)}-${random.hex(8)}-01` as TraceParent };
}

type Subject = ReturnType<TLSSocket['getPeerCertificate']>['subject'];
const subjects = new WeakMap<TLSSocket, Subject>();

/** A connection keeps its certificate; parsing it again for every request cost more than answering a GET. */
function subjectOf(socket: TLSSocket): Subject | undefined {
  const known = subjects.get(socket);
  if (known) return known;
  const subject = socket.getPeerCertificate()?.subject;
  if (subject) subjects.set(socket, subject);
  return subject;
}

/** The identity behind a request, with impersonation; throws 401 and 403. */
async function identifyPeer(
  incoming: Incoming,
  request: ApiRequest,
  { server, system, staticTokens }: Pick<HttpsDoorOptions, 'server' | 'system' | 'staticTokens'>,
): Promise<Identity> {
  const socket = tlsSocketOf(incoming);
  const subject = socket.authorized ? subjectOf(socket) : undefined;
  // A certificate that we did not sign is a wrong credential, not none.
  if (!socket.authorized && Object.keys(socket.getPeerCertificate() ?? {}).length > 0) throw unauthorized();
  const identity = await authenticate(
    {
      ...(subject && {
        certificate: { commonName: text(subject.CN), organizations: list(subject.O) },
      }),
      ...(request.headers['authorization'] && { authorization: request.headers['authorization'] }),
    },
    {
      ...(staticTokens && { staticTokens }),
      ...(server.context.tokens && { tokens: server.context.tokens }),
      accountExists: accountExistsIn(server.context.cache),
      nowMs: () => system.env.clock.nowMs(),
    },
  );
  if (!identity) {
    if (isOpenPath(request.path)) return anonymous;
    throw unauthorized();
  }
  return impersonate(identity, request, server);
}

function impersonate(identity: Identity, request: ApiRequest, server: ApiServer): Identity {
  if (!Object.keys(request.headers).some((name) => name.startsWith('impersonate-'))) return identity;
  return server.impersonate(identity, request.headers);
}

/** Of HTTP/2 the stream's session has it. */
function tlsSocketOf(incoming: Incoming): TLSSocket {
  const session = (incoming as Http2ServerRequest).stream?.session;
  return (session?.socket ?? incoming.socket) as TLSSocket;
}

function text(value: string | string[] | undefined): string {
  return Array.isArray(value) ? (value[0] ?? '') : (value ?? '');
}

function list(value: string | string[] | undefined): string[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : value.split('\n');
}

/** Splits target and headers; does not read a body. Throws 400. */
function requestHead(incoming: Incoming): Omit<ApiRequest, 'body'> {
  const url = incoming.url ?? '/';
  const mark = url.indexOf('?');
  let path: string;
  try {
    path = decodeURIComponent(mark === -1 ? url : url.slice(0, mark));
  } catch (error) {
    throw badRequest(`the path is not percent-encoded UTF-8: ${url}`, { cause: error });
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined && !name.startsWith(':')) {
      headers[name] = Array.isArray(value) ? value.join(', ') : value;
    }
  }
  return { method: incoming.method ?? 'GET', path, query: mark === -1 ? '' : url.slice(mark + 1), headers };
}

function readRequest(incoming: Incoming, head: Omit<ApiRequest, 'body'>): Promise<ApiRequest> {
  const declared = Number(incoming.headers['content-length'] ?? '0');
  const tooLarge = bodyTooLarge(limits.requestBodyBytesMax);
  if (declared > limits.requestBodyDrainedBytesMax) return Promise.reject(tooLarge);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    incoming.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limits.requestBodyBytesMax) chunks.push(chunk);
      else chunks.length = 0;
      // Within reason the rest is read and thrown away: a client that still sends would see a reset instead of the answer.
      if (size > limits.requestBodyDrainedBytesMax) reject(tooLarge);
    });
    incoming.on('end', () => {
      if (size > limits.requestBodyBytesMax) reject(tooLarge);
      else resolve(size > 0 ? { ...head, body: Buffer.concat(chunks) } : head);
    });
    incoming.on('error', (error: Error) => reject(badRequest(`request broken off: ${error.message}`)));
    incoming.on('aborted', () => reject(badRequest('request broken off')));
  });
}

async function sendBytes(
  incoming: Incoming,
  outgoing: Outgoing,
  status: number,
  headers: Record<string, string>,
  body: Uint8Array,
): Promise<void> {
  let bytes = body;
  const accepts = String(incoming.headers['accept-encoding'] ?? '');
  if (bytes.length > limits.gzipBytesMin && /\bgzip\b/.test(accepts)) {
    bytes = await new Promise<Buffer>((resolve, reject) => {
      gzip(body, { level: 1 }, (error, zipped) => (error ? reject(error) : resolve(zipped)));
    });
    headers['content-encoding'] = 'gzip';
    headers['vary'] = 'Accept-Encoding';
  }
  if (status !== 304) headers['content-length'] = String(bytes.length);
  outgoing.writeHead(status, headers);
  if (incoming.method === 'HEAD') outgoing.end();
  else outgoing.end(bytes);
}

function flush(outgoing: Outgoing): void {
  if ('flushHeaders' in outgoing) outgoing.flushHeaders();
}
