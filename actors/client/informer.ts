/**
 * A local, eventually consistent copy of one resource, kept by list + watch (client-go: Reflector + Store).
 * It survives lost streams and 410 by listing again; handlers run in the order of resourceVersions and under the
 * cause of the watch event, so that what a controller does is traced back to what made it do so.
 */
import type { KubeObject } from '../objects/meta.js';
import type { ListOptions, Resource } from './api-client.js';

export interface InformerHandlers<T> {
  added?(object: T): void;
  updated?(old: T, object: T): void;
  deleted?(last: T): void;
  /** After the first complete list, and again after each relist. */
  synced?(): void;
}

export interface Informer<T extends KubeObject> {
  readonly resource: Resource<T>;
  /** Key `namespace/name`, or `name` without a namespace. Objects are frozen by convention: never change one. */
  get(key: string): T | undefined;
  list(): readonly T[];
  inNamespace(namespace: string): readonly T[];
  readonly hasSynced: boolean;
  /** The newest resourceVersion seen. */
  readonly resourceVersion: string;
  addHandlers(handlers: InformerHandlers<T>): () => void;
  stop(): void;
}

export interface InformerFactory {
  /** One informer per (resource, options), shared by all who ask. */
  informer<T extends KubeObject>(
    resource: Resource<T>,
    options?: Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector' | 'metadataOnly'>,
  ): Informer<T>;
  /** Resolves when every informer asked for so far has synced. */
  synced(): Promise<void>;
  stop(): void;
}

export function keyOf(object: KubeObject): string {
  const { namespace, name } = object.metadata ?? {};
  return namespace ? `${namespace}/${name ?? ''}` : (name ?? '');
}
