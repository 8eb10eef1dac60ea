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

interface Pending {
  readonly fail: (code: AskErrorCode, why: string, definite: boolean) => void;
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
      let envelopeId: EnvelopeId | undefined;
      let unwatch = () => {};
      let settled = false;
      const settle = (): boolean => {
        if (settled) return false;
        settled = true;
        timer.cancel();
        unwatch();
        if (envelopeId) this.#byEnvelope.delete(envelopeId);
        this.#host.unregister(endpoint);
        endpoint.onEnd.fire('normal');
        endpoint.onGone.fire('normal');
        return true;
      };
      const fail = (code: AskErrorCode, why: string, definite: boolean) => {
        if (settle()) reject(new AskError(code, `ask of ${addressOf(to)}: ${why}`, definite));
      };
      const endpoint: Endpoint = {
        path,
        life: this.#host.nextLife(),
        onEnd: new Farewell(),
        onGone: new Farewell(),
        deliver: (envelope) => {
          this.#host.recorder.handled(envelope, this.#host.recorder.handling(envelope));
          if (settle()) resolve(envelope.body as R);
        },
      };
      const timer = system.env.clock.setTimer(timeoutMs, () => {
        fail('Timeout', `no reply within ${timeoutMs} ms`, false);
      });
      this.#host.register(endpoint);
      const message = request(actorRef(system.node, path));
      unwatch = this.#watch(to, (reason) => {
        if (reason === 'unreachable') fail('Unreachable', 'its node is lost', envelopeId === undefined);
        else fail('Dead', reason === 'crash' ? 'it crashed' : `it is gone (${reason})`, false);
      });
      if (settled) {
        unwatch();
        return;
      }
      const deadlineMs = system.env.clock.nowMs() + timeoutMs;
      const envelope = this.#routing.compose(fromPath, to, message, deadlineMs);
      envelopeId = envelope.id;
      this.#byEnvelope.set(envelopeId, { fail });
      this.#routing.route(envelope);
    });
  }

  /** The envelope was not handled and will not be. */
  undelivered(id: EnvelopeId, code: AskErrorCode, why: string): void {
    this.#byEnvelope.get(id)?.fail(code, why, true);
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
