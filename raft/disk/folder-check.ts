/**
 * Looks at the files of a stopped member without changing any: every record of every segment, every block of every snapshot.
 * Where a start would stop at the first thing that is wrong, this goes on and names all of it, each with its place.
 */
import type { SnapshotMeta } from '../core/types.js';
import type { SavedLog } from '../storage.js';
import { CONTENT_BLOCK_BYTES, ContentSum } from './content-sum.js';
import type { Disk, DiskFile } from './disk.js';
import { StorageError } from './errors.js';
import type { FileOwner } from './file-head.js';
import { readBlock, readSnapshotLayout, type SnapshotLayout } from './snapshot-file.js';
import { isSnapshotName, snapshotName } from './snapshots.js';
import { ReplayedLog } from './wal-replay.js';
import { type ScannedSegment, scanSegment } from './wal-segment.js';
import { replayInto, segmentName, segmentsOf } from './wal.js';

export interface Finding {
  /** `note`: nothing is lost, and the next start puts it right. */
  readonly severity: 'damage' | 'note';
  readonly file: string;
  readonly offset?: number;
  readonly what: string;
}

export interface CheckedSnapshot {
  readonly name: string;
  readonly meta: SnapshotMeta;
  /** Of the content. */
  readonly bytes: number;
  readonly isIntact: boolean;
  /** Rejects with StorageError where it is damaged. */
  content(): AsyncGenerator<Uint8Array>;
}

export interface CheckedFolder {
  readonly findings: Finding[];
  /** Null: it cannot be read to its end. */
  readonly log: SavedLog | null;
  readonly segments: number;
  readonly records: number;
  /** Of the log. */
  readonly bytes: number;
  /** Oldest first; without those whose heads cannot be read. */
  readonly snapshots: readonly CheckedSnapshot[];
}

/** Damaged blocks of one file that are named one by one. */
const blocksNamedMax = 8;

/** `onBytes` is told of what was read. */
export async function checkFolder(
  disk: Disk,
  owner: FileOwner,
  onBytes: (bytes: number) => void = () => {},
): Promise<CheckedFolder> {
  const findings: Finding[] = [];
  const names = await disk.list();
  for (const name of names.filter((one) => /^(wal|snapshot)-.*\.tmp$/.test(one))) {
    findings.push({ severity: 'note', file: name, what: 'left half made by a crash' });
  }
  const log = await new LogCheck(disk, owner, findings, onBytes).run(names);
  const snapshots: CheckedSnapshot[] = [];
  for (const name of names.filter(isSnapshotName).toSorted()) {
    const snapshot = await checkSnapshot(disk, owner, name, findings, onBytes);
    if (snapshot) snapshots.push(snapshot);
  }
  return { findings, ...log, snapshots };
}

class LogCheck {
  readonly #disk: Disk;
  readonly #owner: FileOwner;
  readonly #findings: Finding[];
  readonly #onBytes: (bytes: number) => void;
  /** Undefined before the first segment, null when one does not fit. */
  #log: ReplayedLog | null | undefined;
  #before: ScannedSegment | undefined;
  #records = 0;
  #bytes = 0;

  constructor(disk: Disk, owner: FileOwner, findings: Finding[], onBytes: (bytes: number) => void) {
    this.#disk = disk;
    this.#owner = owner;
    this.#findings = findings;
    this.#onBytes = onBytes;
  }

  async run(names: readonly string[]): Promise<Omit<CheckedFolder, 'findings' | 'snapshots'>> {
    const { counted, leftOver } = segmentsOf(names);
    for (const sequence of leftOver) {
      const what =
        'no other segment follows it: what a compaction has not removed, or the next one is missing';
      this.#findings.push({ severity: 'note', file: segmentName(sequence), what });
    }
    for (const sequence of counted) await this.#segment(sequence, sequence === counted.at(-1));
    const shape = { segments: counted.length, records: this.#records, bytes: this.#bytes };
    return { log: counted.length === 0 ? EMPTY : this.#whole(segmentName(counted[0]!)), ...shape };
  }

  async #segment(sequence: number, isLast: boolean): Promise<void> {
    const name = segmentName(sequence);
    const scanned = await noting(this.#findings, async () => {
      const bytes = await contentOf(this.#disk, name);
      this.#bytes += bytes.length;
      this.#onBytes(bytes.length);
      return scanSegment(name, bytes, sequence, this.#owner, isLast);
    });
    if (!scanned) {
      this.#log = null;
      this.#before = undefined;
      return;
    }
    this.#records += scanned.records;
    if (scanned.torn) {
      const what = `record ${scanned.records} is torn, as a crash leaves it: it was never acknowledged`;
      this.#findings.push({ severity: 'note', file: name, offset: scanned.end, what });
    }
    this.#fit(name, sequence, scanned);
    this.#before = scanned;
  }

  /** After the segment before it. */
  #fit(name: string, sequence: number, scanned: ScannedSegment): void {
    const missing = scanned.header.recordsBefore - (this.#before?.records ?? scanned.header.recordsBefore);
    if (missing !== 0) {
      const what = `${missing} records are missing at the end`;
      const file = segmentName(sequence - 1);
      this.#findings.push({ severity: 'damage', file, offset: this.#before!.end, what });
      this.#log = null;
    }
    if (this.#log === null) return;
    this.#log ??= new ReplayedLog(scanned.header.lastIndex);
    try {
      replayInto(this.#log, name, scanned);
    } catch (error) {
      this.#findings.push(findingOf(error));
      this.#log = null;
    }
  }

  #whole(file: string): SavedLog | null {
    const log = this.#log;
    if (!log) return null;
    const entries = log.finish();
    const { compactedTo, lastIndex } = log.bounds;
    if (entries !== null) return { hardState: log.hardState, entries, snapshotMeta: log.snapshotMeta };
    const what = `entries ${compactedTo + 1} to ${lastIndex} are not all there: a segment is missing`;
    this.#findings.push({ severity: 'damage', file, offset: 0, what });
    return null;
  }
}

const EMPTY: SavedLog = { hardState: null, entries: [], snapshotMeta: null };

async function checkSnapshot(
  disk: Disk,
  owner: FileOwner,
  name: string,
  findings: Finding[],
  onBytes: (bytes: number) => void,
): Promise<CheckedSnapshot | null> {
  const file = await disk.open(name, 'existing');
  try {
    const layout = await noting(findings, () => readSnapshotLayout(file, owner));
    if (!layout) return null;
    const right = snapshotName(layout.meta);
    if (right !== name) findings.push({ severity: 'damage', file: name, what: `it is ${right}, renamed` });
    const isIntact = (await checkBlocks(file, layout, findings, onBytes)) && right === name;
    const { meta, bytes } = layout;
    return { name, meta, bytes, isIntact, content: () => blocksOf(disk, name, layout) };
  } finally {
    await file.close();
  }
}

async function checkBlocks(
  file: DiskFile,
  layout: SnapshotLayout,
  findings: Finding[],
  onBytes: (bytes: number) => void,
): Promise<boolean> {
  const sum = new ContentSum();
  const damaged: Finding[] = [];
  for (let number = 0; number * CONTENT_BLOCK_BYTES < layout.bytes; number++) {
    const found = await noting(damaged, () => readBlock(file, layout, number));
    if (found) sum.add(found.sum);
    onBytes(found?.block.length ?? 0);
  }
  findings.push(...damaged.slice(0, blocksNamedMax));
  if (damaged.length > blocksNamedMax) {
    const what = `and ${damaged.length - blocksNamedMax} more blocks`;
    findings.push({ severity: 'damage', file: file.name, what });
  }
  if (damaged.length > 0) return false;
  if (sum.value === layout.checksum) return true;
  const what = 'the content does not match its checksum';
  findings.push({ severity: 'damage', file: file.name, offset: layout.contentAt, what });
  return false;
}

async function* blocksOf(disk: Disk, name: string, layout: SnapshotLayout): AsyncGenerator<Uint8Array> {
  const file = await disk.open(name, 'existing');
  try {
    for (let number = 0; number * CONTENT_BLOCK_BYTES < layout.bytes; number++) {
      yield (await readBlock(file, layout, number)).block;
    }
  } finally {
    await file.close();
  }
}

async function contentOf(disk: Disk, name: string): Promise<Uint8Array> {
  const file = await disk.open(name, 'existing');
  try {
    return await file.read(0, await file.size());
  } finally {
    await file.close();
  }
}

/** Null when a finding was made of what went wrong. */
async function noting<T>(findings: Finding[], read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    findings.push(findingOf(error));
    return null;
  }
}

function findingOf(error: unknown): Finding {
  if (!(error instanceof StorageError)) throw error;
  const { file, offset } = error;
  // Some name the place themselves.
  const what = offset === undefined ? error.what : error.what.replace(`byte ${offset}: `, '');
  return { severity: 'damage', file, ...(offset !== undefined && { offset }), what };
}
