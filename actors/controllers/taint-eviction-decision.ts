/** When a pod must leave a node because of its NoExecute taints (kubernetes: tainteviction/taint_eviction.go). Pure. */
import type { Pod, Taint } from '../objects/types/core.js';
import { tolerates } from '../scheduler/index.js';

export type TaintVerdict =
  | { readonly type: 'stay' }
  /** So long after the taints were first seen; 0 is at once. */
  | { readonly type: 'leave'; readonly afterMs: number };

export function decideTaintEviction(pod: Pod, taints: readonly Taint[]): TaintVerdict {
  const evicting = taints.filter(({ effect }) => effect === 'NoExecute');
  if (evicting.length === 0) return { type: 'stay' };
  let afterMs: number | undefined;
  for (const taint of evicting) {
    const toleration = pod.spec?.tolerations?.find((each) => tolerates(each, taint));
    if (!toleration) return { type: 'leave', afterMs: 0 };
    if (toleration.tolerationSeconds === undefined) continue;
    const ms = Math.max(0, toleration.tolerationSeconds) * 1000;
    afterMs = Math.min(afterMs ?? ms, ms);
  }
  return afterMs === undefined ? { type: 'stay' } : { type: 'leave', afterMs };
}
