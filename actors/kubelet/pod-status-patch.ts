/**
 * How a status gets into the API beside what others write there: as a strategic merge patch, whose
 * conditions merge by type; pure. A field that was there and is no more is set to null.
 */
import type { Pod, PodCondition, PodStatus } from '../objects/types/core.js';

export function statusPatch(
  pod: Pod,
  written: PodStatus | undefined,
  status: PodStatus,
  uid: string | undefined,
): unknown {
  const known = withStatus(pod, {}, written).status ?? {};
  const conditions = (status.conditions ?? []).map((condition) => {
    const old = known.conditions?.find(({ type }) => type === condition.type);
    return { ...nulls(old, condition, ['reason', 'message']), ...condition };
  });
  return {
    // A pod of the same name that is another one refuses the patch.
    ...(uid === undefined ? {} : { metadata: { uid } }),
    status: { ...nulls(known, status, ['reason', 'message']), ...status, conditions },
  };
}

/** The pod with status fields replaced; conditions are merged by type. */
export function withStatus(pod: Pod, first: PodStatus, second: PodStatus | undefined): Pod {
  const merged: PodStatus = { ...pod.status, ...first, ...second };
  const conditions = mergeConditions(pod.status?.conditions ?? [], second?.conditions ?? []);
  return { ...pod, status: { ...merged, ...(conditions.length > 0 ? { conditions } : {}) } };
}

function mergeConditions(old: readonly PodCondition[], ours: readonly PodCondition[]): PodCondition[] {
  const others = old.filter(({ type }) => !ours.some((condition) => condition.type === type));
  return [...others, ...ours];
}

function nulls<T extends object>(old: T | undefined, now: T, names: readonly (keyof T & string)[]): object {
  const gone = names.filter((name) => old?.[name] !== undefined && now[name] === undefined);
  return Object.fromEntries(gone.map((name) => [name, null]));
}
