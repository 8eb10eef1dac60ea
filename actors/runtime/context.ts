/** What an actor may do, bound to one life: when the life ends, so do its timers, watches and children. */
import { strict as assert } from 'node:assert';
import type { Timer } from '../../transport/index.js';
import type { ActorContext, ChildSpec, SupervisorSpec, TerminationReason } from './actor.js';
import { AskError } from './ask-error.js';
import type { Cell } from './cell.js';
import type { Env } from './env.js';
import type { Host } from './host.js';
import { type ActorRef, actorRef, addressOf, type Message } from './ref.js';
import type { Supervisor } from './supervisor.js';
import type { ActorSystem } from './system.js';

export class Context implements ActorContext<Message> {
  readonly self: ActorRef<Message>;
  readonly system: ActorSystem;
  readonly env: Env;
  /** Supervises what this actor spawned; absent until it spawns. */
  family: Supervisor | undefined;
  stopRequested = false;
  readonly #host: Host;
  readonly #cell: Cell;
  readonly #timers = new Map<string, Timer>();
  readonly #watches = new Map<string, { cancel(): void }>();
  /** No message is handled any more. */
  #ended = false;
  /** The `stopped` hook, which may still speak, is done too. */
  #gone = false;

  constructor(host: Host, cell: Cell) {
    this.#host = host;
    this.#cell = cell;
    this.system = host.system;
    this.env = host.system.env;
    this.self = actorRef(host.system.node, cell.path);
  }

  tell<T extends Message>(ref: ActorRef<T>, message: T): void {
    if (this.#gone) {
      // A handler that was abandoned in the middle goes on as a ghost beside the next life: it has no voice.
      this.note('told-after-end', { kind: message.type, to: addressOf(ref) });
      return;
    }
    this.#host.sendFrom(this.#cell.path, ref, message);
  }

  ask<T extends Message, R extends Message>(
    ref: ActorRef<T>,
    request: (replyTo: ActorRef<R>) => T,
    options: { readonly timeoutMs: number },
  ): Promise<R> {
    if (this.#gone) {
      const why = `ask of ${addressOf(ref)}: the asking ${this.#cell.path} has ended`;
      return Promise.reject(new AskError('Dead', why, true));
    }
    return this.#host.askFrom(this.#cell.path, ref, request, options.timeoutMs);
  }

  spawn<C extends Message>(spec: ChildSpec<C>): ActorRef<C> {
    return this.#familyFor(spec.id).spawn({ restart: 'temporary', ...spec });
  }

  supervise(spec: SupervisorSpec, failed: (error: Error) => Message): { stop(): Promise<void> } {
    return this.#familyFor(spec.id).supervise(spec, (error) => {
      if (this.#ended) return;
      this.#guarded(() => {
        const envelope = this.#host.toSelf(this.#cell.path, failed(error), undefined);
        this.#cell.deliverOwn({ envelope, wanted: () => !this.#ended });
      });
    });
  }

  stop(child?: ActorRef<never>): void {
    if (!child || child.path === this.#cell.path) {
      this.stopRequested = true;
      return;
    }
    const parentPath = child.path.slice(0, child.path.lastIndexOf('/'));
    assert(
      child.node === this.system.node && parentPath === this.#cell.path,
      `${addressOf(child)} is no child of ${this.#cell.path}: only its parent may stop it`,
    );
    this.family?.stopChild(child.path);
  }

  watch(ref: ActorRef<never>, message: (reason: TerminationReason) => Message): void {
    if (this.#ended) return;
    this.unwatch(ref);
    const address = addressOf(ref);
    const entry = { cancel: () => {} };
    this.#watches.set(address, entry);
    const wanted = () => this.#watches.get(address) === entry;
    entry.cancel = this.#host.watch(ref, (reason) => {
      if (!wanted()) return;
      this.#guarded(() => {
        const envelope = this.#host.toSelf(this.#cell.path, message(reason), undefined);
        const once = () => wanted() && this.#watches.delete(address);
        this.#cell.deliverTerminated({ envelope, wanted: once });
      });
    });
  }

  unwatch(ref: ActorRef<never>): void {
    const address = addressOf(ref);
    this.#watches.get(address)?.cancel();
    this.#watches.delete(address);
  }

  setTimer(name: string, delayMs: number, message: Message): void {
    if (this.#ended) return;
    this.cancelTimer(name);
    const timer = this.env.clock.setTimer(delayMs, () => {
      const envelope = this.#host.toSelf(this.#cell.path, message, undefined);
      // Cancelled or replaced while it waited in the mailbox: not wanted any more.
      const wanted = () => this.#timers.get(name) === timer && this.#timers.delete(name);
      this.#cell.deliverOwn({ envelope, wanted });
    });
    this.#timers.set(name, timer);
  }

  cancelTimer(name: string): void {
    this.#timers.get(name)?.cancel();
    this.#timers.delete(name);
  }

  pipeToSelf<T>(promise: Promise<T>, ok: (value: T) => Message, failed: (error: unknown) => Message): void {
    const deliver = (make: () => Message) => {
      if (this.#ended) return;
      this.#guarded(() => {
        const envelope = this.#host.toSelf(this.#cell.path, make(), this.#host.frames.current?.cause);
        this.#cell.deliverOwn({ envelope, wanted: () => !this.#ended });
      });
    };
    promise.then(
      (value) => deliver(() => ok(value)),
      (error: unknown) => deliver(() => failed(error)),
    );
  }

  refuse(why: string): void {
    this.system.refuse(why);
  }

  note(kind: string, detail?: Readonly<Record<string, string | number | boolean>>): void {
    this.system.note(this.#cell.path, kind, detail);
  }

  /** The life is over. Children are stopped by the cell, which can wait for them. */
  end(): void {
    this.#ended = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    for (const watch of this.#watches.values()) watch.cancel();
    this.#watches.clear();
  }

  #familyFor(child: string): Supervisor {
    assert(!this.#ended, `${this.#cell.path} has ended and cannot start ${child}`);
    this.family ??= this.#host.family(this.#cell.path, (error) => this.#cell.crash(error));
    return this.family;
  }

  /** Children and the `stopped` hook are done as well. */
  gone(): void {
    this.#gone = true;
  }

  /** Runs the actor's code outside its handler; a throw there is a crash all the same. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#cell.crash(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
