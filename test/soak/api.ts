/** A client of the API address for loads: HTTP/2, many requests and watches on few connections, as the administrator. */
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { setTimeout } from 'node:timers/promises';
import type { DataDir } from '../../deploy/data-dir.js';

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** What the header Retry-After says. */
  readonly retryAfterSeconds?: number;
}

export class Api {
  readonly #sessions: ClientHttp2Session[];
  #next = 0;

  private constructor(sessions: ClientHttp2Session[]) {
    this.#sessions = sessions;
  }

  /** `port` absent: the address in front. Connections are spread over the masters by the load balancer. */
  static async open(dir: DataDir, connections: number, port = dir.readSpec().frontPort): Promise<Api> {
    const options = {
      ca: dir.readText('pki/ca.crt'),
      cert: dir.readText('pki/admin.crt'),
      key: dir.readText('pki/admin.key'),
    };
    const sessions = Array.from({ length: connections }, () => connect(`https://127.0.0.1:${port}`, options));
    const api = new Api(sessions);
    try {
      await Promise.all(sessions.map(connected));
    } catch (error) {
      api.close();
      throw error;
    }
    // What happens later shows in the requests that it hits.
    for (const session of sessions) session.on('error', () => {});
    return api;
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
  }

  /** Rejects when no whole answer comes in time: the outcome is unknown then. */
  call(method: string, path: string, body?: unknown, timeoutMs = 10_000): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let headers: IncomingHttpHeaders = {};
      const chunks: Buffer[] = [];
      const stream = this.#open(method, path, body);
      const timer = globalThis.setTimeout(() => fail(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
      const fail = (error: Error) => {
        clearTimeout(timer);
        stream.destroy();
        reject(new Error(`${method} ${path}: ${error.message}`, { cause: error }));
      };
      stream.on('response', (received) => (headers = received));
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', fail);
      stream.on('close', () => fail(new Error('the stream closed')));
      stream.on('end', () => {
        clearTimeout(timer);
        const after = headers['retry-after'];
        resolve({
          status: Number(headers[':status'] ?? 0),
          body: Buffer.concat(chunks).toString(),
          ...(after !== undefined && { retryAfterSeconds: Number(after) }),
        });
      });
    });
  }

  /** Rejects on another status than the one expected. Told to come back later it does so, as client-go: 10 times. */
  async expect<T = unknown>(
    status: number,
    method: string,
    path: string,
    body?: unknown,
    timeoutMs?: number,
  ): Promise<T> {
    let answer = await this.call(method, path, body, timeoutMs);
    for (let retries = 0; answer.retryAfterSeconds !== undefined && retries < 10; retries++) {
      await setTimeout(answer.retryAfterSeconds * 1000);
      answer = await this.call(method, path, body, timeoutMs);
    }
    if (answer.status !== status)
      throw new Error(`${method} ${path}: ${answer.status} ${answer.body.slice(0, 300)}`);
    return JSON.parse(answer.body) as T;
  }

  /** Resolves with a function that ends the watch, once its headers are here. */
  watch(path: string, onEvent: (event: WatchEvent) => void): Promise<() => void> {
    const stream = this.#open('GET', path, undefined);
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onEvent(JSON.parse(line) as WatchEvent);
    });
    return new Promise((resolve, reject) => {
      stream.on('error', reject);
      stream.on('response', (headers) => {
        if (headers[':status'] === 200) resolve(() => stream.destroy());
        else reject(new Error(`${path}: ${String(headers[':status'])}`));
      });
    });
  }

  #open(method: string, path: string, body: unknown) {
    const session = this.#sessions[this.#next++ % this.#sessions.length] as ClientHttp2Session;
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const stream = session.request({ ':method': method, ':path': path, ...type });
    stream.end(body === undefined ? undefined : JSON.stringify(body));
    return stream;
  }
}

export interface WatchEvent {
  readonly type: string;
  readonly object: { readonly metadata: { readonly name: string } };
}

/** `work` for 0 to `count` - 1, at most `width` at a time; the first failure ends it. */
export async function inParallel(
  count: number,
  width: number,
  work: (i: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < count; i = next++) {
      await work(i).catch((error: unknown) => {
        next = count;
        throw error;
      });
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
}

function connected(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    session.once('connect', () => resolve());
    session.once('error', reject);
  });
}
