/** Endpoints of etcd played by a test, without sockets and in the time of a clock that the test moves. */
import {
  type Connect,
  type Connection,
  ConnectionError,
  type StreamHandler,
} from '../../../../actors/store/etcd-client/connection.js';
import { type Credentials, EtcdStore } from '../../../../actors/store/etcd-client/index.js';
import { AuthenticateRequest, AuthenticateResponse } from '../../../../actors/store/etcd/auth-messages.js';
import type { EtcdClientLimits } from '../../../../actors/store/etcd-client/limits.js';
import { RangeResponse, TxnResponse } from '../../../../actors/store/etcd/kv-messages.js';
import { StatusResponse, WatchRequest, WatchResponse } from '../../../../actors/store/etcd/rpc-messages.js';
import { code, errors, GrpcError } from '../../../../actors/store/etcd/status.js';
import { ManualClock, settle } from '../../client/manual-env.js';

export class PlayedEtcd {
  readonly clock = new ManualClock();
  readonly endpoints: readonly PlayedEndpoint[];
  readonly store: EtcdStore;
  /** What went into the journal. */
  readonly notes: string[] = [];

  constructor(count: number, limits: Partial<EtcdClientLimits> = {}, credentials?: Credentials) {
    this.endpoints = Array.from(
      { length: count },
      (_, i) => new PlayedEndpoint(`etcd-${i}:2379`, this.clock),
    );
    const connect: Connect = (endpoint) => this.named(endpoint.address).connect();
    this.store = new EtcdStore({
      endpoints: this.endpoints.map(({ address }) => {
        const [host = '', port = ''] = address.split(':');
        return { address, host, port: Number(port) };
      }),
      connect,
      clock: this.clock,
      limits,
      ...(credentials && { credentials }),
      note: (what) => this.notes.push(what),
    });
  }

  named(address: string): PlayedEndpoint {
    return this.endpoints.find((one) => one.address === address) as PlayedEndpoint;
  }

  /** Lets time pass until the request is answered; undefined if it is not within the time. */
  async settled<T>(request: Promise<T>, withinMs = 60_000): Promise<T | Error | undefined> {
    let outcome: T | Error | undefined;
    void request.then(
      (value) => (outcome = value),
      (error: unknown) => (outcome = error as Error),
    );
    for (let ms = 0; ms < withinMs && outcome === undefined; ms += 10) await this.clock.advance(10);
    await settle();
    return outcome;
  }
}

type Reply = 'answer' | 'silent' | 'break' | GrpcError;

/** Of an etcd with authentication. */
export interface PlayedAuth {
  password: string;
  /** Those that count. */
  readonly tokens: Set<string>;
  logins: number;
}

export class PlayedEndpoint {
  readonly address: string;
  readonly #clock: ManualClock;
  /** Whether connections can be made. */
  isUp = true;
  reply: Reply = 'answer';
  auth: PlayedAuth | undefined;
  version = '3.5.13';
  revision = 1;
  connects = 0;
  /** Paths of the calls that arrived. */
  readonly calls: string[] = [];
  /** Of its watch streams, the newest last. */
  readonly streams: PlayedStream[] = [];
  #connections: PlayedConnection[] = [];

  constructor(address: string, clock: ManualClock) {
    this.address = address;
    this.#clock = clock;
  }

  async connect(): Promise<Connection> {
    this.connects += 1;
    if (!this.isUp) throw new ConnectionError(`connect ECONNREFUSED ${this.address}`, false);
    const connection = new PlayedConnection(this, this.#clock);
    this.#connections.push(connection);
    return connection;
  }

  /** All its connections break. */
  break(): void {
    const connections = this.#connections;
    this.#connections = [];
    for (const connection of connections) connection.close();
  }

  get stream(): PlayedStream {
    return this.streams.at(-1) as PlayedStream;
  }
}

class PlayedConnection implements Connection {
  readonly #endpoint: PlayedEndpoint;
  readonly #clock: ManualClock;
  readonly #listeners: ((why: string) => void)[] = [];
  readonly #open = new Set<(error: Error) => void>();
  isOpen = true;

  constructor(endpoint: PlayedEndpoint, clock: ManualClock) {
    this.#endpoint = endpoint;
    this.#clock = clock;
  }

  unary(path: string, frame: Buffer, timeoutMs: number, token?: string): Promise<Buffer> {
    const { calls } = this.#endpoint;
    const reply = this.#refusal(path, frame, token) ?? this.#endpoint.reply;
    calls.push(path);
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(timeoutMs, () =>
        reject(new GrpcError(code.deadlineExceeded, 'no answer')),
      );
      this.#open.add(reject);
      if (reply === 'silent') return;
      timer.cancel();
      this.#open.delete(reject);
      if (reply === 'break') this.#endpoint.break();
      if (reply === 'answer') resolve(this.#answer(path));
      else reject(reply === 'break' ? new ConnectionError('ECONNRESET', true) : reply);
    });
  }

  stream(_path: string, handler: StreamHandler, token?: string): PlayedStream {
    const stream = new PlayedStream(handler, token);
    this.#endpoint.streams.push(stream);
    this.#open.add((error) => stream.end(error));
    return stream;
  }

  onClose(listener: (why: string) => void): void {
    this.#listeners.push(listener);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    for (const fail of this.#open) fail(new ConnectionError('ECONNRESET', true));
    for (const listener of this.#listeners) listener('ECONNRESET');
  }

  #refusal(path: string, frame: Buffer, token: string | undefined): GrpcError | undefined {
    const { auth } = this.#endpoint;
    if (path.endsWith('/Authenticate')) {
      if (!auth) return errors.authNotEnabled();
      auth.logins += 1;
      const { password } = AuthenticateRequest.decode(frame.subarray(5));
      return password === auth.password ? undefined : errors.authFailed();
    }
    if (!auth || path.endsWith('/Status')) return undefined;
    if (token === undefined) return new GrpcError(code.invalidArgument, 'etcdserver: user name is empty');
    return auth.tokens.has(token) ? undefined : errors.invalidAuthToken();
  }

  #answer(path: string): Buffer {
    const { version, revision, auth } = this.#endpoint;
    if (path.endsWith('/Authenticate')) {
      const token = `token-${auth!.logins}`;
      auth!.tokens.add(token);
      return AuthenticateResponse.encode({ token });
    }
    const header = { revision };
    if (path.endsWith('/Status')) return StatusResponse.encode({ header, version, leader: 1 });
    if (path.endsWith('/Txn')) return TxnResponse.encode({ header, succeeded: true, responses: [] });
    return RangeResponse.encode({ header });
  }
}

export class PlayedStream {
  readonly #handler: StreamHandler;
  /** What the client said. */
  readonly said: WatchRequest[] = [];
  readonly token: string | undefined;
  isCancelled = false;

  constructor(handler: StreamHandler, token: string | undefined) {
    this.#handler = handler;
    this.token = token;
  }

  send(frame: Buffer): void {
    this.said.push(WatchRequest.decode(frame.subarray(5)));
  }

  cancel(): void {
    this.isCancelled = true;
  }

  say(answer: Partial<WatchResponse>): void {
    if (!this.isCancelled) this.#handler.message(WatchResponse.encode(answer));
  }

  end(error: Error): void {
    if (!this.isCancelled) this.#handler.ended(error);
    this.isCancelled = true;
  }
}
