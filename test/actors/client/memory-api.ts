/**
 * An apiserver's behaviour in a few lines, for tests of what stands on ApiClient: versions, conflicts, merge
 * patches, watches, fencing, bindings. Each client of it can be cut off, and every call takes a little
 * virtual time.
 */
import {
  type ApiClient,
  ApiError,
  type DeleteOptions,
  type KubeList,
  type ListOptions,
  type PatchType,
  type Resource,
  type WatchEventType,
  type WatchHandler,
  type WriteOptions,
} from '../../../actors/client/index.js';
import type { KubeObject } from '../../../actors/objects/meta.js';
import type { Lease } from '../../../actors/objects/types/coordination.js';
import type { Clock } from '../../../transport/index.js';

export interface RecordedWrite {
  readonly by: string;
  readonly verb: string;
  readonly key: string;
  readonly fencing: string | undefined;
  readonly ok: boolean;
}

interface Watcher {
  readonly resource: string;
  readonly options: ListOptions;
  readonly by: MemoryClient;
  readonly handler: WatchHandler<KubeObject>;
}

export class MemoryApi {
  readonly objects = new Map<string, KubeObject>();
  readonly watchers = new Set<Watcher>();
  readonly writes: RecordedWrite[] = [];
  readonly #clock: Clock;
  #version = 100;
  #uids = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get version(): number {
    return this.#version;
  }

  client(name: string): MemoryClient {
    return new MemoryClient(this, this.#clock, name);
  }

  find<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
  ): T | undefined {
    return this.objects.get(keyFor(resource, namespace, name)) as T | undefined;
  }

  all<T extends KubeObject>(resource: Resource<T>): T[] {
    return [...this.objects]
      .filter(([key]) => key.startsWith(`${resource.resource}|`))
      .map(([, object]) => object as T);
  }

  /** Puts an object there as if somebody had created or updated it. */
  put<T extends KubeObject>(resource: Resource<T>, object: T): T {
    const { namespace, name } = object.metadata ?? {};
    const key = keyFor(resource, namespace, name ?? '');
    const before = this.objects.get(key);
    this.#version += 1;
    if (!before) this.#uids += 1;
    const stored = structuredClone({
      apiVersion: resource.group === '' ? resource.version : `${resource.group}/${resource.version}`,
      kind: resource.kind,
      ...object,
      metadata: {
        uid: before?.metadata?.uid ?? `uid-${this.#uids}`,
        creationTimestamp: before?.metadata?.creationTimestamp ?? new Date(this.#clock.nowMs()).toISOString(),
        ...object.metadata,
        resourceVersion: String(this.#version),
      },
    });
    this.objects.set(key, stored);
    this.#announce(resource, before ? 'MODIFIED' : 'ADDED', stored);
    return structuredClone(stored);
  }

  remove(resource: Resource, namespace: string | undefined, name: string): void {
    const key = keyFor(resource, namespace, name);
    const before = this.objects.get(key);
    if (!before) throw notFound(key);
    this.objects.delete(key);
    this.#version += 1;
    const last = { ...before, metadata: { ...before.metadata, resourceVersion: String(this.#version) } };
    this.#announce(resource, 'DELETED', last);
  }

  checkFencing(fencing: string | undefined): void {
    if (fencing === undefined) return;
    const [, namespace, name, holder, transitions] = /^(.+?)\/(.+?)=(.*)\/(\d+)$/.exec(fencing) ?? [];
    const lease = this.objects.get(`leases|${namespace}/${name}`) as Lease | undefined;
    const { holderIdentity, leaseTransitions = 0 } = lease?.spec ?? {};
    if (holderIdentity !== holder || leaseTransitions !== Number(transitions)) {
      throw new ApiError(409, 'Conflict', `fencing token ${fencing} is out of date`, true);
    }
  }

  #announce(resource: Resource, type: WatchEventType, object: KubeObject): void {
    for (const watcher of this.watchers) {
      const { namespace } = watcher.options;
      if (watcher.resource !== resource.resource) continue;
      if (namespace !== undefined && namespace !== object.metadata?.namespace) continue;
      const copy = structuredClone(object);
      this.#clock.setTimer(1, () => {
        if (this.watchers.has(watcher) && !watcher.by.cut) watcher.handler.onEvent(type, copy);
      });
    }
  }
}

export class MemoryClient implements ApiClient {
  readonly #api: MemoryApi;
  readonly #clock: Clock;
  readonly #name: string;
  #cut = false;
  /** Gives the error that a write shall fail with, before it happens. */
  sabotage: ((verb: string, key: string) => ApiError | undefined) | undefined;

  constructor(api: MemoryApi, clock: Clock, name: string) {
    this.#api = api;
    this.#clock = clock;
    this.#name = name;
  }

  get cut(): boolean {
    return this.#cut;
  }

  /** Cut off: no answer comes, watches end; healed: all as before. */
  set cut(cut: boolean) {
    this.#cut = cut;
    if (!cut) return;
    for (const watcher of this.#api.watchers) {
      if (watcher.by !== this) continue;
      this.#api.watchers.delete(watcher);
      watcher.handler.onClose();
    }
  }

  get<T extends KubeObject>(resource: Resource<T>, namespace: string | undefined, name: string): Promise<T> {
    return this.#call(() => {
      const key = keyFor(resource, namespace, name);
      const found = this.#api.objects.get(key);
      if (!found) throw notFound(key);
      return structuredClone(found) as T;
    });
  }

  list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<KubeList<T>> {
    return this.#call(() => {
      const items = this.#api
        .all(resource)
        .filter(
          ({ metadata }) => options.namespace === undefined || metadata?.namespace === options.namespace,
        );
      return { metadata: { resourceVersion: String(this.#api.version) }, items: structuredClone(items) };
    });
  }

  watch<T extends KubeObject>(resource: Resource<T>, options: ListOptions, handler: WatchHandler<T>) {
    return this.#call(() => {
      if (Number(options.resourceVersion) < this.#api.version) {
        // What changed between list and watch would be missed: this little server keeps no history.
        throw new ApiError(410, 'Expired', 'too old resource version', true);
      }
      const watcher: Watcher = {
        resource: resource.resource,
        options,
        by: this,
        handler: handler as WatchHandler<KubeObject>,
      };
      this.#api.watchers.add(watcher);
      return () => {
        this.#api.watchers.delete(watcher);
      };
    });
  }

  create<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { namespace, name } = object.metadata ?? {};
    const key = keyFor(resource, namespace, name ?? '');
    return this.#write('create', key, options, () => {
      if (this.#api.objects.has(key)) throw new ApiError(409, 'AlreadyExists', `${key} already exists`, true);
      return this.#api.put(resource, object);
    });
  }

  update<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { namespace, name, resourceVersion } = object.metadata ?? {};
    const key = keyFor(resource, namespace, name ?? '');
    return this.#write('update', key, options, () => {
      const before = this.#api.objects.get(key);
      if (!before) throw notFound(key);
      if (resourceVersion !== undefined && resourceVersion !== before.metadata?.resourceVersion) {
        throw new ApiError(409, 'Conflict', `${key} has been modified`, true);
      }
      return this.#api.put(resource, object);
    });
  }

  updateStatus<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: WriteOptions = {},
  ): Promise<T> {
    return this.update(resource, object, options);
  }

  patch<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    _type: PatchType,
    patch: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    const key = keyFor(resource, namespace, name);
    return this.#write('patch', key, options, () => {
      const before = this.#api.objects.get(key);
      if (!before) throw notFound(key);
      return this.#api.put(resource, merge(before, patch) as T);
    });
  }

  delete(resource: Resource, namespace: string | undefined, name: string, options: DeleteOptions = {}) {
    const key = keyFor(resource, namespace, name);
    return this.#write('delete', key, options, () => this.#api.remove(resource, namespace, name));
  }

  createSubresource(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    subresource: string,
    object: unknown,
    options: WriteOptions = {},
  ): Promise<unknown> {
    const key = keyFor(resource, namespace, name);
    return this.#write(subresource, key, options, () => {
      const before = this.#api.objects.get(key) as { spec?: { nodeName?: string } } & KubeObject;
      if (!before) throw notFound(key);
      if (subresource !== 'binding') throw new ApiError(404, 'NotFound', `no ${subresource} here`, true);
      if (before.spec?.nodeName) {
        throw new ApiError(
          409,
          'Conflict',
          `pod ${name} is already assigned to ${before.spec.nodeName}`,
          true,
        );
      }
      const { target } = object as { target: { name: string } };
      this.#api.put(resource, { ...before, spec: { ...before.spec, nodeName: target.name } } as KubeObject);
      return {};
    });
  }

  #write<T>(verb: string, key: string, options: WriteOptions, work: () => T): Promise<T> {
    return this.#call(() => {
      const record = (ok: boolean) =>
        this.#api.writes.push({ by: this.#name, verb, key, fencing: options.fencing, ok });
      try {
        this.#api.checkFencing(options.fencing);
        const trouble = this.sabotage?.(verb, key);
        if (trouble) throw trouble;
        const result = work();
        record(true);
        return result;
      } catch (error) {
        record(false);
        throw error;
      }
    });
  }

  async #call<T>(work: () => T): Promise<T> {
    await this.#pause(1);
    if (this.#cut) {
      await this.#pause(900);
      throw new ApiError(0, 'Timeout', `${this.#name} is cut off`, false);
    }
    const result = work();
    await this.#pause(1);
    return result;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.setTimer(ms, resolve));
  }
}

function keyFor(resource: Resource, namespace: string | undefined, name: string): string {
  return `${resource.resource}|${resource.namespaced ? `${namespace}/` : ''}${name}`;
}

function notFound(key: string): ApiError {
  return new ApiError(404, 'NotFound', `${key} not found`, true);
}

/** RFC 7386, and the merge key `type` for status.conditions as a strategic patch has it. */
function merge(before: unknown, patch: unknown): unknown {
  if (Array.isArray(patch) && patch.every((item) => typeof item === 'object' && 'type' in item)) {
    const kept = (Array.isArray(before) ? before : []).filter(
      (old: { type: string }) => !patch.some((item: { type: string }) => item.type === old.type),
    );
    return [...kept, ...patch];
  }
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const merged: Record<string, unknown> = { ...(before as Record<string, unknown> | undefined) };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = merge(merged[name], value);
  }
  return merged;
}
