/** Exponential delays of the kubelet, as client-go's flowcontrol.Backoff counts them; pure. */
import type { KubeletLimits } from './limits.js';
import type { Backoff } from './pod-view.js';

/**
 * A container is started once more: the delay before the start after that. The first restart itself never
 * waits.
 */
export function nextCrashBackoff(entry: Backoff | undefined, nowMs: number, limits: KubeletLimits): Backoff {
  const expired = entry === undefined || nowMs - entry.updatedAtMs > limits.crashBackoffResetMs;
  const delayMs = expired ? limits.crashBackoffBaseMs : Math.min(entry.delayMs * 2, limits.crashBackoffMaxMs);
  return { delayMs, updatedAtMs: nowMs };
}

/** When a container that ended at `finishedAtMs` may start again; in the past if at once. */
export function crashBackoffUntil(
  entry: Backoff | undefined,
  finishedAtMs: number,
  nowMs: number,
  limits: KubeletLimits,
): number {
  if (entry === undefined || nowMs - entry.updatedAtMs > limits.crashBackoffResetMs) return finishedAtMs;
  return finishedAtMs + entry.delayMs;
}

export function doubled(delayMs: number | undefined, baseMs: number, maxMs: number): number {
  return delayMs === undefined ? baseMs : Math.min(delayMs * 2, maxMs);
}

/** `1m20s`, as Go prints a duration of whole seconds. */
export function goDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return ms < 1000 ? `${ms}ms` : `${seconds}s`;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  return `${hours > 0 ? `${hours}h` : ''}${minutes}m${seconds % 60}s`;
}
