/**
 * The control socket of a process: a unix socket that no fault touches, because it is no link. One JSON object a line,
 * `{id, method, params}` one way and `{id, result}` or `{id, error: {code, message}}` the other; several requests may be
 * under way on one connection. Only the owner may connect (mode 0600). An edge: sockets and files.
 */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { TransportError, type TransportErrorCode, transportErrorCodes } from '../errors.js';

/** Answers with anything that JSON can say. Validates its own params; what it throws goes to the caller. */
export type ControlHandler = (params: unknown) => Promise<unknown>;

const controlLimits = {
  /** sun_path of Linux holds 108 bytes with its final zero; macOS 104. */
  socketPathBytesMax: 103,
  requestBytesMax: 1024 * 1024,
  responseBytesMax: 64 * 1024 * 1024,
  connectionsMax: 64,
  requestsPerConnectionMax: 64,
} as const;

export class ControlServer {
  readonly path: string;
  readonly #handlers: ReadonlyMap<string, ControlHandler>;
  readonly #connections = new Set<Socket>();
  #server: Server | undefined;

  constructor(path: string, handlers: Readonly<Record<string, ControlHandler>>) {
    checkPath(path);
    this.path = path;
    this.#handlers = new Map(Object.entries(handlers));
  }

  /** Takes the place of a socket that a dead process left; refuses when a living one serves it. */
  async start(): Promise<void> {
    await removeStale(this.path);
    const server = createServer((connection) => this.#serve(connection));
    server.maxConnections = controlLimits.connectionsMax;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        listenPrivately(server, this.path, resolve);
      });
      chmodSync(this.path, 0o600);
    } catch (error) {
      server.close();
      throw new TransportError(
        'socket-path',
        `cannot serve the control socket ${this.path}: ${text(error)}`,
        error,
      );
    }
    this.#server = server;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const connection of this.#connections) connection.destroy();
    await closed;
  }

  #serve(connection: Socket): void {
    this.#connections.add(connection);
    connection.on('close', () => this.#connections.delete(connection));
    // A client that goes away in the middle is its own business.
    connection.on('error', () => connection.destroy());
    let underWay = 0;
    const answer = (response: object) => {
      if (!connection.destroyed) connection.write(`${JSON.stringify(response)}\n`);
    };
    const fail = (id: RequestId, error: TransportError) =>
      answer({ id, error: { code: error.code, message: error.message } });
    readLines(connection, controlLimits.requestBytesMax, {
      line: (line) => {
        const request = parseRequest(line);
        if (request instanceof TransportError) {
          fail(null, request);
          return;
        }
        if (underWay >= controlLimits.requestsPerConnectionMax) {
          const why = `more than ${controlLimits.requestsPerConnectionMax} requests under way`;
          fail(request.id, new TransportError('control-request', why));
          return;
        }
        underWay += 1;
        void this.#call(request)
          .then(answer)
          .finally(() => (underWay -= 1));
      },
      tooLong: (bytes) => {
        fail(null, new TransportError('too-large', `a request line above ${bytes} bytes`));
        connection.end();
      },
    });
  }

  async #call({ id, method, params }: ControlRequest): Promise<object> {
    const handler = this.#handlers.get(method);
    if (handler === undefined) {
      const known = [...this.#handlers.keys()].toSorted().join(', ');
      return { id, error: { code: 'control-method', message: `no method ${method}; there are: ${known}` } };
    }
    try {
      const result = await handler(params);
      return { id, result: result === undefined ? null : JSON.parse(JSON.stringify(result)) };
    } catch (error) {
      const code = error instanceof TransportError ? error.code : 'control-failed';
      return { id, error: { code, message: text(error) } };
    }
  }
}

/** Rejects with TransportError: `control-unreachable`, `control-timeout`, or what the other side answered. */
export async function controlCall(
  path: string,
  method: string,
  params: unknown,
  timeoutMs: number,
): Promise<unknown> {
  checkPath(path);
  const connection = createConnection(path);
  try {
    return await new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new TransportError('control-timeout', `${method} at ${path} took more than ${timeoutMs} ms`));
      }, timeoutMs);
      const settle = (result: unknown) => {
        clearTimeout(timer);
        if (result instanceof TransportError) reject(result);
        else resolve(result);
      };
      connection.on('error', (error) =>
        settle(new TransportError('control-unreachable', `nobody serves ${path}: ${error.message}`, error)),
      );
      connection.on('close', () =>
        settle(new TransportError('control-unreachable', `${path} was closed before ${method} was answered`)),
      );
      readLines(connection, controlLimits.responseBytesMax, {
        line: (line) => settle(parseResponse(line)),
        tooLong: (bytes) =>
          settle(new TransportError('too-large', `the answer to ${method} exceeds ${bytes} bytes`)),
      });
      connection.write(`${JSON.stringify({ id: 1, method, params: params ?? null })}\n`);
    });
  } finally {
    connection.destroy();
  }
}

type RequestId = string | number | null;

interface ControlRequest {
  readonly id: RequestId;
  readonly method: string;
  readonly params: unknown;
}

function parseRequest(line: string): ControlRequest | TransportError {
  const value = parseJson(line);
  if (typeof value !== 'object' || value === null) {
    return new TransportError('control-request', 'a request is one JSON object {id, method, params} a line');
  }
  const { id = null, method, params = null } = value as Record<string, unknown>;
  if (id !== null && typeof id !== 'string' && typeof id !== 'number') {
    return new TransportError('control-request', 'the id of a request must be a string or a number');
  }
  if (typeof method !== 'string') {
    return new TransportError('control-request', 'the method of a request must be a string');
  }
  return { id, method, params };
}

/** The result, or the error as TransportError. */
function parseResponse(line: string): unknown {
  const value = parseJson(line) as Record<string, unknown> | null | undefined;
  if (typeof value !== 'object' || value === null) {
    return new TransportError('control-request', 'the answer is no JSON object');
  }
  const error = value['error'] as { code?: unknown; message?: unknown } | undefined;
  if (error === undefined) return value['result'];
  const code = String(error.code);
  const known = Object.hasOwn(transportErrorCodes, code) ? (code as TransportErrorCode) : 'control-failed';
  return new TransportError(known, String(error.message));
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function readLines(
  connection: Socket,
  bytesMax: number,
  on: { line(line: string): void; tooLong(bytesMax: number): void },
): void {
  let pieces: Buffer[] = [];
  let bytes = 0;
  let ended = false;
  connection.on('data', (chunk: Buffer) => {
    let rest = chunk;
    while (!ended) {
      const end = rest.indexOf(0x0a);
      const piece = end === -1 ? rest : rest.subarray(0, end);
      bytes += piece.length;
      if (bytes > bytesMax) {
        ended = true;
        pieces = [];
        on.tooLong(bytesMax);
        return;
      }
      pieces.push(piece);
      if (end === -1) return;
      const line = Buffer.concat(pieces).toString('utf8');
      pieces = [];
      bytes = 0;
      rest = rest.subarray(end + 1);
      if (line.trim() !== '') on.line(line);
    }
  });
}

/** The socket appears within the call, so that the mask covers no other file. Worker threads cannot set it. */
function listenPrivately(server: Server, path: string, done: () => void): void {
  const umask = isMainThread ? process.umask(0o177) : undefined;
  try {
    server.listen(path, done);
  } finally {
    if (umask !== undefined) process.umask(umask);
  }
}

function checkPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > controlLimits.socketPathBytesMax) {
    throw new TransportError(
      'socket-path',
      `the control socket path has ${bytes} bytes, the system allows ${controlLimits.socketPathBytesMax}: ` +
        `use a shorter data directory (${path})`,
    );
  }
}

async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) {
    throw new TransportError('socket-path', `${path} exists and is no socket: remove it`);
  }
  const alive = await new Promise<boolean>((resolve) => {
    const probe = createConnection(path);
    const settle = (answer: boolean) => {
      probe.destroy();
      resolve(answer);
    };
    probe.on('connect', () => settle(true));
    probe.on('error', () => settle(false));
  });
  if (alive) throw new TransportError('socket-path', `another process serves ${path}: stop it first`);
  unlinkSync(path);
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
