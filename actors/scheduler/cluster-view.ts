/**
 * Turns what informers report into changes of the snapshot and the queue, and into the events that may wake a
 * pod (kube-scheduler `eventhandlers.go`). Runs under the cause of each change.
 */
import type { InformerHandlers } from '../client/index.js';
import type { Namespace, Node, Pod } from '../objects/types/core.js';
import type { NodeAspect } from './framework.js';
import { podInfo } from './pod-info.js';
import type { SchedulingQueue } from './queue.js';
import type { Snapshot } from './snapshot.js';

export interface ClusterViewOptions {
  readonly snapshot: Snapshot;
  readonly queue: SchedulingQueue;
  readonly schedulerName: string;
}

export function podHandlers({ snapshot, queue, schedulerName }: ClusterViewOptions): InformerHandlers<Pod> {
  const gone = (pod: Pod) => {
    const uid = pod.metadata?.uid ?? '';
    queue.remove(uid);
    snapshot.endNomination(uid);
    const name = snapshot.placeOf(uid);
    if (name === undefined) return;
    const info = snapshot.node(name)?.pod(uid);
    snapshot.removePod(uid);
    if (info) queue.wake({ type: 'PodGone', pod: info });
  };
  const seen = (pod: Pod, old?: Pod) => {
    const uid = pod.metadata?.uid ?? '';
    const { phase } = pod.status ?? {};
    if (phase === 'Succeeded' || phase === 'Failed') return gone(pod);
    if (pod.spec?.nodeName) {
      const known = snapshot.isPlaced(uid) && !snapshot.isAssumed(uid);
      if (known && old && samePlacement(old, pod)) return;
      queue.remove(uid);
      queue.wake({ type: 'PodPlaced', pod: snapshot.setPod(pod) });
      return;
    }
    // The view may be older than our own binding.
    if (snapshot.isAssumed(uid)) return;
    if (pod.metadata?.deletionTimestamp !== undefined) return queue.remove(uid);
    if ((pod.spec?.schedulerName ?? 'default-scheduler') !== schedulerName) return;
    // Room that an earlier leader made for it.
    const { nominatedNodeName } = pod.status ?? {};
    if (!old && nominatedNodeName) snapshot.nominate(podInfo(pod), nominatedNodeName);
    queue.put(pod);
  };
  return { added: (pod) => seen(pod), updated: (old, pod) => seen(pod, old), deleted: gone };
}

export function nodeHandlers({ snapshot, queue }: ClusterViewOptions): InformerHandlers<Node> {
  return {
    added: (node) => {
      snapshot.setNode(node);
      queue.wake({ type: 'NodeAdded', node: snapshot.node(node.metadata?.name ?? '')! });
    },
    updated: (old, node) => {
      snapshot.setNode(node);
      const aspects = changedAspects(old, node);
      if (aspects.size === 0) return;
      queue.wake({ type: 'NodeChanged', node: snapshot.node(node.metadata?.name ?? '')!, aspects });
    },
    deleted: (node) => {
      const name = node.metadata?.name ?? '';
      snapshot.removeNode(name);
      queue.wake({ type: 'NodeRemoved', name });
    },
  };
}

export function namespaceHandlers({ snapshot, queue }: ClusterViewOptions): InformerHandlers<Namespace> {
  const changed = (namespace: Namespace) => {
    snapshot.setNamespace(namespace);
    queue.wake({ type: 'NamespaceChanged', name: namespace.metadata?.name ?? '' });
  };
  return {
    added: changed,
    updated: (old, namespace) => {
      if (differ(old.metadata?.labels, namespace.metadata?.labels)) changed(namespace);
    },
    deleted: (namespace) => snapshot.removeNamespace(namespace.metadata?.name ?? ''),
  };
}

/** What of a node matters to scheduling; a heartbeat changes none of it. */
function changedAspects(old: Node, node: Node): ReadonlySet<NodeAspect> {
  const aspects = new Set<NodeAspect>();
  if (differ(old.metadata?.labels, node.metadata?.labels)) aspects.add('labels');
  if (differ(old.spec?.taints, node.spec?.taints)) aspects.add('taints');
  if (differ(old.status?.allocatable, node.status?.allocatable)) aspects.add('allocatable');
  if (Boolean(old.spec?.unschedulable) !== Boolean(node.spec?.unschedulable)) aspects.add('unschedulable');
  return aspects;
}

/** Most updates of a running pod are about its status alone. */
function samePlacement(old: Pod, pod: Pod): boolean {
  const { labels, deletionTimestamp } = pod.metadata ?? {};
  return (
    !differ(old.metadata?.labels, labels) &&
    old.metadata?.deletionTimestamp === deletionTimestamp &&
    !differ(old.spec, pod.spec)
  );
}

function differ(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) !== JSON.stringify(b);
}
