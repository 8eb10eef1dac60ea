/**
 * Who depends on whom: what the garbage collector knows of every object, by uid (kubernetes: garbagecollector/graph.go).
 * It holds metadata only, and says after each change whom to look at again.
 */
import type { Resource } from '../client/index.js';
import type { ObjectMeta, OwnerReference } from '../objects/meta.js';

export const foregroundFinalizer = 'foregroundDeletion';
export const orphanFinalizer = 'orphan';

export interface GraphNode {
  readonly uid: string;
  readonly resource: Resource;
  readonly metadata: ObjectMeta;
}

export class OwnerGraph {
  readonly #nodes = new Map<string, GraphNode>();
  /** By the owner's uid, whether the owner is known or not; in the order in which they came. */
  readonly #dependents = new Map<string, Map<string, GraphNode>>();

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  dependentsOf(uid: string): GraphNode[] {
    return [...(this.#dependents.get(uid)?.values() ?? [])];
  }

  clear(): void {
    this.#nodes.clear();
    this.#dependents.clear();
  }

  /** The uids to look at. */
  put(resource: Resource, metadata: ObjectMeta): string[] {
    const uid = metadata.uid ?? '';
    const before = this.#nodes.get(uid);
    const node: GraphNode = { uid, resource, metadata };
    this.#nodes.set(uid, node);
    const owners = ownersOf(node);
    const changed = !before || !sameOwners(ownersOf(before), owners);
    const former = changed && before ? ownersOf(before) : [];
    for (const owner of former) this.#unlink(owner.uid, uid);
    for (const owner of owners) this.#link(owner.uid, node);
    const self = waits(node) || (changed && owners.length > 0) ? [uid] : [];
    return changed ? [...self, ...this.#waiting([...former, ...owners])] : self;
  }

  remove(uid: string): string[] {
    const node = this.#nodes.get(uid);
    if (!node) return [];
    this.#nodes.delete(uid);
    const owners = ownersOf(node);
    for (const owner of owners) this.#unlink(owner.uid, uid);
    return [...(this.#dependents.get(uid)?.keys() ?? []), ...this.#waiting(owners)];
  }

  #waiting(owners: readonly OwnerReference[]): string[] {
    return owners
      .map(({ uid }) => this.#nodes.get(uid))
      .filter((node): node is GraphNode => node !== undefined && waits(node))
      .map(({ uid }) => uid);
  }

  #link(owner: string, node: GraphNode): void {
    let dependents = this.#dependents.get(owner);
    if (!dependents) {
      dependents = new Map();
      this.#dependents.set(owner, dependents);
    }
    dependents.set(node.uid, node);
  }

  #unlink(owner: string, uid: string): void {
    const dependents = this.#dependents.get(owner);
    dependents?.delete(uid);
    if (dependents?.size === 0) this.#dependents.delete(owner);
  }
}

export function ownersOf({ metadata }: Pick<GraphNode, 'metadata'>): readonly OwnerReference[] {
  return metadata.ownerReferences ?? [];
}

/** Being deleted, and held until its dependents are gone. */
export function waitsForDependents({ deletionTimestamp, finalizers }: ObjectMeta): boolean {
  return deletionTimestamp !== undefined && (finalizers?.includes(foregroundFinalizer) ?? false);
}

/** Being deleted, and held until its dependents have let go of it. */
export function orphansDependents({ deletionTimestamp, finalizers }: ObjectMeta): boolean {
  return deletionTimestamp !== undefined && (finalizers?.includes(orphanFinalizer) ?? false);
}

function waits({ metadata }: GraphNode): boolean {
  return waitsForDependents(metadata) || orphansDependents(metadata);
}

function sameOwners(a: readonly OwnerReference[], b: readonly OwnerReference[]): boolean {
  if (a.length !== b.length) return false;
  return a.every(
    (owner, i) => owner.uid === b[i]?.uid && owner.blockOwnerDeletion === b[i]?.blockOwnerDeletion,
  );
}
