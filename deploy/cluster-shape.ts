/** What a user may ask for: how many machines of which kind, and what is refused before anything is written. */
import type { ExternalStore, MachineSpec } from './cluster-spec.js';

export interface ClusterShape {
  readonly name: string;
  readonly masters: number;
  readonly workers: number;
  /** Port of the front address; absent: 6443, or another free one when that is taken. */
  readonly port?: number;
  readonly externalStore?: ExternalStore;
}

/** Defaults and checks of what a user asked for. */
export function checkShape(shape: ClusterShape): ClusterShape {
  if (shape.externalStore) {
    // No quorum of theirs decides anything.
    if (!Number.isInteger(shape.masters) || shape.masters < 1 || shape.masters > 9) {
      throw new ShapeError(`--masters must be from 1 to 9 with --store, not ${shape.masters}`);
    }
  } else checkGroupSize('--masters', shape.masters);
  if (!Number.isInteger(shape.workers) || shape.workers < 0 || shape.workers > 100) {
    throw new ShapeError(`--workers must be a whole number from 0 to 100, not ${shape.workers}`);
  }
  if (shape.port !== undefined && (!Number.isInteger(shape.port) || shape.port < 1 || shape.port > 65_535)) {
    throw new ShapeError(`--port must be from 1 to 65535, not ${shape.port}`);
  }
  if (!/^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$/.test(shape.name)) {
    throw new ShapeError(`the cluster's name must be a DNS label, not ${JSON.stringify(shape.name)}`);
  }
  return shape;
}

/** Of a built-in store. */
export function checkGroupSize(option: string, size: number): void {
  if ([1, 3, 5].includes(size)) return;
  throw new ShapeError(`${option} must be 1, 3 or 5 (an odd group survives failures), not ${size}`);
}

export function machineNames({
  masters,
  workers,
}: Pick<ClusterShape, 'masters' | 'workers'>): Pick<MachineSpec, 'name' | 'role'>[] {
  const named = (role: MachineSpec['role'], count: number) =>
    Array.from({ length: count }, (_, i) => ({ name: `${role}-${i + 1}`, role }));
  return [...named('master', masters), ...named('worker', workers)];
}

export class ShapeError extends Error {
  readonly code = 'InvalidShape';
}
