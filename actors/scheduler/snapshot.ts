/**
 * The cluster as the scheduler sees it: nodes, the pods on them, namespaces' labels. Incremental: every
 * change of an informer touches one node. A pod that is being bound is assumed to be there already
 * (kube-scheduler's cache).
 */
import { strict as assert } from 'node:assert';
import type { Namespace, Node, Pod } from '../objects/types/core.js';
import { NodeInfo } from './node-info.js';
import { type PodInfo, podInfo } from './pod-info.js';

export class Snapshot {
  readonly #nodes = new Map<string, NodeInfo>();
  /** Node name by pod uid. */
  readonly #places = new Map<string, string>();
  readonly #assumed = new Set<string>();
  readonly #nominated = new Map<string, { readonly pod: PodInfo; readonly nodeName: string }>();
  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();
  /** Nodes that have an image, by its name. */
  readonly #images = new Map<string, Set<string>>();
  #list: readonly NodeInfo[] | undefined;

  /** Nodes that exist, in the order in which they came to be known. */
  nodes(): readonly NodeInfo[] {
    this.#list ??= [...this.#nodes.values()].filter(({ node }) => node !== undefined);
    return this.#list;
  }

  node(name: string): NodeInfo | undefined {
    return this.#nodes.get(name);
  }

  setNode(node: Node): void {
    const name = node.metadata?.name ?? '';
    const info = this.#nodeInfo(name);
    this.#forgetImages(info);
    if (!info.node) this.#list = undefined;
    info.node = node;
    for (const image of imageNames(info)) {
      const holders = this.#images.get(image) ?? new Set();
      this.#images.set(image, holders.add(name));
    }
  }

  removeNode(name: string): void {
    const info = this.#nodes.get(name);
    if (!info) return;
    this.#forgetImages(info);
    this.#list = undefined;
    info.node = undefined;
    if (info.podCount === 0) this.#nodes.delete(name);
  }

  /** A pod that has a node, as the apiserver shows it; confirms an assumed one. */
  setPod(pod: Pod): PodInfo {
    const info = podInfo(pod);
    this.#assumed.delete(info.uid);
    this.#nominated.delete(info.uid);
    this.#place(info, pod.spec?.nodeName ?? '');
    return info;
  }

  removePod(uid: string): void {
    this.#assumed.delete(uid);
    const name = this.#places.get(uid);
    if (name === undefined) return;
    this.#places.delete(uid);
    const node = this.#nodes.get(name);
    node?.remove(uid);
    if (node && node.podCount === 0 && !node.node) this.#nodes.delete(name);
  }

  /** Reserves the place while the binding is under way. */
  assume(pod: PodInfo, nodeName: string): void {
    this.#place(pod, nodeName);
    this.#assumed.add(pod.uid);
  }

  /** The binding failed. Does nothing to a pod that was confirmed meanwhile. */
  forget(uid: string): void {
    if (this.#assumed.has(uid)) this.removePod(uid);
  }

  /** Takes a pod away to see what would be without it; returns the way to put it back as it was. */
  lift(uid: string): () => void {
    const name = this.#places.get(uid);
    const node = name === undefined ? undefined : this.#nodes.get(name);
    const pod = node?.pod(uid);
    assert(node && pod, `pod ${uid} is on no node`);
    node.remove(uid);
    return () => node.add(pod);
  }

  /** Room was made for the pod on this node; others of its importance or less must leave it. */
  nominate(pod: PodInfo, nodeName: string): void {
    this.#nominated.set(pod.uid, { pod, nodeName });
  }

  nominationOf(uid: string): string | undefined {
    return this.#nominated.get(uid)?.nodeName;
  }

  endNomination(uid: string): void {
    this.#nominated.delete(uid);
  }

  /** Runs `work` as if the nominated pods that `pod` must respect had arrived already. */
  withNominated<T>(pod: PodInfo, work: () => T): T {
    const guests: (() => void)[] = [];
    for (const { pod: other, nodeName } of this.#nominated.values()) {
      const node = this.#nodes.get(nodeName);
      if (!node || other.uid === pod.uid || other.priority < pod.priority || this.#places.has(other.uid))
        continue;
      node.add(other);
      guests.push(() => node.remove(other.uid));
    }
    try {
      return work();
    } finally {
      for (const leave of guests) leave();
    }
  }

  isPlaced(uid: string): boolean {
    return this.#places.has(uid);
  }

  isAssumed(uid: string): boolean {
    return this.#assumed.has(uid);
  }

  placeOf(uid: string): string | undefined {
    return this.#places.get(uid);
  }

  setNamespace(namespace: Namespace): void {
    this.#namespaces.set(namespace.metadata?.name ?? '', namespace.metadata?.labels ?? {});
  }

  removeNamespace(name: string): void {
    this.#namespaces.delete(name);
  }

  namespaceLabels(name: string): Readonly<Record<string, string>> {
    return this.#namespaces.get(name) ?? {};
  }

  nodesWithImage(image: string): number {
    return this.#images.get(image)?.size ?? 0;
  }

  #place(pod: PodInfo, nodeName: string): void {
    const before = this.#places.get(pod.uid);
    if (before !== undefined && before !== nodeName) this.removePod(pod.uid);
    this.#places.set(pod.uid, nodeName);
    this.#nodeInfo(nodeName).add(pod);
  }

  #nodeInfo(name: string): NodeInfo {
    let info = this.#nodes.get(name);
    if (!info) {
      info = new NodeInfo(name);
      this.#nodes.set(name, info);
    }
    return info;
  }

  #forgetImages(info: NodeInfo): void {
    for (const image of imageNames(info)) {
      const holders = this.#images.get(image);
      holders?.delete(info.name);
      if (holders?.size === 0) this.#images.delete(image);
    }
  }
}

function imageNames(info: NodeInfo): readonly string[] {
  return (info.node?.status?.images ?? []).flatMap(({ names }) => names ?? []);
}
