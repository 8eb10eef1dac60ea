/**
 * The nouns of Raft, shared by the core, the log on disk and the transport of a host.
 * Branded numbers: a term can never be passed where an index is meant.
 */
export type Term = number & { readonly __brand: 'Term' };
export type LogIndex = number & { readonly __brand: 'LogIndex' };
/** A member of the group: its stable name, such as `master-1`. */
export type MemberId = string & { readonly __brand: 'MemberId' };

export const term = (n: number): Term => n as Term;
export const logIndex = (n: number): LogIndex => n as LogIndex;
export const memberId = (name: string): MemberId => name as MemberId;

export type EntryType = 'normal' | 'noop' | 'config';

export interface Entry {
  readonly term: Term;
  readonly index: LogIndex;
  readonly type: EntryType;
  /** Opaque to the core; empty for `noop`. */
  readonly data: Uint8Array;
}

/** What must be on disk before a message of the same batch leaves (Raft §5.1, figure 2: persistent state). */
export interface HardState {
  readonly term: Term;
  readonly votedFor: MemberId | null;
  readonly commit: LogIndex;
}

/** Who belongs to the group; part of the log, and of every snapshot. See configuration.ts. */
export interface Configuration {
  /** In a joint configuration: the incoming ones. */
  readonly voters: readonly MemberId[];
  /** They get the log and do not vote. */
  readonly learners: readonly MemberId[];
  /** Present while the configuration is joint: the voters before the change, who must agree too. */
  readonly votersOutgoing?: readonly MemberId[];
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext?: readonly MemberId[];
  /** A leader leaves the joint configuration as soon as it is applied. */
  readonly autoLeave?: boolean;
  /** Where members are reached; opaque here. */
  readonly addresses?: { readonly [member: string]: string };
  /** Of the entry that made it; absent: the group was made with it. */
  readonly index?: LogIndex;
}

export interface SnapshotMeta {
  readonly index: LogIndex;
  readonly term: Term;
  readonly configuration: Configuration;
}
