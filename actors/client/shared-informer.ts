/** The Informer over a Reflector and an ObjectStore, and the factory that shares one among all who ask. */
import type { KubeObject } from '../objects/meta.js';
import type { ActorSystem, ChildSpec } from '../runtime/index.js';
import type { ApiClient, ListOptions, Resource } from './api-client.js';
import { type Informer, type InformerFactory, type InformerHandlers, keyOf } from './informer.js';
import { type ClientLimits, clientLimits } from './limits.js';
import { type Change, ObjectStore } from './object-store.js';
import { Reflector, type ReflectorSink } from './reflector.js';
import { groupVersionOf } from './request-encoding.js';

type Scope = Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector' | 'metadataOnly'>;

export interface InformerFactoryOptions {
  readonly system: ActorSystem;
  readonly client: ApiClient;
  /** Nothing is asked for until `start`; default false. */
  readonly startPaused?: boolean;
  readonly limits?: Partial<ClientLimits>;
}

/**
 * Runs from the start unless `startPaused`; `stop` ends all its streams and `start` begins again with fresh
 * lists.
 */
export interface SharedInformerFactory extends InformerFactory {
  start(): void;
}

export function createInformerFactory(options: InformerFactoryOptions): SharedInformerFactory {
  return new Factory(options);
}

/**
 * A child that ties a factory to a supervisor: informers run while it does. Put it first under
 * `rest-for-one`.
 */
export function informersChild(factory: SharedInformerFactory): ChildSpec<never> {
  return {
    id: 'informers',
    start: () => ({
      initial: () => factory.start(),
      receive: (state) => state,
      stopped: () => factory.stop(),
    }),
  };
}

class Factory implements SharedInformerFactory {
  readonly #options: InformerFactoryOptions;
  readonly #informers = new Map<string, SharedInformer<KubeObject>>();
  #running: boolean;

  constructor(options: InformerFactoryOptions) {
    this.#options = options;
    this.#running = !options.startPaused;
  }

  informer<T extends KubeObject>(resource: Resource<T>, scope: Scope = {}): Informer<T> {
    const { namespace, labelSelector, fieldSelector, metadataOnly } = scope;
    const name = [
      groupVersionOf(resource),
      resource.resource,
      namespace,
      labelSelector,
      fieldSelector,
      metadataOnly,
    ];
    const id = JSON.stringify(name);
    let informer = this.#informers.get(id);
    if (!informer) {
      informer = new SharedInformer(this.#options, resource as Resource, scope);
      this.#informers.set(id, informer);
      if (this.#running) informer.start();
    }
    return informer as unknown as Informer<T>;
  }

  async synced(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.whenSynced()));
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    for (const informer of this.#informers.values()) informer.start();
  }

  stop(): void {
    this.#running = false;
    for (const informer of this.#informers.values()) informer.stop();
  }
}

class SharedInformer<T extends KubeObject> implements Informer<T>, ReflectorSink<T> {
  readonly resource: Resource<T>;
  readonly #store = new ObjectStore<T>();
  readonly #reflector: Reflector<T>;
  readonly #handlers = new Set<InformerHandlers<T>>();
  #waiting: (() => void)[] = [];
  #hasSynced = false;
  #resourceVersion = '';

  constructor(options: InformerFactoryOptions, resource: Resource<T>, scope: Scope) {
    this.resource = resource;
    const { system, client } = options;
    const limits = { ...clientLimits, ...options.limits };
    this.#reflector = new Reflector({ system, client, resource, scope, sink: this, limits });
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  get resourceVersion(): string {
    return this.#resourceVersion;
  }

  get(key: string): T | undefined {
    return this.#store.get(key);
  }

  list(): readonly T[] {
    return this.#store.list();
  }

  inNamespace(namespace: string): readonly T[] {
    return this.#store.inNamespace(namespace);
  }

  /** Handlers that come late are told of what is there already, as client-go does. */
  addHandlers(handlers: InformerHandlers<T>): () => void {
    this.#handlers.add(handlers);
    for (const object of this.#store.list()) handlers.added?.(object);
    if (this.#hasSynced) handlers.synced?.();
    return () => {
      this.#handlers.delete(handlers);
    };
  }

  whenSynced(): Promise<void> {
    if (this.#hasSynced) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  start(): void {
    this.#reflector.start();
  }

  stop(): void {
    this.#reflector.stop();
    this.#hasSynced = false;
  }

  replaced(objects: readonly T[], resourceVersion: string): void {
    this.#resourceVersion = resourceVersion;
    const changes = this.#store.replace(objects);
    this.#hasSynced = true;
    for (const change of changes) this.#tell(change);
    for (const handlers of Array.from(this.#handlers)) handlers.synced?.();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  changed(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T, resourceVersion: string): void {
    this.#resourceVersion = resourceVersion;
    if (type === 'DELETED') return this.#tell(this.#store.remove(object));
    const { uid } = object.metadata ?? {};
    const known = this.#store.get(keyOf(object));
    // A name taken over by another object: its predecessor's end went unseen.
    if (known && known.metadata?.uid !== uid) this.#tell(this.#store.remove(known));
    this.#tell(this.#store.put(object));
  }

  progressed(resourceVersion: string): void {
    this.#resourceVersion = resourceVersion;
  }

  #tell(change: Change<T> | undefined): void {
    if (!change) return;
    for (const handlers of Array.from(this.#handlers)) {
      switch (change.type) {
        case 'added':
          handlers.added?.(change.object);
          break;
        case 'updated':
          handlers.updated?.(change.old, change.object);
          break;
        case 'deleted':
          handlers.deleted?.(change.last);
          break;
        default:
          change satisfies never;
      }
    }
  }
}
