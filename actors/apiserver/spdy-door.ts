/**
 * An edge: exec, attach and port-forward for clients from before WebSockets (client-go < 1.31, and newer ones when a
 * WebSocket was refused). `Upgrade: SPDY/3.1`, then one SPDY stream per stdin, stdout, stderr, resize and error, told
 * apart by `streamtype`; on the last one goes the Status at the end (remotecommand `v4.channel.k8s.io`).
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { InputThrottle } from './input-throttle.js';
import { KubeletSession, type SessionRequest } from './kubelet-session.js';
import { limits } from './limits.js';
import { jsonBytes } from './object-bytes.js';
import { PortForwardTunnel } from './port-forward-tunnel.js';
import { isTrue } from './request-info.js';
import type { RequestContext } from './server-context.js';
import { endStatus, resize } from './session-channels.js';
import { type ByteCarrier, SpdyConnection, type SpdyStream } from './spdy/index.js';
import { badRequest, type StatusError } from './status.js';
import { forwardTarget, sessionOf } from './subresources/session.js';

export interface SpdyOpening {
  readonly context: RequestContext;
  readonly incoming: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  remark(what: string, error: Error): void;
}

const versionHeader = 'x-stream-protocol-version';
const spoken: Readonly<Record<string, readonly string[]>> = {
  exec: ['v5.channel.k8s.io', 'v4.channel.k8s.io'],
  attach: ['v5.channel.k8s.io', 'v4.channel.k8s.io'],
  portforward: ['portforward.k8s.io'],
};

/** Throws what can be refused as long as the connection speaks HTTP. */
export async function openSpdy(opening: SpdyOpening): Promise<void> {
  const { context, incoming, socket, head } = opening;
  const protocol = chooseVersion(incoming, context.info.subresource);
  const serve =
    context.info.subresource === 'portforward' ? await forwarding(opening) : await remoteCommand(opening);
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n' +
      `X-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
  const connection = serve(carrierOf(socket));
  socket.on('data', (bytes: Buffer) => connection.receive(bytes));
  socket.on('end', () => socket.end());
  socket.on('close', () => connection.lost());
  if (head.length > 0) connection.receive(head);
}

function chooseVersion({ headers }: IncomingMessage, subresource: string): string {
  // Clients send the header several times or with commas.
  const asked = [headers[versionHeader] ?? []].flat().flatMap((text) => text.split(','));
  const offered = asked.map((each) => each.trim());
  const known = spoken[subresource] ?? [];
  const version = offered.find((each) => known.includes(each));
  if (version !== undefined) return version;
  throw badRequest(
    `unable to upgrade: none of the protocols ${offered.join(', ')} is one of ${known.join(', ')}`,
  );
}

interface SocketCarrier extends ByteCarrier {
  pause(): void;
  resume(): void;
  bufferedBytes(): number;
}

function carrierOf(socket: Duplex): SocketCarrier {
  return {
    send: (bytes) => {
      if (socket.writable) socket.write(bytes);
    },
    end: () => void socket.end(),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    bufferedBytes: () => socket.writableLength,
  };
}

type Serve = (carrier: SocketCarrier) => SpdyConnection;

async function forwarding({ context, remark }: SpdyOpening): Promise<Serve> {
  const target = await forwardTarget(context);
  return (carrier) =>
    new PortForwardTunnel({ server: context.server, ...target, carrier, remark }).connection;
}

async function remoteCommand({ context, remark }: SpdyOpening): Promise<Serve> {
  const { node, request } = await sessionOf(context);
  const { query } = context.info;
  const tty = isTrue(query.get('tty'));
  const wanted = new Set(['error']);
  for (const name of ['stdin', 'stdout', 'stderr']) if (isTrue(query.get(name))) wanted.add(name);
  // A terminal has no separate errors, and a size.
  if (tty) wanted.delete('stderr');
  if (tty) wanted.add('resize');
  return (carrier) => new RemoteCommand({ context, node, request, remark }, carrier, wanted).connection;
}

interface RemoteCommandOptions extends Pick<SpdyOpening, 'context' | 'remark'> {
  readonly node: string;
  readonly request: SessionRequest;
}

class RemoteCommand {
  readonly connection: SpdyConnection;
  readonly #options: RemoteCommandOptions;
  readonly #carrier: SocketCarrier;
  readonly #wanted: ReadonlySet<string>;
  readonly #streams = new Map<string, SpdyStream>();
  #session: KubeletSession | undefined;

  constructor(options: RemoteCommandOptions, carrier: SocketCarrier, wanted: ReadonlySet<string>) {
    this.#options = options;
    this.#carrier = carrier;
    this.#wanted = wanted;
    this.connection = new SpdyConnection(carrier, limits, {
      opened: (stream) => this.#opened(stream),
      failed: (error) => options.remark('exec connection failed', error),
    });
    options.context.server.system.env.clock.setTimer(limits.spdyStreamsWaitMs, () => {
      if (!this.#session) this.connection.close();
    });
  }

  #opened(stream: SpdyStream): boolean {
    const type = stream.headers.get('streamtype') ?? '';
    if (!this.#wanted.has(type) || this.#streams.has(type)) return false;
    this.#streams.set(type, stream);
    // With the connection, or given up by the client: nobody is left to run this for.
    stream.onReset = () => this.#session?.cancel();
    if (this.#streams.size === this.#wanted.size) this.#start();
    return true;
  }

  #start(): void {
    const { context, node, request } = this.#options;
    const session = new KubeletSession(context.server, node, request, {
      output: (stream, bytes) => this.#streams.get(stream)?.write(bytes),
      ended: (exitCode, error) => this.#end(exitCode, error),
      bufferedBytes: () => this.#carrier.bufferedBytes(),
    });
    this.#session = session;
    session.opened.catch((error: unknown) => this.#end(undefined, error as StatusError));
    const input = {
      pause: () => this.#carrier.pause(),
      resume: () => this.#carrier.resume(),
      ping: () => this.connection.ping(),
    };
    const throttle = new InputThrottle(context.server.system.env.clock, input, () => session.inputBacklog());
    const stdin = this.#streams.get('stdin');
    if (stdin) {
      stdin.onData = (bytes) => {
        session.input(bytes);
        throttle.check();
      };
      stdin.onEnd = () => session.inputEnd();
    }
    const sizes = this.#streams.get('resize');
    if (sizes) sizes.onData = (bytes) => resize(session, bytes);
  }

  #end(exitCode: number | undefined, error: StatusError | undefined): void {
    for (const stream of this.#streams.values()) stream.onReset = () => {};
    this.#streams.get('error')?.write(jsonBytes(endStatus(exitCode, error)));
    for (const stream of this.#streams.values()) stream.end();
    this.connection.close();
  }
}
