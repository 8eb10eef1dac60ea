/**
 * The store members of a data directory, checked while none of them runs: each by itself, and then against each other, for the
 * states of two members that have applied the same entries are the same. Nothing is changed.
 */
import { existsSync } from 'node:fs';
import { type CheckedState, type Finding, MemberCheck, memberId, ReadOnlyDisk } from 'raft-consensus';
import { controlCall } from '../transport/index.js';
import { type ClusterSpec, storeMachines } from './cluster-spec.js';
import type { DataDir } from './data-dir.js';
import { refuseInUse } from './data-lock.js';

export interface MemberReport {
  readonly name: string;
  readonly findings: readonly Finding[];
  readonly isDamaged: boolean;
  readonly segments: number;
  readonly records: number;
  readonly snapshots: number;
  /** Of the newest entry that is known to be committed; null: it cannot be rebuilt. */
  readonly state: CheckedState | null;
}

export interface StoreReport {
  readonly members: readonly MemberReport[];
  /** Entries at which states were compared, and who had the same. */
  readonly compared: readonly { readonly index: number; readonly members: readonly string[] }[];
  readonly isDamaged: boolean;
}

export async function checkStore(
  dir: DataDir,
  onProgress: (what: string, bytes?: number) => void = () => {},
): Promise<StoreReport> {
  const spec = dir.readSpec();
  await refuseRunning(dir, spec);
  const machines = storeMachines(spec).filter(({ name }) => !dir.isRemoved(name));
  const checks: MemberCheck[] = [];
  const absent: MemberReport[] = [];
  const emptied: MemberReport[] = [];
  for (const { name } of machines) {
    const folder = dir.storePath(name);
    if (!existsSync(folder)) {
      absent.push(withoutFiles(name, folder));
      continue;
    }
    let bytes = 0;
    const check = await MemberCheck.open({
      id: memberId(name),
      cluster: spec.id,
      disk: new ReadOnlyDisk(folder),
      onBytes: (more) => onProgress(`${name}: reading`, (bytes += more)),
    });
    if (check.folder.segments === 0 && dir.storeHasRun(name)) emptied.push(withoutLog(name, check));
    else checks.push(check);
  }
  // A store that was never started has no files, and nothing to be wrong.
  const missing = checks.length > 0 ? absent : [];
  const states = await replayAll(checks, onProgress);
  const { compared, differing } = compare(checks);
  const orderOf = (report: MemberReport) => machines.findIndex(({ name }) => name === report.name);
  const members = checks.map((check) => reportOf(check, states.get(check) ?? null, differing));
  const all = [...members, ...emptied, ...missing].sort((a, b) => orderOf(a) - orderOf(b));
  return { members: all, compared, isDamaged: all.some(({ isDamaged }) => isDamaged) };
}

/** Files that somebody writes cannot be checked. Machines that their launcher has left behind hold no lock. */
async function refuseRunning(dir: DataDir, spec: ClusterSpec): Promise<void> {
  refuseInUse(dir);
  for (const { name } of spec.machines) {
    const socket = dir.peekSocketPath(name);
    if (!existsSync(socket)) continue;
    const isServed = await controlCall(socket, 'status', {}, 2_000).then(
      () => true,
      (error: { code?: unknown }) => error.code !== 'control-unreachable',
    );
    if (isServed) throw new Error(`${name} of ${dir.path} is running: stop it first, with "kabuki down"`);
  }
}

function withoutFiles(name: string, folder: string): MemberReport {
  const what =
    'it has no files, and others do: it would start as if it had never voted. Remove it and add it anew';
  const nothing = { segments: 0, records: 0, snapshots: 0, state: null };
  return { name, findings: [{ severity: 'damage', file: folder, what }], isDamaged: true, ...nothing };
}

/** A start would refuse it (raft/disk/wal.ts). */
function withoutLog(name: string, { folder, findings }: MemberCheck): MemberReport {
  const what = 'it has run before, and its log is gone: it would forget its votes. Remove it and add it anew';
  const gone = { severity: 'damage', file: 'the log', what } as const;
  const { segments, records, snapshots } = folder;
  const counts = { segments, records, snapshots: snapshots.length, state: null };
  return { name, findings: [...findings, gone], isDamaged: true, ...counts };
}

/** Each as far as is known to be committed, by itself or by another. */
async function replayAll(
  checks: readonly MemberCheck[],
  onProgress: (what: string, bytes?: number) => void,
): Promise<Map<MemberCheck, CheckedState | null>> {
  const knower = checks.toSorted((a, b) => b.commit - a.commit)[0];
  const ends = checks.map((check) => endOf(check, knower ?? check));
  const points = new Set(ends);
  const states = new Map<MemberCheck, CheckedState | null>();
  for (const [i, check] of checks.entries()) {
    onProgress(`${check.id}: rebuilding its state`);
    states.set(check, await check.replay(ends[i]!, points));
  }
  return states;
}

/** What lies behind its own commit index is committed if it is what the other has there. */
function endOf(check: MemberCheck, knower: MemberCheck): number {
  const end = Math.min(check.lastIndex, knower.commit);
  const term = knower.termAt(end);
  return end <= check.commit || (term !== null && term === check.termAt(end)) ? end : check.commit;
}

function compare(checks: readonly MemberCheck[]): {
  readonly compared: StoreReport['compared'];
  readonly differing: ReadonlyMap<string, string>;
} {
  const compared: { index: number; members: string[] }[] = [];
  const differing = new Map<string, string>();
  const points = new Set(checks.flatMap((check) => [...check.digests.keys()]));
  // Before the first entry all are the same.
  points.delete(0);
  for (const index of [...points].sort((a, b) => a - b)) {
    const byDigest = new Map<number, string[]>();
    for (const check of checks) {
      const digest = check.digests.get(index);
      if (digest !== undefined) byDigest.set(digest, [...(byDigest.get(digest) ?? []), check.id]);
    }
    const groups = [...byDigest.values()].sort((a, b) => b.length - a.length);
    const [most = [], second = []] = groups;
    if (groups.length === 1 && most.length > 1) compared.push({ index, members: most });
    const isMajority = most.length > second.length;
    for (const group of groups.slice(isMajority ? 1 : 0)) {
      if (groups.length === 1) break;
      const others = groups.filter((other) => other !== group).flat();
      for (const name of group) differing.set(name, differenceAt(index, others));
    }
  }
  return { compared, differing };
}

function differenceAt(index: number, others: readonly string[]): string {
  return `at entry ${index} its state differs from that of ${others.join(', ')}`;
}

function reportOf(
  check: MemberCheck,
  state: CheckedState | null,
  differing: ReadonlyMap<string, string>,
): MemberReport {
  const difference = differing.get(check.id);
  const findings: readonly Finding[] = [
    ...check.findings,
    ...(difference === undefined
      ? []
      : [{ severity: 'damage', file: 'the state', what: difference } as const]),
  ];
  return {
    name: check.id,
    findings,
    isDamaged: check.isDamaged || difference !== undefined,
    segments: check.folder.segments,
    records: check.folder.records,
    snapshots: check.folder.snapshots.length,
    state,
  };
}
