/**
 * The write-ahead log: hard state and entries of one member, durable before `save` resolves. Batches that
 * arrive while an fsync runs are merged into the next record, so that one write that is durable when it returns serves
 * them all (group commit). Segments `wal-<sequence>.log` are begun under a temporary name and renamed when
 * whole; old ones go with `compact`. Formats: wal-record.ts; repair after a crash: wal-segment.ts.
 */
import { strict as assert } from 'node:assert';
import type { HardState, LogIndex, SnapshotMeta } from '../core/types.js';
import { logIndex } from '../core/types.js';
import type { LogStorage, SaveBatch, SavedLog } from '../storage.js';
import { ByteWriter } from './byte-writer.js';
import type { Disk, DiskFile } from './disk.js';
import { StorageError } from './errors.js';
import { DISK_LIMITS } from './limits.js';
import { type LogChange, writeChange, writeRecord, writeSegmentHeader } from './wal-record.js';
import { type LogBounds, ReplayedLog, boundsAfter } from './wal-replay.js';
import { type ScannedSegment, scanSegment } from './wal-segment.js';

export interface WalOptions {
  readonly disk: Disk;
  /** A directory of another cluster or member is refused. */
  readonly cluster: string;
  readonly member: string;
  /** Default: `DISK_LIMITS.segmentBytes`. */
  readonly segmentBytes?: number;
  /** This member has had a log: if there is none, it is lost, and no new one is begun. */
  readonly hasRunBefore?: boolean;
  /** Fills a new segment with zeros up to its size, so that an fdatasync need not write the file's length. */
  readonly preallocate?: boolean;
}

interface Segment {
  readonly sequence: number;
  /** The highest index that any record in it ever held. */
  indexMax: LogIndex;
}

const EMPTY_LOG: LogBounds = { compactedTo: logIndex(0), lastIndex: logIndex(0) };
const SEGMENT_NAME = /^wal-(\d{12})\.log$/;

interface Waiting {
  readonly changes: readonly LogChange[];
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class Wal implements LogStorage {
  readonly #options: WalOptions;
  readonly #segmentBytes: number;
  readonly #out = new ByteWriter(64 * 1024);
  #segments: Segment[] = [];
  #file: DiskFile | undefined;
  #offset = 0;
  #records = 0;
  /** With everything accepted so far, and with everything encoded so far. */
  #bounds: LogBounds = EMPTY_LOG;
  #written: LogBounds = EMPTY_LOG;
  #hardState: HardState | null = null;
  #snapshotMeta: SnapshotMeta | null = null;
  /** A hard state that nobody relies on yet; it rides with the next record. */
  #unsavedHardState: HardState | undefined;
  #waiting: Waiting[] = [];
  #flushing = false;
  #failure: StorageError | undefined;

  constructor(options: WalOptions) {
    this.#options = options;
    this.#segmentBytes = options.segmentBytes ?? DISK_LIMITS.segmentBytes;
    assert(
      this.#segmentBytes >= 4096,
      `segments of ${this.#segmentBytes} bytes are too small: take 4096 or more`,
    );
  }

  async load(): Promise<SavedLog> {
    assert(this.#file === undefined, 'load is called once');
    const sequences = await this.#tidyDirectory();
    if (sequences.length === 0) {
      if (this.#options.hasRunBefore === true) throw lost(this.#options.member);
      await this.#beginSegment(1, []);
      return { hardState: null, entries: [], snapshotMeta: null };
    }
    return await this.#replay(sequences);
  }

  async save(batch: SaveBatch): Promise<void> {
    const { entries, hardState, snapshot, truncateFrom } = batch;
    const changes: LogChange[] = [];
    if (snapshot !== undefined) changes.push({ type: 'reset', snapshot });
    else if (truncateFrom !== undefined) changes.push({ type: 'truncate', from: truncateFrom });
    if (entries.length > 0) changes.push({ type: 'append', entries });
    if (changes.length === 0 && !batch.mustSync) {
      this.#checkUsable();
      this.#unsavedHardState = hardState ?? this.#unsavedHardState;
      return;
    }
    if (hardState !== undefined) changes.push({ type: 'hard-state', hardState });
    await this.#enqueue(changes);
  }

  async compact(toIndex: LogIndex, snapshot: SnapshotMeta): Promise<void> {
    await this.#enqueue([{ type: 'compact', to: toIndex, snapshot }]);
    while (this.#segments.length > 1 && this.#segments[0]!.indexMax <= this.#bounds.compactedTo) {
      const { sequence } = this.#segments.shift()!;
      await this.#orFail(async () => {
        await this.#options.disk.remove(segmentName(sequence));
        await this.#options.disk.syncDirectory();
      });
    }
  }

  /** Writes what is still held back and lets go of the file. */
  async close(): Promise<void> {
    if (this.#failure === undefined && this.#unsavedHardState !== undefined) await this.#enqueue([]);
    await this.#file?.close();
  }

  #enqueue(changes: readonly LogChange[]): Promise<void> {
    this.#checkUsable();
    for (const change of changes) {
      const after = boundsAfter(this.#bounds, change);
      assert(typeof after !== 'string', `the batch does not fit the log: ${String(after)}`);
      this.#bounds = after;
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ changes, resolve, reject });
      if (!this.#flushing) void this.#flush();
    });
  }

  /** Never rejects: each batch is told of its own fate. */
  async #flush(): Promise<void> {
    this.#flushing = true;
    while (this.#waiting.length > 0) {
      const batches = this.#takeGroup();
      try {
        await this.#orFail(() => this.#writeBatches(batches));
        for (const batch of batches) batch.resolve();
      } catch (error) {
        const rest = this.#waiting.splice(0);
        for (const batch of [...batches, ...rest]) batch.reject(error as Error);
      }
    }
    this.#flushing = false;
  }

  /** Encodes waiting batches into one record, at least one of them. */
  #takeGroup(): Waiting[] {
    const batches: Waiting[] = [];
    const segment = this.#segments.at(-1)!;
    this.#out.clear();
    writeRecord(this.#out, segment.sequence, this.#records, (out) => {
      if (this.#unsavedHardState !== undefined) this.#put(out, segment, this.#unsavedHardStateChange());
      while (this.#waiting.length > 0 && out.length < DISK_LIMITS.groupCommitBytesMax) {
        const batch = this.#waiting.shift()!;
        for (const change of batch.changes) this.#put(out, segment, change);
        batches.push(batch);
      }
    });
    return batches;
  }

  #unsavedHardStateChange(): LogChange {
    const hardState = this.#unsavedHardState!;
    this.#unsavedHardState = undefined;
    return { type: 'hard-state', hardState };
  }

  #put(out: ByteWriter, segment: Segment, change: LogChange): void {
    writeChange(out, change);
    this.#written = boundsAfter(this.#written, change) as LogBounds;
    if (change.type === 'hard-state') this.#hardState = change.hardState;
    if (change.type === 'reset' || change.type === 'compact') this.#snapshotMeta = change.snapshot;
    if (change.type === 'append') {
      segment.indexMax = logIndex(Math.max(segment.indexMax, change.entries.at(-1)!.index));
    }
  }

  async #writeBatches(batches: readonly Waiting[]): Promise<void> {
    assert(batches.length > 0 && this.#file !== undefined);
    await this.#file.writeSynced(this.#offset, [this.#out.view()]);
    this.#offset += this.#out.length;
    this.#records++;
    if (this.#offset >= this.#segmentBytes) {
      const last = this.#segments.at(-1)!;
      await this.#file.close();
      await this.#beginSegment(last.sequence + 1, this.#carriedOver());
    }
  }

  /** What a reader of the new segment must know when all older ones are gone. */
  #carriedOver(): LogChange[] {
    const changes: LogChange[] = [];
    if (this.#hardState !== null) changes.push({ type: 'hard-state', hardState: this.#hardState });
    if (this.#snapshotMeta !== null) {
      changes.push({ type: 'compact', to: this.#written.compactedTo, snapshot: this.#snapshotMeta });
    }
    return changes;
  }

  async #beginSegment(sequence: number, carriedOver: readonly LogChange[]): Promise<void> {
    const { disk, cluster, member } = this.#options;
    const temporary = `${segmentName(sequence)}.tmp`;
    const file = await disk.open(temporary, 'create');
    const out = new ByteWriter();
    const lastIndex = this.#written.lastIndex;
    const header = { cluster, member, sequence, recordsBefore: this.#records, lastIndex };
    writeRecord(out, sequence, 0, () => writeSegmentHeader(out, header));
    writeRecord(out, sequence, 1, () => carriedOver.forEach((change) => writeChange(out, change)));
    await file.truncate(0);
    if (this.#options.preallocate === true) await fillWithZeros(file, this.#segmentBytes);
    await file.write(0, [out.view()]);
    await file.sync();
    await file.close();
    await disk.rename(temporary, segmentName(sequence));
    await disk.syncDirectory();
    this.#file = await disk.open(segmentName(sequence), 'existing');
    this.#offset = out.length;
    this.#records = 2;
    this.#segments.push({ sequence, indexMax: logIndex(0) });
  }

  /** Removes what a crash left half made; the sequences of the segments that count, without a gap. */
  async #tidyDirectory(): Promise<number[]> {
    const { disk } = this.#options;
    const names = await disk.list();
    const unfinished = names.filter((name) => name.startsWith('wal-') && name.endsWith('.tmp'));
    const { counted, leftOver } = segmentsOf(names);
    for (const name of [...unfinished, ...leftOver.map(segmentName)]) await disk.remove(name);
    // Also when nothing was removed: the last rename of a process that was killed may not be durable yet.
    await disk.syncDirectory();
    return counted;
  }

  async #replay(sequences: readonly number[]): Promise<SavedLog> {
    let log: ReplayedLog | undefined;
    let before: ScannedSegment | undefined;
    for (const sequence of sequences) {
      const name = segmentName(sequence);
      const file = await this.#options.disk.open(name, 'existing');
      const bytes = await file.read(0, await file.size());
      const isLast = sequence === sequences.at(-1);
      const scanned = scanSegment(name, bytes, sequence, this.#options, isLast);
      if (before !== undefined && before.records !== scanned.header.recordsBefore) {
        const missing = scanned.header.recordsBefore - before.records;
        throw corrupt(segmentName(sequence - 1), before.end, `${missing} records are missing at the end`);
      }
      log ??= new ReplayedLog(scanned.header.lastIndex);
      this.#segments.push({ sequence, indexMax: replayInto(log, name, scanned) });
      before = scanned;
      if (isLast) await this.#continueAt(file, scanned);
      else await file.close();
    }
    assert(log !== undefined);
    const entries = log.finish();
    const { compactedTo, lastIndex } = log.bounds;
    if (entries === null) {
      const what = `entries ${compactedTo + 1} to ${lastIndex} are not all there: a segment is missing`;
      throw corrupt(segmentName(sequences[0]!), 0, what);
    }
    this.#bounds = log.bounds;
    this.#written = log.bounds;
    this.#hardState = log.hardState;
    this.#snapshotMeta = log.snapshotMeta;
    return { hardState: log.hardState, entries, snapshotMeta: log.snapshotMeta };
  }

  /**
   * Syncs even when nothing is to be repaired: after a process was killed between write and fsync, its last
   * record is there to be read and yet not durable, and what `load` returns counts as durable.
   */
  async #continueAt(file: DiskFile, scanned: ScannedSegment): Promise<void> {
    if (scanned.torn) await file.truncate(scanned.end);
    await file.sync();
    this.#file = file;
    this.#offset = scanned.end;
    this.#records = scanned.records;
  }

  #checkUsable(): void {
    if (this.#failure !== undefined) throw this.#failure;
    assert(this.#file !== undefined, 'load comes first');
  }

  /**
   * The first failure is the last operation: the kernel may have dropped the pages that it could not write.
   */
  async #orFail(run: () => Promise<void>): Promise<void> {
    try {
      if (this.#failure !== undefined) throw this.#failure;
      await run();
    } catch (cause) {
      const file = segmentName(this.#segments.at(-1)?.sequence ?? 1);
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.#failure ??= new StorageError(
        'WalFailed',
        `the log can no longer be written, the member must end: ${reason}`,
        { file, definite: false },
        { cause },
      );
      throw this.#failure;
    }
  }
}

/** The segments that count: those without a gap up to the newest. */
export function segmentsOf(names: readonly string[]): {
  readonly counted: number[];
  readonly leftOver: number[];
} {
  const sequences = names.flatMap((name) => {
    const match = SEGMENT_NAME.exec(name);
    return match === null ? [] : [Number(match[1])];
  });
  sequences.sort((a, b) => a - b);
  let from = sequences.length - 1;
  while (from > 0 && sequences[from - 1] === sequences[from]! - 1) from--;
  const leftOver = sequences.splice(0, Math.max(0, from));
  return { counted: sequences, leftOver };
}

export function replayInto(log: ReplayedLog, file: string, scanned: ScannedSegment): LogIndex {
  let indexMax = logIndex(0);
  for (const [at, changes] of scanned.batches.entries()) {
    for (const change of changes) {
      const problem = log.apply(change);
      if (problem !== undefined) throw corrupt(file, scanned.end, `record ${at + 1}: ${problem}`);
      if (change.type === 'append' && change.entries.length > 0) {
        indexMax = logIndex(Math.max(indexMax, change.entries.at(-1)!.index));
      }
    }
  }
  return indexMax;
}

async function fillWithZeros(file: DiskFile, length: number): Promise<void> {
  const zeros = new Uint8Array(Math.min(length, 1024 * 1024));
  for (let at = 0; at < length; at += zeros.length) {
    await file.write(at, [zeros.subarray(0, Math.min(zeros.length, length - at))]);
  }
}

export function segmentName(sequence: number): string {
  return `wal-${String(sequence).padStart(12, '0')}.log`;
}

/** With an empty log it would vote again where it has voted, and deny what it has acknowledged. */
function lost(member: string): StorageError {
  const remedy = 'remove it from the group and add it anew, or restore a backup of the whole group';
  const message = `the log of member "${member}", which has run before, is gone: ${remedy}`;
  return new StorageError('WalLost', message, { file: segmentName(1) });
}

function corrupt(file: string, offset: number, what: string): StorageError {
  return new StorageError('WalCorrupt', what, { file, offset });
}
