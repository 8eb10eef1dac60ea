/**
 * Whom a node's link may speak with, and where: what the cluster's files say, and for the store's members what the group's
 * configuration says, as it changes. The link reads the keys at each connection, so a member that joins is let in as soon as
 * the configuration names its key, and one that is removed finds the door closed.
 */
import type { StoreMemberInfo } from '../actors/store/index.js';
import { type Clock, dialAddress, type Link, machineOf, type NodeId, nodeId } from '../transport/index.js';
import { type ClusterSpec, mainNode, storeMachines, storeNode } from './cluster-spec.js';

/** One that was removed is told so over its link before that goes. */
const removedLinkMs = 10_000;

export class PeerBook {
  readonly #spec: ClusterSpec;
  /** Node to address, and node to CURVE key. */
  readonly addresses: ReadonlyMap<NodeId, string>;
  readonly #keys: Map<NodeId, string>;
  /** Nodes of store members that are linked because a configuration, or the cluster's files, named them. */
  readonly #members = new Set<NodeId>();
  #current: readonly StoreMemberInfo[] = [];

  constructor(spec: ClusterSpec) {
    this.#spec = spec;
    const joined = spec.store?.joined ?? [];
    this.addresses = new Map([
      ...spec.machines.map((machine) => [mainNode(machine), machine.address] as const),
      ...storeMachines(spec).map((machine) => [storeNode(machine), machine.storeAddress as string] as const),
      ...joined.map((member) => [storeNode(member), dialAddress(member.url)] as const),
    ]);
    // Both nodes of a machine speak with the machine's key.
    this.#keys = new Map([
      ...[...spec.machines, ...joined].map((machine) => [mainNode(machine), machine.publicKey] as const),
      ...[...storeMachines(spec), ...joined].map(
        (machine) => [storeNode(machine), machine.publicKey] as const,
      ),
    ]);
    for (const machine of [...storeMachines(spec), ...joined]) this.#members.add(storeNode(machine));
  }

  get keys(): ReadonlyMap<NodeId, string> {
    return this.#keys;
  }

  /**
   * The members are these now. What a link cannot dial goes to `refused`: an address that an operator got wrong must not end
   * every member that reads it.
   */
  follow(
    members: readonly StoreMemberInfo[],
    link: Link,
    clock: Clock,
    refused: (node: NodeId, error: unknown) => void,
  ): void {
    this.#current = members;
    for (const { address, url, publicKey } of members) {
      if (address === undefined || url === undefined || publicKey === undefined) continue;
      const node = nodeId(address);
      // Nobody becomes another node of the cluster by being a member of its store.
      if (this.#isOurs(node) || !node.endsWith('.store')) continue;
      this.#members.add(node);
      this.#keys.set(node, publicKey);
      if (this.#isMemberOnly(node)) this.#keys.set(machineNode(node), publicKey);
      try {
        if (node !== link.node) link.addPeer(node, dialAddress(url));
      } catch (error) {
        refused(node, error);
      }
    }
    if (this.#gone(link).length > 0) clock.setTimer(removedLinkMs, () => this.#forgetGone(link));
  }

  /** What the files of this start say of machines in the same folder is newer than any configuration. */
  #isOurs(node: NodeId): boolean {
    return storeMachines(this.#spec).some((machine) => storeNode(machine) === node) && this.#keys.has(node);
  }

  /** Machines of a Kubernetes cluster do more than keep the store. */
  #isMemberOnly(node: NodeId): boolean {
    const { store, machines } = this.#spec;
    return store !== undefined || !machines.some((machine) => mainNode(machine) === machineNode(node));
  }

  /** Those that this machine's own member has left behind; none while it does not belong itself, or not yet. */
  #gone(link: Link): NodeId[] {
    const nodes = new Set(this.#current.map(({ address }) => address));
    if (!nodes.has(storeNode({ name: machineOf(link.node) }))) return [];
    return [...this.#members].filter((node) => !nodes.has(node));
  }

  #forgetGone(link: Link): void {
    for (const node of this.#gone(link)) {
      this.#members.delete(node);
      this.#forget(node, link);
      if (this.#isMemberOnly(node)) this.#forget(machineNode(node), link);
    }
  }

  #forget(node: NodeId, link: Link): void {
    this.#keys.delete(node);
    link.removePeer(node);
  }
}

function machineNode(node: NodeId): NodeId {
  return nodeId(machineOf(node));
}
