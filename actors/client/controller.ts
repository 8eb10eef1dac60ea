/**
 * The frame of every controller (ARCHITECTURE rule 9): informers name keys, the actor reconciles them, a few at a
 * time and never the same one twice at once. What went wrong is noted and tried again with a growing pause; a
 * conflict is everyday and quiet; only a programmer error crashes the actor, and its supervisor starts it
 * from scratch.
 */
import { AssertionError } from 'node:assert';
import type { KubeObject } from '../objects/meta.js';
import type { Actor, ActorContext, ChildSpec, Env } from '../runtime/index.js';
import { isConflict } from './api-client.js';
import type { Informer } from './informer.js';
import type { QueueLimits } from './limits.js';
import { WorkQueue } from './work-queue.js';

export interface ReconcileTools {
  readonly env: Env;
  /** Into the trace journal, under the change that led here. */
  note(kind: string, detail?: Readonly<Record<string, string | number | boolean>>): void;
  /** Looks at another key too. */
  enqueue(key: string, delayMs?: number): void;
  /** True once the actor has ended: a long reconcile should stop writing. */
  stopped(): boolean;
}

export interface ReconcileResult {
  readonly requeueAfterMs?: number;
}

export interface ControllerOptions {
  /** Last segment of the actor's path and the name in notes. */
  readonly name: string;
  /** Keys in work at once. */
  readonly workers: number;
  readonly sources: readonly ControllerSource[];
  /**
   * Moves what `key` names one step closer to what is desired. Reads informers afresh; may be called at any
   * time.
   */
  reconcile(key: string, tools: ReconcileTools): Promise<ReconcileResult | void>;
  /** Looks at every key of every source again this often; absent means never. */
  readonly resyncMs?: number;
  readonly restart?: ChildSpec['restart'];
  readonly limits?: Partial<QueueLimits>;
}

export type ControllerMessage =
  | { readonly type: 'Reconcile'; readonly key: string }
  | { readonly type: 'Reconciled'; readonly key: string; readonly requeueAfterMs?: number }
  | { readonly type: 'ReconcileFailed'; readonly key: string; readonly error: unknown }
  | { readonly type: 'SourceFailed'; readonly error: unknown }
  | { readonly type: 'Resync' };

/** Where keys come from. Made by `keysOf`. */
export interface ControllerSource {
  readonly synced: () => boolean;
  /** Starts naming keys; returns the way to stop. */
  attach(sink: SourceSink): () => void;
  allKeys(): readonly string[];
}

export interface SourceSink {
  enqueue(key: string): void;
  /** After each complete list. */
  synced(): void;
  /** Naming the keys of an object threw. */
  failed(error: unknown): void;
}

/**
 * `keys` names what to reconcile when an object came, went or changed; both versions of a change are asked.
 */
export function keysOf<T extends KubeObject>(
  informer: Informer<T>,
  keys: (object: T) => readonly string[],
): ControllerSource {
  return {
    synced: () => informer.hasSynced,
    attach: (sink) => {
      const name = (...objects: T[]) => {
        try {
          for (const key of new Set(objects.flatMap(keys))) sink.enqueue(key);
        } catch (error) {
          sink.failed(error);
        }
      };
      return informer.addHandlers({
        added: (object) => name(object),
        updated: (old, object) => name(old, object),
        deleted: (last) => name(last),
        synced: () => sink.synced(),
      });
    },
    allKeys: () => informer.list().flatMap(keys),
  };
}

export function controllerActor(options: ControllerOptions): ChildSpec<ControllerMessage> {
  return {
    id: options.name,
    start: () => new Controller(options),
    ...(options.restart === undefined ? {} : { restart: options.restart }),
  };
}

class Controller implements Actor<undefined, ControllerMessage> {
  readonly #options: ControllerOptions;
  #queue!: WorkQueue;
  #tools!: ReconcileTools;
  #detach: (() => void)[] = [];
  /** Reconcile messages under way or being worked on. */
  #busy = 0;
  #stopped = false;

  constructor(options: ControllerOptions) {
    this.#options = options;
  }

  initial(ctx: ActorContext<ControllerMessage>): undefined {
    const { system, env } = ctx;
    this.#queue = new WorkQueue({
      clock: env.clock,
      cause: () => system.cause(),
      onReady: () => this.#pump(ctx),
      ...(this.#options.limits === undefined ? {} : { limits: this.#options.limits }),
    });
    this.#tools = {
      env,
      // Not ctx.note: the work outlives the handling of its message, but not its cause.
      note: (kind, detail) => system.note(ctx.self.path, kind, detail),
      enqueue: (key, delayMs = 0) => this.#queue.addAfter(key, delayMs),
      stopped: () => this.#stopped,
    };
    const sink: SourceSink = {
      enqueue: (key) => this.#queue.add(key),
      synced: () => this.#pump(ctx),
      failed: (error) => ctx.tell(ctx.self, { type: 'SourceFailed', error }),
    };
    this.#detach = this.#options.sources.map((source) => source.attach(sink));
    this.#setResync(ctx);
    this.#pump(ctx);
    return undefined;
  }

  receive(_state: undefined, message: ControllerMessage, ctx: ActorContext<ControllerMessage>): undefined {
    switch (message.type) {
      case 'Reconcile':
        return this.#reconcile(message.key, ctx);
      case 'Reconciled':
        this.#queue.forget(message.key);
        if (message.requeueAfterMs !== undefined) this.#queue.addAfter(message.key, message.requeueAfterMs);
        return this.#done(message.key, ctx);
      case 'ReconcileFailed':
        return this.#failed(message.key, message.error, ctx);
      case 'SourceFailed':
        throw message.error;
      case 'Resync':
        for (const source of this.#options.sources) source.allKeys().forEach((key) => this.#queue.add(key));
        return this.#setResync(ctx);
      default:
        message satisfies never;
    }
  }

  stopped(): void {
    this.#stopped = true;
    for (const detach of this.#detach) detach();
    this.#queue?.stop();
  }

  /** Hands keys to free workers, each under the cause that put it into the queue. */
  #pump(ctx: ActorContext<ControllerMessage>): void {
    if (this.#stopped || !this.#options.sources.every((source) => source.synced())) return;
    while (this.#busy < this.#options.workers) {
      const item = this.#queue.take();
      if (!item) return;
      this.#busy += 1;
      ctx.system.withCause(item.cause, () => ctx.tell(ctx.self, { type: 'Reconcile', key: item.key }));
    }
  }

  #reconcile(key: string, ctx: ActorContext<ControllerMessage>): undefined {
    // A reconcile that throws before its first await fails like any other.
    const work = Promise.resolve().then(() => this.#options.reconcile(key, this.#tools));
    ctx.pipeToSelf(
      work,
      (result): ControllerMessage => ({
        type: 'Reconciled',
        key,
        ...(result?.requeueAfterMs === undefined ? {} : { requeueAfterMs: result.requeueAfterMs }),
      }),
      (error): ControllerMessage => ({ type: 'ReconcileFailed', key, error }),
    );
    return undefined;
  }

  #failed(key: string, error: unknown, ctx: ActorContext<ControllerMessage>): undefined {
    if (isProgrammerError(error)) throw error;
    const retryInMs = this.#queue.addRateLimited(key);
    if (!isConflict(error)) {
      const text = error instanceof Error ? error.message : String(error);
      ctx.note('reconcile failed', { key, retryInMs, error: text.slice(0, 300) });
    }
    return this.#done(key, ctx);
  }

  #done(key: string, ctx: ActorContext<ControllerMessage>): undefined {
    this.#busy -= 1;
    this.#queue.done(key);
    this.#pump(ctx);
    return undefined;
  }

  #setResync(ctx: ActorContext<ControllerMessage>): undefined {
    const { resyncMs } = this.#options;
    if (resyncMs !== undefined) ctx.setTimer('resync', resyncMs, { type: 'Resync' });
    return undefined;
  }
}

/** What no retry can mend: the code itself is wrong. */
function isProgrammerError(error: unknown): boolean {
  return error instanceof AssertionError || error instanceof TypeError || error instanceof ReferenceError;
}
