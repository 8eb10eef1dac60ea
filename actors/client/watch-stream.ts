/**
 * One watch over actor messages: the request, its head, then chunks under credit. A chunk out of sequence, a
 * lost node, a dead apiserver actor or a long silence end it: the informer resumes from the last
 * resourceVersion it saw, so nothing is lost by giving up early, and much by trusting a stream with a hole.
 */
import type { Timer } from '../../transport/index.js';
import { apiReplies, type ApiReply } from '../apiserver/messages.js';
import type { ApiRequest } from '../apiserver/request.js';
import { type ActorRef, type ActorSystem, misshapen } from '../runtime/index.js';
import { ApiError, type WatchEventType } from './api-client.js';
import type { ApiServerRef } from './apiserver-choice.js';
import { JsonLines } from './json-lines.js';
import type { ClientLimits } from './limits.js';
import { errorOf } from './response-status.js';

export interface WatchLine {
  readonly type: WatchEventType;
  readonly object: unknown;
}

export interface WatchStreamOptions {
  readonly system: ActorSystem;
  readonly server: ApiServerRef;
  readonly request: ApiRequest;
  readonly limits: ClientLimits;
  /** For errors and notes: `watch pods`. */
  readonly what: string;
  /** Registers to hear of the end of the apiserver actor; returns the way out. */
  readonly onServerDeath: (server: ApiServerRef, listener: (why: string) => void) => () => void;
  onLine(line: WatchLine): void;
  onClose(why: string): void;
}

/** Resolves with the way to close it when the head has come; rejects with an ApiError. */
export function openWatch(options: WatchStreamOptions): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const stream = new WatchStream(options, () => resolve(() => stream.cancel()), reject);
    stream.open();
  });
}

class WatchStream {
  readonly #options: WatchStreamOptions;
  readonly #opened: () => void;
  readonly #refused: (error: ApiError) => void;
  readonly #lines: JsonLines;
  readonly #replies: { readonly ref: ActorRef<ApiReply>; close(): void };
  readonly #requestId: string;
  readonly #release: (() => void)[] = [];
  #state: 'opening' | 'open' | 'closed' = 'opening';
  #nextSeq = 0;
  #told = 0;
  #timer: Timer | undefined;

  constructor(options: WatchStreamOptions, opened: () => void, refused: (error: ApiError) => void) {
    this.#options = options;
    this.#opened = opened;
    this.#refused = refused;
    this.#lines = new JsonLines(options.limits.watchLineBytesMax);
    const { system } = options;
    this.#replies = system.callback<ApiReply>('watch', (reply) => this.#receive(reply));
    this.#requestId = `${system.node}/${system.incarnation}${this.#replies.ref.path}`;
  }

  open(): void {
    const { system, server, request, limits, onServerDeath } = this.#options;
    this.#release.push(system.onNodeDown(server.node, () => this.#lost('its node is down')));
    this.#release.push(onServerDeath(server, (why) => this.#lost(`the apiserver ended: ${why}`)));
    this.#watchdog(limits.readAttemptTimeoutMs, 'no answer');
    system.tell(server, {
      type: 'ApiRequest',
      request,
      replyTo: this.#replies.ref,
      credit: limits.watchCreditChunks,
      requestId: this.#requestId,
    });
  }

  /** The consumer has had enough; no onClose. */
  cancel(): void {
    if (this.#state === 'closed') return;
    this.#end(true);
  }

  #receive(reply: ApiReply): void {
    const why = misshapen(reply, apiReplies);
    if (why !== undefined) return this.#options.system.refuse(why);
    if (this.#state === 'closed' || reply.requestId !== this.#requestId) return;
    switch (reply.type) {
      case 'ApiResponseHead':
        return this.#head(reply);
      case 'ApiChunk':
        return this.#chunk(reply.seq, reply.bytes);
      case 'ApiStreamEnd':
        if (reply.seq !== this.#nextSeq) return this.#lost(`chunks before ${reply.seq} are missing`);
        return this.#finish('the server ended it');
      default:
        reply satisfies never;
    }
  }

  #head(reply: Extract<ApiReply, { type: 'ApiResponseHead' }>): void {
    if (this.#state !== 'opening') return;
    const { what } = this.#options;
    if (reply.status < 200 || reply.status > 299) {
      this.#end(false);
      return this.#refused(errorOf(reply.status, reply.body, what));
    }
    if (!reply.streaming) {
      this.#end(false);
      return this.#refused(new ApiError(reply.status, 'InternalError', `${what}: no stream came`, true));
    }
    this.#state = 'open';
    this.#expectSigns();
    this.#opened();
  }

  #chunk(seq: number, bytes: Uint8Array): void {
    // The link may duplicate a letter; what was seen is not a gap.
    if (seq < this.#nextSeq) return;
    if (this.#state === 'opening' || seq > this.#nextSeq) {
      return this.#lost(`chunk ${this.#nextSeq} is missing before ${seq}`);
    }
    this.#nextSeq = seq + 1;
    this.#expectSigns();
    let lines: unknown[];
    try {
      lines = this.#lines.push(bytes);
    } catch (error) {
      return this.#lost(`undecodable: ${error instanceof Error ? error.message : String(error)}`);
    }
    try {
      for (const line of lines) {
        // The handler of an earlier line may have closed the stream.
        if ((this.#state as string) === 'closed') return;
        this.#options.onLine(line as WatchLine);
      }
    } catch (error) {
      // The runtime records the crash of the handler; the informer must not wait for a stream that is gone.
      this.#lost('its handler threw');
      throw error;
    }
    this.#returnCredit();
  }

  #returnCredit(): void {
    const { system, server, limits } = this.#options;
    if (this.#state === 'closed' || (this.#nextSeq - this.#told) * 4 < limits.watchCreditChunks) return;
    this.#told = this.#nextSeq;
    system.tell(server, { type: 'ApiCredit', requestId: this.#requestId, chunks: this.#told });
  }

  /** An apiserver of the same node gives none: nothing in between can fail, and its death is told. */
  #expectSigns(): void {
    const { system, server, limits } = this.#options;
    if (server.node === system.node) this.#timer?.cancel();
    else this.#watchdog(limits.watchIdleMs, 'silent for too long');
  }

  #watchdog(delayMs: number, why: string): void {
    this.#timer?.cancel();
    this.#timer = this.#options.system.env.clock.setTimer(delayMs, () => this.#lost(why));
  }

  /** Ends a stream that the server may still believe in. */
  #lost(why: string): void {
    if (this.#state === 'closed') return;
    const opening = this.#state === 'opening';
    this.#end(true);
    if (opening) this.#refused(new ApiError(0, 'ServiceUnavailable', `${this.#options.what}: ${why}`, true));
    else this.#options.onClose(why);
  }

  #finish(why: string): void {
    const opening = this.#state === 'opening';
    this.#end(false);
    if (opening) this.#refused(new ApiError(0, 'ServiceUnavailable', `${this.#options.what}: ${why}`, true));
    else this.#options.onClose(why);
  }

  #end(tellServer: boolean): void {
    this.#state = 'closed';
    this.#timer?.cancel();
    for (const release of this.#release) release();
    this.#replies.close();
    const { system, server } = this.#options;
    if (tellServer) system.tell(server, { type: 'ApiCancel', requestId: this.#requestId });
  }
}
