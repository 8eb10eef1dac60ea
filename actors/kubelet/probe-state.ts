/** Probes: what an outcome does to the verdict about a container (kubelet's prober worker); pure. */
import type { Container, Probe } from '../objects/types/core.js';

export type ProbeKind = 'startup' | 'liveness' | 'readiness';

export interface ProbeOutcome {
  readonly ok: boolean;
  /** For the `Unhealthy` event. */
  readonly message: string;
}

export interface ProbeState {
  /** How many outcomes in a row were like the last one. */
  readonly run: number;
  readonly lastOk: boolean | undefined;
  /** `unknown` until a threshold was reached for the first time. */
  readonly verdict: 'unknown' | 'success' | 'failure';
}

export const newProbe: ProbeState = { run: 0, lastOk: undefined, verdict: 'unknown' };

export function observe(state: ProbeState, probe: Probe, outcome: ProbeOutcome): ProbeState {
  const run = state.lastOk === outcome.ok ? state.run + 1 : 1;
  const threshold = outcome.ok ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
  const reached = run >= threshold;
  return { run, lastOk: outcome.ok, verdict: reached ? (outcome.ok ? 'success' : 'failure') : state.verdict };
}

export function probeOf(container: Container, kind: ProbeKind): Probe | undefined {
  switch (kind) {
    case 'startup':
      return container.startupProbe;
    case 'liveness':
      return container.livenessProbe;
    case 'readiness':
      return container.readinessProbe;
    default:
      return kind satisfies never;
  }
}

export const probeKinds: readonly ProbeKind[] = ['startup', 'liveness', 'readiness'];

export function periodMs(probe: Probe): number {
  return (probe.periodSeconds || 10) * 1000;
}

export function timeoutMs(probe: Probe): number {
  return (probe.timeoutSeconds || 1) * 1000;
}

/** A number, or the number of the container's port of that name. Undefined if there is none. */
export function portNumber(container: Container, port: number | string): number | undefined {
  if (typeof port === 'number') return port;
  const named = container.ports?.find(({ name }) => name === port)?.containerPort;
  const parsed = named ?? Number(port);
  return Number.isInteger(parsed) && parsed > 0 && parsed < 65536 ? parsed : undefined;
}
