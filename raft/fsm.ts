/**
 * The state machine that a group replicates (hashicorp/raft: FSM). Deterministic: the same entries in the
 * same order give the same state and the same results on every member. An exception from it ends the member.
 */
import type { Entry } from './core/types.js';

export interface Fsm<Result> {
  /** Committed entries, in order, each exactly once per life of the state; one result per entry. */
  apply(entries: readonly Entry[]): readonly Result[];
  /**
   * The state as of the last applied entry, captured at once and cheaply: `apply` goes on while `persist`
   * runs, and what `persist` yields must not change with it.
   */
  snapshot(): FsmSnapshot;
  /** Replaces the whole state. */
  restore(data: Uint8Array): void | Promise<void>;
}

export interface FsmSnapshot {
  persist(): Uint8Array | Promise<Uint8Array>;
}
