/** A node with the pods on it and the sums that they make. Kept up to date pod by pod, never recomputed. */
import type { Node, Taint } from '../objects/types/core.js';
import type { HostPort, PodInfo } from './pod-info.js';
import { addTo, type Amounts, amountsOf } from './resource-amounts.js';

export class NodeInfo {
  readonly name: string;
  readonly #pods = new Map<string, PodInfo>();
  readonly #withAffinity = new Map<string, PodInfo>();
  readonly #requested = new Map<string, number>();
  readonly #assumedRequested = new Map<string, number>();
  #node: Node | undefined;
  #allocatable: Amounts = new Map();

  constructor(name: string) {
    this.name = name;
  }

  /** Undefined while pods of the node are known but the node itself is not: nothing is scheduled there. */
  get node(): Node | undefined {
    return this.#node;
  }

  set node(node: Node | undefined) {
    this.#node = node;
    this.#allocatable = amountsOf(node?.status?.allocatable ?? node?.status?.capacity);
  }

  get labels(): Readonly<Record<string, string>> {
    return this.#node?.metadata?.labels ?? {};
  }

  get taints(): readonly Taint[] {
    return this.#node?.spec?.taints ?? [];
  }

  get allocatable(): Amounts {
    return this.#allocatable;
  }

  get requested(): Amounts {
    return this.#requested;
  }

  /** With a guess for containers that ask for nothing. */
  get assumedRequested(): Amounts {
    return this.#assumedRequested;
  }

  get podCount(): number {
    return this.#pods.size;
  }

  pod(uid: string): PodInfo | undefined {
    return this.#pods.get(uid);
  }

  pods(): Iterable<PodInfo> {
    return this.#pods.values();
  }

  /** Those that have any inter-pod affinity or anti-affinity of their own. */
  podsWithAffinity(): Iterable<PodInfo> {
    return this.#withAffinity.values();
  }

  add(pod: PodInfo): void {
    this.remove(pod.uid);
    this.#pods.set(pod.uid, pod);
    if (hasAffinity(pod)) this.#withAffinity.set(pod.uid, pod);
    addTo(this.#requested, pod.requests);
    addTo(this.#assumedRequested, pod.assumedRequests);
  }

  remove(uid: string): void {
    const pod = this.#pods.get(uid);
    if (!pod) return;
    this.#pods.delete(uid);
    this.#withAffinity.delete(uid);
    addTo(this.#requested, pod.requests, -1);
    addTo(this.#assumedRequested, pod.assumedRequests, -1);
  }

  portsTaken(wanted: readonly HostPort[]): boolean {
    if (wanted.length === 0) return false;
    for (const pod of this.#pods.values()) {
      if (pod.hostPorts.some((taken) => wanted.some((port) => collide(taken, port)))) return true;
    }
    return false;
  }
}

function hasAffinity(pod: PodInfo): boolean {
  return (
    pod.requiredAffinity.length +
      pod.requiredAntiAffinity.length +
      pod.preferredAffinity.length +
      pod.preferredAntiAffinity.length >
    0
  );
}

function collide(a: HostPort, b: HostPort): boolean {
  const sameAddress = a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0';
  return a.port === b.port && a.protocol === b.protocol && sameAddress;
}
