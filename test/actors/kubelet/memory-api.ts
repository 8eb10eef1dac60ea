/**
 * An API in a Map, for tests of the kubelet and the proxy alone: enough of the verbs, of graceful deletion
 * and of patches.
 */
import {
  type ApiClient,
  ApiError,
  type DeleteOptions,
  type KubeList,
  type ListOptions,
  type Resource,
  type WatchEventType,
  type WatchHandler,
  type WriteOptions,
} from '../../../actors/client/index.js';
import type { KubeObject } from '../../../actors/objects/meta.js';
import type { Event, Pod, PodCondition } from '../../../actors/objects/types/core.js';

interface Watcher {
  readonly resource: string;
  readonly options: ListOptions;
  readonly handler: WatchHandler<KubeObject>;
}

export class MemoryApi implements ApiClient {
  readonly #objects = new Map<string, KubeObject>();
  readonly #watchers = new Set<Watcher>();
  readonly #history: {
    readonly revision: number;
    readonly resource: string;
    readonly type: WatchEventType;
    readonly object: KubeObject;
  }[] = [];
  #revision = 0;
  #uids = 0;
  /** Every call fails as if no apiserver answered. */
  down = false;
  readonly writes: string[] = [];
  readonly #defer: (callback: () => void) => void;

  constructor(defer: (callback: () => void) => void) {
    this.#defer = defer;
  }

  async get<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
  ): Promise<T> {
    this.#check();
    return structuredClone(this.#find(resource, namespace, name)) as T;
  }

  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<KubeList<T>> {
    this.#check();
    const items = this.#all(resource, options) as T[];
    return { metadata: { resourceVersion: String(this.#revision) }, items: structuredClone(items) };
  }

  async watch<T extends KubeObject>(
    resource: Resource<T>,
    options: ListOptions,
    handler: WatchHandler<T>,
  ): Promise<() => void> {
    this.#check();
    const watcher: Watcher = {
      resource: resource.resource,
      options,
      handler: handler as unknown as WatchHandler<KubeObject>,
    };
    this.#watchers.add(watcher);
    for (const { revision, resource: name, type, object } of this.#history) {
      if (name !== resource.resource || revision <= Number(options.resourceVersion)) continue;
      if (matches(object, options))
        this.#defer(() => this.#watchers.has(watcher) && watcher.handler.onEvent(type, object));
    }
    return () => this.#watchers.delete(watcher);
  }

  async create<T extends KubeObject>(resource: Resource<T>, object: T): Promise<T> {
    this.#check();
    const { name = '', namespace } = object.metadata ?? {};
    if (this.#objects.has(keyOf(resource, namespace, name))) {
      throw new ApiError(409, 'AlreadyExists', `${resource.resource} "${name}" already exists`, true);
    }
    this.#uids += 1;
    const made = structuredClone(object);
    made.metadata = { ...made.metadata, uid: `uid-${String(this.#uids).padStart(8, '0')}`, generation: 1 };
    return this.#store(resource, made, 'ADDED') as T;
  }

  async update<T extends KubeObject>(resource: Resource<T>, object: T): Promise<T> {
    this.#check();
    const old = this.#find(resource, object.metadata?.namespace, object.metadata?.name ?? '');
    const wanted = object.metadata?.resourceVersion;
    if (wanted !== undefined && wanted !== old.metadata?.resourceVersion) {
      throw new ApiError(409, 'Conflict', 'the object has been modified', true);
    }
    return this.#store(resource, structuredClone(object), 'MODIFIED') as T;
  }

  updateStatus<T extends KubeObject>(resource: Resource<T>, object: T): Promise<T> {
    return this.update(resource, object);
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    type: string,
    patch: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    this.#check();
    const old = this.#find(resource, namespace, name);
    const uid = (patch as KubeObject).metadata?.uid;
    if (uid !== undefined && uid !== old.metadata?.uid) {
      throw new ApiError(409, 'Conflict', 'the uid in the precondition does not match', true);
    }
    this.writes.push(`${options.subresource ?? 'spec'} ${resource.resource}/${name}`);
    const merged = merge(structuredClone(old), patch, type === 'strategic') as T;
    if (JSON.stringify(merged) === JSON.stringify(old)) return merged;
    return this.#store(resource, merged, 'MODIFIED') as T;
  }

  async delete(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions = {},
  ): Promise<void> {
    this.#check();
    const old = this.#find(resource, namespace, name);
    const { preconditions } = options;
    if (preconditions?.uid !== undefined && preconditions.uid !== old.metadata?.uid) {
      throw new ApiError(409, 'Conflict', 'the uid in the precondition does not match', true);
    }
    const pod = old as Pod;
    const grace = options.gracePeriodSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? 30;
    if (resource.resource === 'pods' && grace > 0 && pod.spec?.nodeName) {
      const metadata = {
        ...old.metadata,
        deletionTimestamp: '2026-01-01T00:00:00Z',
        deletionGracePeriodSeconds: grace,
      };
      this.#store(resource, { ...old, metadata }, 'MODIFIED');
      return;
    }
    this.#objects.delete(keyOf(resource, namespace, name));
    this.#tell('DELETED', resource, { ...old, metadata: { ...old.metadata, resourceVersion: this.#next() } });
  }

  async createSubresource(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    subresource: string,
  ): Promise<unknown> {
    this.#check();
    this.#find(resource, namespace, name);
    return { status: { token: `token of ${namespace}/${name}`, subresource } };
  }

  /** `Reason: message` of the events about an object, in order. */
  events(name: string): string[] {
    return this.#all({ resource: 'events' } as Resource, {})
      .map((object) => object as Event)
      .filter(({ involvedObject }) => involvedObject.name === name)
      .map(({ reason, message }) => `${reason}: ${message}`);
  }

  #check(): void {
    if (this.down) throw new ApiError(0, 'Unreachable', 'no apiserver answered', true);
  }

  #find(resource: Resource, namespace: string | undefined, name: string): KubeObject {
    const found = this.#objects.get(keyOf(resource, namespace, name));
    if (found === undefined)
      throw new ApiError(404, 'NotFound', `${resource.resource} "${name}" not found`, true);
    return found;
  }

  #all(resource: Resource, options: ListOptions): KubeObject[] {
    return [...this.#objects]
      .filter(([key, object]) => key.startsWith(`${resource.resource}/`) && matches(object, options))
      .map(([, object]) => object);
  }

  #store(resource: Resource, object: KubeObject, type: WatchEventType): KubeObject {
    object.metadata = { ...object.metadata, resourceVersion: this.#next() };
    this.#objects.set(keyOf(resource, object.metadata.namespace, object.metadata.name ?? ''), object);
    this.#tell(type, resource, object);
    return structuredClone(object);
  }

  #tell(type: WatchEventType, resource: Resource, object: KubeObject): void {
    const copy = structuredClone(object);
    this.#history.push({ revision: this.#revision, resource: resource.resource, type, object: copy });
    for (const watcher of this.#watchers) {
      if (watcher.resource !== resource.resource || !matches(object, watcher.options)) continue;
      this.#defer(() => this.#watchers.has(watcher) && watcher.handler.onEvent(type, copy));
    }
  }

  #next(): string {
    this.#revision += 1;
    return String(this.#revision);
  }
}

function keyOf(resource: Resource, namespace: string | undefined, name: string): string {
  return `${resource.resource}/${namespace ?? ''}/${name}`;
}

function matches(object: KubeObject, options: ListOptions): boolean {
  const node = /^spec\.nodeName=(.*)$/.exec(options.fieldSelector ?? '')?.[1];
  return node === undefined || (object as Pod).spec?.nodeName === node;
}

function merge(target: unknown, patch: unknown, strategic: boolean): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> =
    typeof target === 'object' && target !== null ? { ...(target as Record<string, unknown>) } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (strategic && key === 'conditions') {
      const conditions = [...((result[key] as PodCondition[] | undefined) ?? [])];
      for (const condition of value as PodCondition[]) {
        const at = conditions.findIndex(({ type }) => type === condition.type);
        if (at === -1) conditions.push(condition);
        else conditions[at] = merge(conditions[at], condition, false) as PodCondition;
      }
      result[key] = conditions;
    } else result[key] = merge(result[key], value, strategic);
  }
  return result;
}
