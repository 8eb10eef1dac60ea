/**
 * Requests that wait for their reply. Each has a reply address of its own (`/ask/<incarnation>-<seq>`), which no
 * later ask and no later incarnation of this node ever has again. An ask ends at the first of: the reply, the end of
 * the asked actor, the loss of its node, a dead letter, the timeout.
 */
import type { Envelope, EnvelopeId, NodeId, Timer } from '../../transport/index.js';
import type { TerminationReason } from './actor.js';
import { AskError, type AskErrorCode } from './ask-error.js';
import { type Endpoint, Farewell } from './endpoint.js';
import type { Host } from './host.js';
import { limits } from './limits.js';
import { type ActorRef, actorRef, addressOf, type Message } from './ref.js';

/** One watch on a remote actor, shared by all asks to it and kept a while for the next one. */
interface SharedWatch {
  readonly waiting: Set<(reason: TerminationReason) => void>;
  cancel: () => void;
  idle: Timer | undefined;
}

export interface AskRouting {
  find(path: string): Endpoint | undefined;
  compose(fromPath: string, to: ActorRef<never>, message: Message, deadlineMs: number): Envelope;
  route(envelope: Envelope): void;
  watchAtEnd(node: NodeId, path: string, fire: (reason: TerminationReason) => void): () => void;
}

export class Asks {
  readonly #host: Host;
  readonly #routing: AskRouting;
  readonly #prefix: string;
  #seq = 0;
  readonly #byEnvelope = new Map<EnvelopeId, Pending>();
  readonly #shared = new Map<string, SharedWatch>();

  constructor(host: Host, routing: AskRouting) {
    this.#host = host;
    this.#routing = routing;
    this.#prefix = `/ask/${host.system.incarnation}-`;
  }

  ask<R extends Message>(
    fromPath: string,
    to: ActorRef<never>,
    request: (replyTo: ActorRef<R>) => Message,
    timeoutMs: number,
  ): Promise<R> {
    const { system } = this.#host;
    this.#seq += 1;
    const path = this.#prefix + this.#seq;
    return new Promise((resolve, reject) => {
      const pending = new Pending(this.#host, path, to, resolve as (reply: Message) => void, reject);
      this.#host.register(pending);
      pending.onEnd.add(() => this.#host.unregister(pending));
      const timer = system.env.clock.setTimer(timeoutMs, () => {
        pending.fail('Timeout', `no reply within ${Math.round(timeoutMs)} ms`, false);
      });
      pending.onEnd.add(() => timer.cancel());
      // Before the request, so that an actor that dies of it is watched already.
      pending.onEnd.add(this.#watch(to, (reason) => pending.lost(reason)));
      const deadlineMs = system.env.clock.nowMs() + timeoutMs;
      const message = request(actorRef(system.node, path));
      const envelope = this.#routing.compose(fromPath, to, message, deadlineMs);
      this.#byEnvelope.set(envelope.id, pending);
      pending.onEnd.add(() => this.#byEnvelope.delete(envelope.id));
      this.#routing.route(envelope);
    });
  }

  /** The envelope was not handled and will not be; says `by`, which is this node or the one that was asked. */
  undelivered(id: EnvelopeId, by: NodeId, code: AskErrorCode, why: string): void {
    const pending = this.#byEnvelope.get(id);
    if (pending && (by === this.#host.system.node || by === pending.asked)) pending.fail(code, why, true);
  }

  close(): void {
    for (const shared of this.#shared.values()) {
      shared.idle?.cancel();
      shared.cancel();
    }
    this.#shared.clear();
    for (const pending of this.#byEnvelope.values()) pending.fail('Dead', 'this system stops', false);
  }

  #watch(to: ActorRef<never>, listener: (reason: TerminationReason) => void): () => void {
    if (to.node === this.#host.system.node) {
      return this.#routing.find(to.path)?.onEnd.add(listener) ?? (() => {});
    }
    const address = addressOf(to);
    const shared = this.#shared.get(address) ?? this.#open(to, address);
    shared.idle?.cancel();
    shared.idle = undefined;
    shared.waiting.add(listener);
    return () => {
      shared.waiting.delete(listener);
      if (shared.waiting.size > 0 || this.#shared.get(address) !== shared) return;
      shared.idle = this.#host.system.env.clock.setTimer(limits.askWatchIdleMs, () => {
        this.#shared.delete(address);
        shared.cancel();
      });
    };
  }

  #open(to: ActorRef<never>, address: string): SharedWatch {
    const shared: SharedWatch = { waiting: new Set(), cancel: () => {}, idle: undefined };
    this.#shared.set(address, shared);
    shared.cancel = this.#routing.watchAtEnd(to.node, to.path, (reason) => {
      this.#shared.delete(address);
      shared.idle?.cancel();
      for (const listener of shared.waiting) listener(reason);
    });
    return shared;
  }
}

/** One ask: the endpoint for its reply, settled at most once. */
class Pending implements Endpoint {
  readonly path: string;
  readonly life: number;
  readonly onEnd = new Farewell();
  readonly onGone = new Farewell();
  readonly #host: Host;
  readonly #to: ActorRef<never>;
  readonly #resolve: (reply: Message) => void;
  readonly #reject: (error: AskError) => void;
  #settled = false;

  constructor(
    host: Host,
    path: string,
    to: ActorRef<never>,
    resolve: (reply: Message) => void,
    reject: (error: AskError) => void,
  ) {
    this.path = path;
    this.life = host.nextLife();
    this.#host = host;
    this.#to = to;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get asked(): NodeId {
    return this.#to.node;
  }

  deliver(envelope: Envelope): void {
    const { recorder } = this.#host;
    recorder.handled(envelope, recorder.handling(envelope));
    if (this.#settle()) this.#resolve(envelope.body as Message);
  }

  fail(code: AskErrorCode, why: string, definite: boolean): void {
    if (this.#settle()) this.#reject(new AskError(code, `ask of ${addressOf(this.#to)}: ${why}`, definite));
  }

  /** The asked actor is gone; what it had done before nobody knows. */
  lost(reason: TerminationReason): void {
    if (reason === 'unreachable') this.fail('Unreachable', 'its node is lost', false);
    else if (reason === 'not-found' && this.asked !== this.#host.system.node) this.#expectDeadLetter();
    else this.fail('Dead', reason === 'crash' ? 'it crashed' : `it is gone (${reason})`, false);
  }

  /** The request came behind the watch: its dead letter is on the way, and knows that nothing was handled. */
  #expectDeadLetter(): void {
    const timer = this.#host.system.env.clock.setTimer(limits.deadLetterGraceMs, () => {
      this.fail('Dead', 'it is gone (not-found)', false);
    });
    this.onEnd.add(() => timer.cancel());
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.onEnd.fire('normal');
    this.onGone.fire('normal');
    return true;
  }
}
