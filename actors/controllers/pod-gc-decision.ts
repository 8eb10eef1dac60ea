/** Which pods nobody will ever end (kubernetes: podgc/gc_controller.go). Pure. */
import { parseTime } from '../objects/index.js';
import type { Node, Pod } from '../objects/types/core.js';
import { isNodeReady } from './node-health-decision.js';

export interface PodGarbage {
  /** Bound to a node that does not exist; whether it really does not is to be asked again. */
  readonly orphaned: readonly Pod[];
  /** Being deleted before any node took them. */
  readonly unbound: readonly Pod[];
  /** Being deleted on a node that an operator declared out of service. */
  readonly outOfService: readonly Pod[];
  /** Ended, oldest first, above the bound. */
  readonly surplus: readonly Pod[];
}

const outOfServiceTaint = 'node.kubernetes.io/out-of-service';

export function decidePodGarbage(
  pods: readonly Pod[],
  nodeOf: (name: string) => Node | undefined,
  terminatedMax: number,
): PodGarbage {
  const bound = pods.filter((pod) => pod.spec?.nodeName);
  const going = pods.filter((pod) => pod.metadata?.deletionTimestamp !== undefined);
  const ended = pods.filter(({ status }) => status?.phase === 'Succeeded' || status?.phase === 'Failed');
  return {
    orphaned: bound.filter((pod) => !nodeOf(pod.spec?.nodeName ?? '')),
    unbound: going.filter((pod) => !pod.spec?.nodeName),
    outOfService: going.filter((pod) => isOutOfService(nodeOf(pod.spec?.nodeName ?? ''))),
    surplus: [...ended].sort(byAge).slice(0, Math.max(0, ended.length - terminatedMax)),
  };
}

function isOutOfService(node: Node | undefined): boolean {
  if (!node || isNodeReady(node)) return false;
  return node.spec?.taints?.some(({ key }) => key === outOfServiceTaint) ?? false;
}

function byAge(a: Pod, b: Pod): number {
  const time = ({ metadata }: Pod) =>
    metadata?.creationTimestamp ? parseTime(metadata.creationTimestamp) : 0;
  return time(a) - time(b) || ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1);
}
