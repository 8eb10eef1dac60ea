/**
 * How components use the Kubernetes API: typed verbs over whichever apiserver answers. The implementation
 * (`actor-api-client.ts`) sends ApiRequest messages to the apiserver of its own machine first and fails over to the
 * others; reads are retried there, a write is not once it may have been handled.
 */
import type { KubeObject } from '../objects/meta.js';

/** A resource as the URL names it. `group` is empty for the core. */
export interface Resource<T extends KubeObject = KubeObject> {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Phantom: the object type. */
  readonly __object?: T;
}

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly resourceVersion?: string;
  readonly limit?: number;
  readonly continue?: string;
  /** Objects come as PartialObjectMetadata: nothing but their metadata. */
  readonly metadataOnly?: boolean;
}

export interface GetOptions {
  /** `0`: whatever the apiserver's cache holds, without asking the store how new that is. */
  readonly resourceVersion?: string;
}

export interface KubeList<T> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly T[];
}

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';

export interface WatchHandler<T> {
  onEvent(type: WatchEventType, object: T): void;
  /** The stream ended (server side timeout, lost apiserver); watch again from the last resourceVersion seen. */
  onClose(): void;
}

export interface WriteOptions {
  /** Makes the write conditional on leadership (see fencingHeader). */
  readonly fencing?: string;
  readonly fieldManager?: string;
  readonly subresource?: string;
  readonly dryRun?: boolean;
}

export interface DeleteOptions extends WriteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

export type PatchType = 'merge' | 'strategic' | 'json' | 'apply';

export interface ApiClient {
  get<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    options?: GetOptions,
  ): Promise<T>;
  list<T extends KubeObject>(resource: Resource<T>, options?: ListOptions): Promise<KubeList<T>>;
  /** Resolves when the watch is open; the returned function closes it. */
  watch<T extends KubeObject>(
    resource: Resource<T>,
    options: ListOptions & { readonly sendInitialEvents?: boolean },
    handler: WatchHandler<T>,
  ): Promise<() => void>;
  create<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>;
  /** PUT; carries the object's resourceVersion as precondition when it has one. */
  update<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>;
  updateStatus<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    type: PatchType,
    patch: unknown,
    options?: WriteOptions,
  ): Promise<T>;
  delete(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    options?: DeleteOptions,
  ): Promise<void>;
  /** POST to a subresource such as `binding` or `eviction`. */
  createSubresource(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    subresource: string,
    object: unknown,
    options?: WriteOptions,
  ): Promise<unknown>;
}

/** An answer that is not 2xx, with the Status of the body. */
export class ApiError extends Error {
  /** HTTP status; 0 when no apiserver answered. */
  readonly status: number;
  /** Kubernetes' reason: `NotFound`, `Conflict`, `AlreadyExists`, `Expired`, `Forbidden` ... */
  readonly reason: string;
  /** False when the write may have happened (no answer, 500, 504). */
  readonly definite: boolean;

  constructor(status: number, reason: string, message: string, definite: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ApiError';
    this.status = status;
    this.reason = reason;
    this.definite = definite;
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.reason === 'NotFound';
}
/** Of a request about something that may be gone, and then has nothing more to do: undefined in that case. */
export async function unlessGone<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
export function isConflict(error: unknown): boolean {
  return error instanceof ApiError && error.reason === 'Conflict';
}
export function isAlreadyExists(error: unknown): boolean {
  return error instanceof ApiError && error.reason === 'AlreadyExists';
}
