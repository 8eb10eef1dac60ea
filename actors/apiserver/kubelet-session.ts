/**
 * A conversation with the kubelet of a node about one container: logs, exec, attach, port-forward. Letters out under
 * the credit that the kubelet grants, letters in under the credit that we grant (kubelet/messages.ts).
 */
import type { Timer } from '../../transport/index.js';
import { kubeletReplies, type KubeletMessage, type KubeletReply } from '../kubelet/messages.js';
import { type ActorRef, misshapen } from '../runtime/index.js';
import { limits } from './limits.js';
import type { ServerContext } from './server-context.js';
import { StatusError, timedOut } from './status.js';

/** The first letter, without what every session has. */
export type SessionRequest = DistributiveOmit<
  Extract<KubeletMessage, { replyTo: unknown }>,
  'sessionId' | 'replyTo' | 'credit'
>;
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export interface SessionEvents {
  output(stream: 'stdout' | 'stderr', bytes: Uint8Array): void;
  /** The last event. `error`: the session did not end by itself. */
  ended(exitCode: number | undefined, error: StatusError | undefined): void;
  /** What the consumer has not taken yet; no more is asked for above the limit. */
  bufferedBytes(): number;
}

export class KubeletSession {
  readonly #server: ServerContext;
  readonly #kubelet: ActorRef<KubeletMessage>;
  readonly #id: string;
  readonly #events: SessionEvents;
  readonly #close: () => void;
  readonly #forgetNode: () => void;
  #started!: () => void;
  #refused!: (error: StatusError) => void;
  #state: 'opening' | 'open' | 'ended' = 'opening';
  #timer: Timer | undefined;
  #drain: Timer | undefined;
  /** Letters that the kubelet sent and was not given credit for again. */
  #owed = 0;
  #credit = 0;
  #input: Uint8Array[] = [];
  #inputEnded = false;
  /** Rejects with a StatusError when the kubelet refuses or does not answer. */
  readonly opened: Promise<void>;

  constructor(server: ServerContext, node: string, request: SessionRequest, events: SessionEvents) {
    this.#server = server;
    this.#events = events;
    this.#id = server.system.env.uuid();
    this.#kubelet = server.kubelets(node);
    this.opened = new Promise((resolve, reject) => {
      this.#started = resolve;
      this.#refused = reject;
    });
    const { system } = server;
    const callback = system.callback<KubeletReply>('kubelet-session', (reply) => this.#receive(reply));
    this.#close = () => callback.close();
    this.#forgetNode = system.onNodeDown(this.#kubelet.node, () =>
      this.#end(undefined, timedOut(`the kubelet of node ${node} is lost`)),
    );
    this.#timer = system.env.clock.setTimer(limits.kubeletTimeoutMs, () =>
      this.#end(undefined, timedOut(`the kubelet of node ${node} did not answer`)),
    );
    system.tell<KubeletMessage>(this.#kubelet, {
      ...request,
      sessionId: this.#id,
      replyTo: callback.ref,
      credit: limits.sessionCreditChunks,
    });
  }

  input(bytes: Uint8Array): void {
    if (this.#state === 'ended' || this.#inputEnded) return;
    // Credit counts letters, so they must not be large.
    for (let at = 0; at < bytes.length; at += limits.sessionChunkBytesMax) {
      this.#input.push(bytes.subarray(at, at + limits.sessionChunkBytesMax));
    }
    this.#flushInput();
  }

  /** Bytes that wait for the kubelet's credit. */
  inputBacklog(): number {
    return this.#input.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  inputEnd(): void {
    if (this.#state === 'ended' || this.#inputEnded) return;
    this.#inputEnded = true;
    this.#flushInput();
  }

  resize(columns: number, rows: number): void {
    if (this.#state !== 'ended') this.#tell({ type: 'KubeletResize', sessionId: this.#id, columns, rows });
  }

  /** The consumer is gone; no event follows. */
  cancel(): void {
    if (this.#state === 'ended') return;
    this.#tell({ type: 'KubeletCancel', sessionId: this.#id });
    this.#finish();
  }

  #receive(reply: KubeletReply): void {
    const why = misshapen(reply, kubeletReplies);
    if (why !== undefined) return this.#server.system.refuse(why);
    if (this.#state === 'ended') return;
    switch (reply.type) {
      case 'KubeletStarted':
        this.#open();
        this.#credit += reply.credit;
        this.#flushInput();
        break;
      case 'KubeletOutput':
        this.#open();
        this.#events.output(reply.stream, reply.bytes);
        this.#owed += 1;
        this.#repay();
        break;
      case 'KubeletInputCredit':
        this.#credit += reply.chunks;
        this.#flushInput();
        break;
      case 'KubeletEnded': {
        const { error, exitCode } = reply;
        this.#end(exitCode, error && new StatusError(error.status, error.reason, error.message));
        break;
      }
      default:
        reply satisfies never;
    }
  }

  #open(): void {
    if (this.#state !== 'opening') return;
    this.#state = 'open';
    this.#timer?.cancel();
    this.#started();
  }

  #end(exitCode: number | undefined, error: StatusError | undefined): void {
    if (this.#state === 'ended') return;
    const opening = this.#state === 'opening';
    this.#finish();
    if (opening && error) this.#refused(error);
    else {
      if (opening) this.#started();
      this.#events.ended(exitCode, error);
    }
  }

  #finish(): void {
    this.#state = 'ended';
    this.#timer?.cancel();
    this.#drain?.cancel();
    this.#forgetNode();
    this.#close();
    this.#input = [];
  }

  #repay(): void {
    if (this.#owed === 0 || this.#state === 'ended') return;
    if (this.#events.bufferedBytes() > limits.watcherBufferedBytesMax) {
      this.#drain?.cancel();
      this.#drain = this.#server.system.env.clock.setTimer(limits.watcherDrainPollMs, () => this.#repay());
      return;
    }
    this.#tell({ type: 'KubeletCredit', sessionId: this.#id, chunks: this.#owed });
    this.#owed = 0;
  }

  #flushInput(): void {
    while (this.#credit > 0 && this.#input.length > 0) {
      this.#credit -= 1;
      this.#tell({ type: 'KubeletInput', sessionId: this.#id, bytes: this.#input.shift()! });
    }
    if (this.#inputEnded && this.#input.length === 0 && this.#state === 'open') {
      this.#tell({ type: 'KubeletInputEnd', sessionId: this.#id });
      this.#inputEnded = false;
    }
  }

  #tell(message: KubeletMessage): void {
    this.#server.system.tell<KubeletMessage>(this.#kubelet, message);
  }
}
