/**
 * `kubectl port-forward`: a SPDY connection in which each connection of the user is a pair of streams of one
 * `requestid`: `error`, on which only we speak, and `data` (kubelet's portforward.k8s.io). Every pair is a session of
 * its own with the kubelet.
 */
import { KubeletSession, type SessionRequest } from './kubelet-session.js';
import { InputThrottle, type PausableInput } from './input-throttle.js';
import { limits } from './limits.js';
import type { ServerContext } from './server-context.js';
import { type ByteCarrier, SpdyConnection, type SpdyStream } from './spdy/index.js';
import type { StatusError } from './status.js';

export interface TunnelCarrier extends ByteCarrier, Omit<PausableInput, 'ping'> {
  bufferedBytes(): number;
}

export interface TunnelOptions {
  readonly server: ServerContext;
  readonly node: string;
  readonly pod: { readonly name: string; readonly uid: string };
  readonly carrier: TunnelCarrier;
  requestFor(port: number): SessionRequest;
  remark(what: string, error: Error): void;
}

interface Pair {
  readonly port: number;
  error?: SpdyStream;
  data?: SpdyStream;
  session?: KubeletSession;
}

export class PortForwardTunnel {
  readonly connection: SpdyConnection;
  readonly #options: TunnelOptions;
  readonly #pairs = new Map<string, Pair>();
  readonly #throttle: InputThrottle;

  constructor(options: TunnelOptions) {
    this.#options = options;
    const { carrier, server } = options;
    this.connection = new SpdyConnection(carrier, limits, {
      opened: (stream) => this.#opened(stream),
      failed: (error) => options.remark('port-forward connection failed', error),
    });
    const input = {
      pause: () => carrier.pause(),
      resume: () => carrier.resume(),
      ping: () => this.connection.ping(),
    };
    this.#throttle = new InputThrottle(server.system.env.clock, input, () =>
      [...this.#pairs.values()].reduce((sum, { session }) => sum + (session?.inputBacklog() ?? 0), 0),
    );
  }

  #opened(stream: SpdyStream): boolean {
    const type = stream.headers.get('streamtype');
    const port = Number(stream.headers.get('port'));
    if (type !== 'error' && type !== 'data') return false;
    if (!Number.isInteger(port) || port < 1 || port > 65_535) return false;
    // Clients older than request ids open the error stream first and the data stream right behind it.
    const id = stream.headers.get('requestid') ?? String(type === 'error' ? stream.id : stream.id - 2);
    const pair: Pair = this.#pairs.get(id) ?? { port };
    if (pair[type] || pair.port !== port) return false;
    pair[type] = stream;
    this.#pairs.set(id, pair);
    stream.onReset = () => {
      pair.session?.cancel();
      this.#pairs.delete(id);
    };
    if (pair.error && pair.data) this.#forward(id, pair, pair.error, pair.data);
    return true;
  }

  #forward(id: string, pair: Pair, errors: SpdyStream, data: SpdyStream): void {
    const { server, node, pod, carrier } = this.#options;
    const ended = (error: StatusError | undefined) => {
      this.#pairs.delete(id);
      if (error) {
        const what = `error forwarding port ${pair.port} to pod ${pod.name}, uid ${pod.uid}`;
        errors.write(Buffer.from(`${what}: ${error.message}`));
      }
      data.end();
      errors.end();
    };
    const session = new KubeletSession(server, node, this.#options.requestFor(pair.port), {
      output: (_stream, bytes) => data.write(bytes),
      ended: (_exitCode, error) => ended(error),
      bufferedBytes: () => carrier.bufferedBytes(),
    });
    pair.session = session;
    session.opened.catch((error: unknown) => ended(error as StatusError));
    data.onData = (bytes) => {
      session.input(bytes);
      this.#throttle.check();
    };
    data.onEnd = () => session.inputEnd();
  }
}
