/**
 * What becomes of members that an operator removed: a mark in their folder, so that the next start leaves them out; and the
 * process of one that learns of its own end stops.
 */
import type { StoreMemberInfo } from '../actors/store/index.js';
import type { Clock, Timer } from '../transport/index.js';
import { type ClusterSpec, storeMachines } from './cluster-spec.js';
import type { DataDir } from './data-dir.js';

/** A member that catches up passes through configurations of the past. */
const settledMs = 3_000;

export interface RemovalOptions {
  readonly dir: DataDir;
  readonly spec: ClusterSpec;
  /** This machine. */
  readonly name: string;
  readonly clock: Clock;
  /** This machine's own member was removed. */
  onRemoved(): void;
}

export class Removal {
  readonly #options: RemovalOptions;
  readonly #timers = new Map<string, Timer>();
  #belonged = false;

  constructor(options: RemovalOptions) {
    this.#options = options;
  }

  /** The members are these now. */
  check(members: readonly StoreMemberInfo[]): void {
    const { dir, spec, name, clock, onRemoved } = this.#options;
    const belongs = (machine: string) => members.some((member) => member.name === machine);
    this.#belonged ||= belongs(name);
    if (!this.#belonged) return;
    for (const machine of storeMachines(spec)) {
      const timer = this.#timers.get(machine.name);
      if (belongs(machine.name)) {
        timer?.cancel();
        this.#timers.delete(machine.name);
      } else if (timer === undefined) {
        const removed = () => {
          dir.markRemoved(machine.name);
          if (machine.name === name) onRemoved();
        };
        this.#timers.set(machine.name, clock.setTimer(settledMs, removed));
      }
    }
  }
}
