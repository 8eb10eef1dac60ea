/**
 * The objects that an informer holds, by key and by namespace, and the difference that a fresh list makes
 * (client-go: ThreadSafeStore, DeltaFIFO's Replace). Iteration follows the order of insertion: the same in
 * every replay.
 */
import type { KubeObject } from '../objects/meta.js';
import { keyOf } from './informer.js';

export type Change<T> =
  | { readonly type: 'added'; readonly object: T }
  | { readonly type: 'updated'; readonly old: T; readonly object: T }
  | { readonly type: 'deleted'; readonly last: T };

export class ObjectStore<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #byNamespace = new Map<string, Map<string, T>>();
  #list: readonly T[] | undefined;

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  /** The same array until something changes. */
  list(): readonly T[] {
    this.#list ??= [...this.#objects.values()];
    return this.#list;
  }

  inNamespace(namespace: string): readonly T[] {
    return [...(this.#byNamespace.get(namespace)?.values() ?? [])];
  }

  /** Undefined when the object is already known in this very version. */
  put(object: T): Change<T> | undefined {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    if (old !== undefined && sameVersion(old, object)) return undefined;
    // Another uid under the same name is another object: a delete went unseen.
    this.#set(key, object);
    return old === undefined ? { type: 'added', object } : { type: 'updated', old, object };
  }

  /** `last` is the final state when the watch brought one. */
  remove(object: T): Change<T> | undefined {
    const key = keyOf(object);
    if (!this.#objects.delete(key)) return undefined;
    this.#list = undefined;
    const namespace = object.metadata?.namespace ?? '';
    const siblings = this.#byNamespace.get(namespace);
    siblings?.delete(key);
    if (siblings?.size === 0) this.#byNamespace.delete(namespace);
    return { type: 'deleted', last: object };
  }

  /** Becomes exactly `objects`; says what that changed, deletions first. */
  replace(objects: readonly T[]): Change<T>[] {
    const listed = new Map(objects.map((object) => [keyOf(object), object]));
    const changes: Change<T>[] = [];
    for (const [key, last] of Array.from(this.#objects)) {
      const now = listed.get(key);
      if (now === undefined || now.metadata?.uid !== last.metadata?.uid) {
        changes.push(this.remove(last)!);
      }
    }
    for (const object of objects) {
      const change = this.put(object);
      if (change) changes.push(change);
    }
    return changes;
  }

  #set(key: string, object: T): void {
    this.#list = undefined;
    this.#objects.set(key, object);
    const namespace = object.metadata?.namespace ?? '';
    let siblings = this.#byNamespace.get(namespace);
    if (!siblings) {
      siblings = new Map();
      this.#byNamespace.set(namespace, siblings);
    }
    siblings.set(key, object);
  }
}

function sameVersion(a: KubeObject, b: KubeObject): boolean {
  const version = a.metadata?.resourceVersion;
  return (
    version !== undefined && version === b.metadata?.resourceVersion && a.metadata?.uid === b.metadata?.uid
  );
}
