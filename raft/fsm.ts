/**
 * The state machine that a group replicates (hashicorp/raft: FSM). Deterministic: the same entries in the
 * same order give the same state and the same results on every member. An exception from it ends the member.
 */
import type { Entry } from './core/types.js';

export interface Fsm<Result> {
  /** Committed entries, in order, each exactly once per life of the state; one result per entry. */
  apply(entries: readonly Entry[]): readonly Result[];
  /**
   * The state as of the last applied entry, captured at once and cheaply: `apply` goes on between any two
   * chunks, and what they hold must not change with it.
   */
  snapshot(): FsmSnapshot;
  /**
   * Replaces the whole state by the bytes that `chunks` bring, cut up in whatever way. Until all are there,
   * the old one stays. `apply` is not called meanwhile.
   */
  restore(chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /**
   * For a state machine whose snapshots refer to what it keeps elsewhere: makes of one that begins with `beginning` one that
   * another member can restore. Null: any member can.
   */
  rewrite?(beginning: Uint8Array): SnapshotRewrite | null;
}

export type SnapshotRewrite = (chunks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

export interface FsmSnapshot {
  /**
   * The state as bytes, asked for one chunk at a time, each in a turn of its own: so much work as one chunk is
   * may be done at once. An empty chunk says that it takes longer.
   */
  chunks(): Iterable<Uint8Array>;
  /** Called once, when the chunks are written or not wanted any more. */
  release?(): void;
  /** The snapshot is durable, and the one before the last is not needed any more. */
  kept?(): void;
}

/** For a state machine that is small: all of `chunks` in one. */
export async function joined(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return new Uint8Array(Buffer.concat(all));
}
