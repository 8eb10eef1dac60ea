/**
 * Points with names at which a member can crash: before and after each operation on each kind of file, when it sends a letter,
 * when its state machine applies an entry or takes a snapshot in, at each step of compaction, when a change of the members takes
 * effect. After etcd's failpoints (raftBeforeSave, raftAfterSave, raftBeforeFollowerSend, raftAfterSaveSnap, raftAfterApplySnap,
 * compactBeforeCommitBatch, beforeApplyOneConfChange ...).
 */
import type { DiskOperation } from 'raft-consensus';

/** One of `crashPoints`, or any other moment that is never asked for. */
export type CrashPoint = string;

const letters = [
  'RaftVote',
  'RaftVoteReply',
  'RaftAppend',
  'RaftAppendAccepted',
  'RaftAppendRejected',
  'RaftSnapshotPiece',
  'RaftSnapshotPieceAccepted',
  'RaftTimeoutNow',
  'RaftReadIndexReply',
  'StoreTxnDone',
  'StoreRangeDone',
] as const;

/** By what they are about; one as likely as another. */
export const crashPoints: Readonly<Record<string, readonly CrashPoint[]>> = {
  log: [
    ...both('write log'),
    ...both('sync log'),
    ...both('write new log'),
    ...both('sync new log'),
    ...both('rename new log'),
    ...both('remove log'),
  ],
  snapshots: [
    ...both('write new snapshot'),
    ...both('sync new snapshot'),
    ...both('rename new snapshot'),
    ...both('remove snapshot'),
    ...both('syncDirectory folder'),
    'restore',
  ],
  letters: [...letters.map((letter) => `send ${letter}`), 'apply'],
  steps: [...both('compaction step'), 'configure'],
};

export function diskPoint(when: 'before' | 'after', operation: DiskOperation, file: string): CrashPoint {
  return `${when} ${operation} ${kindOf(file)}`;
}

export function letterPoint(letter: string): CrashPoint {
  return `send ${letter}`;
}

function kindOf(file: string): string {
  if (file === '.') return 'folder';
  if (file.startsWith('values-')) return 'values';
  const kind = file.startsWith('wal-') ? 'log' : 'snapshot';
  return file.endsWith('.tmp') ? `new ${kind}` : kind;
}

function both(point: string): readonly CrashPoint[] {
  return [`before ${point}`, `after ${point}`];
}
