/**
 * Remembers what a controller wrote until its informer has seen it, so that a stale cache does not make it write twice
 * (client-go: expectations; kubernetes #129795 is what happens without). resourceVersions are comparable numbers
 * (KEP-5504), so "seen" is a comparison.
 */
import type { Informer } from '../client/index.js';
import type { KubeObject } from '../objects/meta.js';

export class OwnWrites {
  readonly #newest = new Map<string, number>();

  /** `key` wrote `object`, as the API returned it. */
  wrote(key: string, object: KubeObject): void {
    const version = Number(object.metadata?.resourceVersion ?? 0);
    if (version > (this.#newest.get(key) ?? 0)) this.#newest.set(key, version);
  }

  /** Whether the informer shows everything that `key` wrote. */
  seenBy(key: string, informer: Pick<Informer<KubeObject>, 'resourceVersion'>): boolean {
    const newest = this.#newest.get(key);
    if (newest === undefined) return true;
    if (Number(informer.resourceVersion) < newest) return false;
    this.#newest.delete(key);
    return true;
  }

  forget(key: string): void {
    this.#newest.delete(key);
  }
}
