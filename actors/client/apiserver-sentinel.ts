/**
 * An actor of the client's own that keeps death watch over apiserver actors, so that a stream of one that
 * crashed ends at once and not after a long silence. (A stream has only a callback, and callbacks cannot
 * watch.)
 */
import type { ActorContext, ActorRef, ActorSystem, ChildSpec, TerminationReason } from '../runtime/index.js';
import { addressOf } from '../runtime/index.js';
import type { ApiServerRef } from './apiserver-choice.js';

type SentinelMessage =
  | { readonly type: 'Watch'; readonly server: ApiServerRef }
  | { readonly type: 'Unwatch'; readonly server: ApiServerRef }
  | { readonly type: 'ServerGone'; readonly server: ApiServerRef; readonly reason: TerminationReason };

export class ApiServerSentinel {
  readonly #system: ActorSystem;
  readonly #id: string;
  readonly #listeners = new Map<string, Set<(why: string) => void>>();
  #actor: ActorRef<SentinelMessage> | undefined;

  constructor(system: ActorSystem, id: string) {
    this.#system = system;
    this.#id = id;
  }

  /** Calls `listener` when the actor behind `server` is gone; returns the way to stop listening. */
  listen(server: ApiServerRef, listener: (why: string) => void): () => void {
    const address = addressOf(server);
    let listeners = this.#listeners.get(address);
    if (!listeners) {
      listeners = new Set();
      this.#listeners.set(address, listeners);
      this.#tell({ type: 'Watch', server });
    }
    listeners.add(listener);
    return () => {
      const known = this.#listeners.get(address);
      if (known !== listeners || !known.delete(listener) || known.size > 0) return;
      this.#listeners.delete(address);
      this.#tell({ type: 'Unwatch', server });
    };
  }

  #tell(message: SentinelMessage): void {
    // The death watch belongs to the client, not to the request that happened to come first.
    this.#system.withCause(undefined, () => {
      this.#actor ??= this.#system.spawn(this.#spec());
      this.#system.tell(this.#actor, message);
    });
  }

  #gone(server: ApiServerRef, reason: TerminationReason): void {
    const address = addressOf(server);
    const listeners = this.#listeners.get(address);
    this.#listeners.delete(address);
    for (const listener of listeners ?? []) listener(reason);
  }

  #spec(): ChildSpec<SentinelMessage> {
    return {
      id: this.#id,
      restart: 'temporary',
      start: () => ({
        initial: () => undefined,
        receive: (_state, message, ctx) => this.#receive(message, ctx),
      }),
    };
  }

  #receive(message: SentinelMessage, ctx: ActorContext<SentinelMessage>): undefined {
    switch (message.type) {
      case 'Watch': {
        const { server } = message;
        ctx.watch(server, (reason) => ({ type: 'ServerGone', server, reason }));
        return;
      }
      case 'Unwatch':
        return void ctx.unwatch(message.server);
      case 'ServerGone':
        return void this.#gone(message.server, message.reason);
      default:
        message satisfies never;
    }
  }
}
