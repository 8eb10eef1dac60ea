/**
 * Keeps one informer in step with the apiserver (client-go `tools/cache/reflector.go`): a consistent list,
 * then a watch from its resourceVersion; a lost watch resumes where it stood, and only `410 Expired` lists
 * again. Changes are reported under the cause of the message that brought them.
 */
import type { Timer } from '../../transport/index.js';
import type { KubeObject } from '../objects/meta.js';
import type { ActorSystem } from '../runtime/index.js';
import {
  type ApiClient,
  ApiError,
  type ListOptions,
  type Resource,
  type WatchEventType,
} from './api-client.js';
import type { ClientLimits } from './limits.js';
import { errorOfStatus, isStatus } from './response-status.js';

export interface ReflectorSink<T> {
  /** A complete list; the sink becomes exactly this. */
  replaced(objects: readonly T[], resourceVersion: string): void;
  changed(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T, resourceVersion: string): void;
  /** Nothing changed up to here. */
  progressed(resourceVersion: string): void;
}

export interface ReflectorOptions<T extends KubeObject> {
  readonly system: ActorSystem;
  readonly client: ApiClient;
  readonly resource: Resource<T>;
  readonly scope: Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector' | 'metadataOnly'>;
  readonly sink: ReflectorSink<T>;
  readonly limits: ClientLimits;
}

export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  /** Where the next watch starts; undefined means list first. */
  #resourceVersion: string | undefined;
  /** Each watch and each list has its own; answers of an older one are ignored. */
  #attempt = 0;
  #running = false;
  #pauseMs: number;
  #openedAtMs = 0;
  #timer: Timer | undefined;
  #closeWatch: (() => void) | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#pauseMs = options.limits.relistPauseMinMs;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#resourceVersion = undefined;
    this.#next();
  }

  stop(): void {
    this.#running = false;
    this.#attempt += 1;
    this.#timer?.cancel();
    this.#closeWatch?.();
    this.#closeWatch = undefined;
  }

  /** Lists or watches, as due. A new trace: nobody's message asked for it. */
  #next(): void {
    if (!this.#running) return;
    this.#attempt += 1;
    const attempt = this.#attempt;
    const { system } = this.#options;
    void system.withCause(undefined, async () => {
      try {
        if (this.#resourceVersion === undefined) await this.#list(attempt);
        if (this.#current(attempt)) await this.#watch(attempt);
      } catch (error) {
        if (this.#current(attempt)) this.#failed(error);
      }
    });
  }

  #current(attempt: number): boolean {
    return this.#running && attempt === this.#attempt;
  }

  async #list(attempt: number): Promise<void> {
    const { client, resource, scope, limits, sink } = this.#options;
    const objects: T[] = [];
    let page = await client.list(resource, { ...scope, limit: limits.listPageItems });
    objects.push(...page.items);
    while (page.metadata.continue && this.#current(attempt)) {
      page = await client.list(resource, {
        ...scope,
        limit: limits.listPageItems,
        continue: page.metadata.continue,
      });
      objects.push(...page.items);
    }
    if (!this.#current(attempt)) return;
    this.#resourceVersion = page.metadata.resourceVersion;
    sink.replaced(objects, page.metadata.resourceVersion);
  }

  async #watch(attempt: number): Promise<void> {
    const { client, resource, scope, system } = this.#options;
    const resourceVersion = this.#resourceVersion!;
    const close = await client.watch(
      resource,
      { ...scope, resourceVersion },
      {
        onEvent: (type, object) => this.#event(attempt, type, object),
        onClose: () => {
          if (this.#current(attempt)) this.#closed();
        },
      },
    );
    if (!this.#current(attempt)) return close();
    this.#closeWatch = close;
    this.#openedAtMs = system.env.clock.monotonicMs();
  }

  #event(attempt: number, type: WatchEventType, object: T): void {
    if (!this.#current(attempt)) return;
    const { sink, resource } = this.#options;
    if (type === 'ERROR') {
      const status: unknown = object;
      const what = `watch ${resource.resource}`;
      return this.#failed(
        isStatus(status)
          ? errorOfStatus(status, what)
          : new ApiError(500, 'InternalError', `${what}: an ERROR event without a Status`, true),
      );
    }
    const resourceVersion = object.metadata?.resourceVersion;
    if (resourceVersion === undefined) return;
    this.#resourceVersion = resourceVersion;
    if (type === 'BOOKMARK') sink.progressed(resourceVersion);
    else sink.changed(type, object, resourceVersion);
  }

  /**
   * A stream that ended by itself: resume, at once when it had lived, with a pause when streams die young.
   */
  #closed(): void {
    this.#closeWatch = undefined;
    const { limits, system } = this.#options;
    const livedMs = system.env.clock.monotonicMs() - this.#openedAtMs;
    if (livedMs >= limits.watchHealthyMs) this.#pauseMs = limits.relistPauseMinMs;
    this.#retry();
  }

  #failed(error: unknown): void {
    this.#closeWatch?.();
    this.#closeWatch = undefined;
    if (!(error instanceof ApiError)) throw error;
    const expired = error.status === 410 || error.reason === 'Expired' || error.reason === 'Gone';
    if (expired) this.#resourceVersion = undefined;
    const { system, resource } = this.#options;
    system.note('informer', expired ? 'too far behind, listing again' : 'list or watch failed', {
      resource: resource.resource,
      status: error.status,
      reason: error.reason,
      message: error.message.slice(0, 200),
    });
    this.#retry();
  }

  #retry(): void {
    this.#attempt += 1;
    const { limits, system } = this.#options;
    const { clock, random } = system.env;
    const delayMs = this.#pauseMs * (0.5 + random.next() / 2);
    this.#pauseMs = Math.min(this.#pauseMs * 2, limits.relistPauseMaxMs);
    this.#timer?.cancel();
    this.#timer = clock.setTimer(delayMs, () => this.#next());
  }
}
