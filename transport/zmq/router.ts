/** The ROUTER of a link: everything that comes in, and the answers to handshakes, written by one loop. */
import type { Context, Router } from 'zeromq';
import type { NodeId } from '../envelope.js';
import { TransportError } from '../errors.js';
import { controlFrame, type FrameType } from './frames.js';
import { codeOf } from './remarks.js';
import type { CurveKeys } from './zap.js';

const repliesMax = 1024;

export interface RouterOptions {
  readonly node: NodeId;
  readonly bind: string;
  readonly messageBytesMax: number;
  readonly curve: CurveKeys | undefined;
  incoming(routingId: Buffer, parts: Buffer[]): void;
  /** A connection that ZeroMQ itself refused. */
  refused(detail: Readonly<Record<string, string>>): void;
}

export class RouterSocket {
  /** As bound, with the port that was picked. */
  readonly endpoint: string;
  readonly #socket: Router;
  /** All that belonged to the socket is gone. */
  readonly #ended: Promise<void>;
  readonly #replies: [routingId: Buffer, ...(string | Uint8Array)[]][] = [];
  #writing = false;

  private constructor(socket: Router, options: RouterOptions) {
    this.#socket = socket;
    this.endpoint = socket.lastEndpoint ?? options.bind;
    this.#ended = new Promise((resolve) => socket.events.on('end', () => resolve()));
    void this.#receive(options);
  }

  /** Rejects with TransportError `bind-failed`. */
  static async bind(
    zmq: typeof import('zeromq'),
    context: Context,
    options: RouterOptions,
  ): Promise<RouterSocket> {
    const { node, bind, curve, messageBytesMax, refused } = options;
    const security =
      curve === undefined
        ? {}
        : {
            curveServer: true,
            curvePublicKey: curve.publicKey,
            curveSecretKey: curve.secretKey,
            zapDomain: 'kabuki',
          };
    const socket = new zmq.Router({
      context,
      mandatory: true,
      linger: 0,
      sendTimeout: 0,
      maxMessageSize: messageBytesMax,
      ...security,
    });
    const listener = ({ error, address }: { error: Error; address: string }) =>
      refused({ code: codeOf(error), address, why: error.message });
    socket.events.on('handshake:error:protocol', listener);
    socket.events.on('handshake:error:other', listener);
    try {
      await socket.bind(bind);
    } catch (error) {
      socket.close();
      const why = error instanceof Error ? error.message : String(error);
      throw new TransportError('bind-failed', `${node} cannot listen at ${bind}: ${why}`, error);
    }
    return new RouterSocket(socket, options);
  }

  reply(routingId: Buffer, type: FrameType, content?: object): void {
    if (this.#replies.length >= repliesMax) return;
    this.#replies.push([routingId, ...controlFrame(type, content)]);
    if (!this.#writing) void this.#write();
  }

  /**
   * The port is free again when this resolves. Not by `unbind`: zeromq 6.8 runs that in a thread of its pool, while this one
   * goes on reading the same socket, and two threads at one socket end the process (`Assertion failed` in pipe.cpp,
   * object.cpp or malloc). A socket that is closed lets go of its port too, and then says `end`.
   */
  close(): Promise<void> {
    this.#socket.close();
    return this.#ended;
  }

  closeNow(): void {
    this.#socket.close();
  }

  async #receive(options: RouterOptions): Promise<void> {
    for await (const [routingId, ...parts] of this.#socket as AsyncIterable<Buffer[]>) {
      if (routingId !== undefined) options.incoming(routingId, parts);
    }
  }

  async #write(): Promise<void> {
    this.#writing = true;
    for (;;) {
      const reply = this.#replies.shift();
      if (reply === undefined || this.#socket.closed) break;
      try {
        await this.#socket.send(reply);
      } catch {
        // EHOSTUNREACH or EAGAIN: the connection is gone or does not read; its hello comes again.
      }
    }
    this.#writing = false;
  }
}
