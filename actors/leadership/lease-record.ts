/**
 * The pure part of leader election (client-go `tools/leaderelection`): what a Lease says, whether it may be
 * taken, and what is written next. Expiry is judged on the local monotonic clock since the record was last
 * seen to change: clocks may differ, only their rates must agree.
 */
import { formatMicroTime, formatTime, parseTime } from '../objects/index.js';
import type { Lease, LeaseSpec } from '../objects/types/coordination.js';

/** What a candidate remembers of the lock. */
export interface Observation {
  readonly lease: Lease;
  /** Local monotonic time at which this record was first seen. */
  readonly changedAtMs: number;
}

export type Judgement =
  | { readonly type: 'create' }
  | { readonly type: 'renew'; readonly lease: Lease }
  | { readonly type: 'take'; readonly lease: Lease }
  /** Another one leads; it expires in `expiresInMs` unless it renews. */
  | { readonly type: 'wait'; readonly holder: string; readonly expiresInMs: number };

/** Takes what was just read; the time of the last change is kept while the record is the same. */
export function observe(before: Observation | undefined, lease: Lease, nowMs: number): Observation {
  return before && sameRecord(before.lease.spec, lease.spec)
    ? { lease, changedAtMs: before.changedAtMs }
    : { lease, changedAtMs: nowMs };
}

/** `gone`: a holder that is known to be dead, whose lease need not run out; empty for none. */
export function judge(
  observation: Observation | undefined,
  identity: string,
  nowMs: number,
  gone = '',
): Judgement {
  if (!observation) return { type: 'create' };
  const { lease, changedAtMs } = observation;
  const holder = lease.spec?.holderIdentity ?? '';
  if (holder === identity) return { type: 'renew', lease };
  const expiresInMs = changedAtMs + (lease.spec?.leaseDurationSeconds ?? 0) * 1000 - nowMs;
  if (holder === '' || holder === gone || expiresInMs <= 0) return { type: 'take', lease };
  return { type: 'wait', holder, expiresInMs };
}

export interface Claim {
  readonly name: string;
  readonly namespace: string;
  readonly identity: string;
  readonly leaseDurationMs: number;
  /** Wall clock, for people only. */
  readonly nowMs: number;
}

/** The Lease to write for a claim: transitions count changes of the holder, nothing else. */
export function claimedLease(claim: Claim, before: Lease | undefined): Lease {
  const now = formatMicroTime(claim.nowMs);
  const old = before?.spec;
  const kept = old?.holderIdentity === claim.identity;
  const transitions = old ? (old.leaseTransitions ?? 0) + (kept ? 0 : 1) : 0;
  return {
    metadata: before?.metadata ?? { name: claim.name, namespace: claim.namespace },
    spec: {
      holderIdentity: claim.identity,
      leaseDurationSeconds: Math.ceil(claim.leaseDurationMs / 1000),
      acquireTime: kept ? (old?.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: transitions,
    },
  };
}

/** A clean step-down: nobody holds it, and it expires at once. */
export function releasedLease(held: Lease, nowMs: number): Lease {
  const now = formatMicroTime(nowMs);
  return {
    metadata: held.metadata!,
    spec: {
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: now,
      renewTime: now,
      leaseTransitions: held.spec?.leaseTransitions ?? 0,
    },
  };
}

/**
 * `<namespace>/<name>=<holderIdentity>/<leaseTransitions>`: a write with it succeeds only while this holds.
 */
export function fencingToken(lease: Lease): string {
  const { namespace, name } = lease.metadata ?? {};
  const { holderIdentity, leaseTransitions } = lease.spec ?? {};
  return `${namespace}/${name}=${holderIdentity}/${leaseTransitions ?? 0}`;
}

export const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader';

/** The value of the annotation lock: five fields in this order, whole seconds (client-go before v0.24). */
export function annotationOf(lease: Lease): string {
  const { holderIdentity = '', leaseDurationSeconds = 0, leaseTransitions = 0 } = lease.spec ?? {};
  return JSON.stringify({
    holderIdentity,
    leaseDurationSeconds,
    acquireTime: wholeSeconds(lease.spec?.acquireTime),
    renewTime: wholeSeconds(lease.spec?.renewTime),
    leaderTransitions: leaseTransitions,
  });
}

function wholeSeconds(time: string | undefined): string | null {
  return time === undefined ? null : formatTime(parseTime(time));
}

function sameRecord(a: LeaseSpec | undefined, b: LeaseSpec | undefined): boolean {
  return (
    a?.holderIdentity === b?.holderIdentity &&
    a?.leaseDurationSeconds === b?.leaseDurationSeconds &&
    a?.acquireTime === b?.acquireTime &&
    a?.renewTime === b?.renewTime &&
    a?.leaseTransitions === b?.leaseTransitions
  );
}
