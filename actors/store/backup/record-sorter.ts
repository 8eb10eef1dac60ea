/**
 * Sorts more key-values than fit into memory: runs of a few megabytes are sorted and written to a file, then merged (Knuth,
 * The Art of Computer Programming 5.4). What compares equal comes out in the order in which it went in.
 */
import { strict as assert } from 'node:assert';
import { ByteReader, ByteWriter, type DiskFile, type KeyValue, leaseId, revision } from 'raft-consensus';
import { backupLimits } from './limits.js';

export type Comparison = (a: KeyValue, b: KeyValue) => number;

export class RecordSorter {
  readonly #compare: Comparison;
  readonly #openFile: () => Promise<DiskFile>;
  #file: DiskFile | undefined;
  #fileBytes = 0;
  readonly #runs: { readonly from: number; readonly end: number }[] = [];
  #run: KeyValue[] = [];
  #runBytes = 0;
  /** Records so far. */
  count = 0;

  /** `openFile` is asked once, for an empty file, when the first run does not fit into memory. */
  constructor(compare: Comparison, openFile: () => Promise<DiskFile>) {
    this.#compare = compare;
    this.#openFile = openFile;
  }

  async add(kv: KeyValue): Promise<void> {
    this.count += 1;
    this.#run.push(kv);
    this.#runBytes += kv.key.length + kv.value.length;
    const { runBytes, runRecordsMax } = backupLimits;
    if (this.#runBytes >= runBytes || this.#run.length >= runRecordsMax) await this.#writeRun();
  }

  /** All of them, some at a time. May be called again. */
  async *sorted(): AsyncGenerator<readonly KeyValue[]> {
    this.#run.sort(this.#compare);
    const cursors: Cursor[] = this.#runs.map((run) => new Cursor(this.#file!, run));
    for (const cursor of cursors) await cursor.advance();
    const heap = new MergeHeap(cursors, this.#run, this.#compare);
    let batch: KeyValue[] = [];
    let bytes = 0;
    for (let top = heap.top(); top !== undefined; top = heap.top()) {
      const kv = top.head!;
      batch.push(kv);
      bytes += kv.key.length + kv.value.length;
      if (!top.step()) await top.advance();
      heap.sift();
      if (batch.length < backupLimits.batchRecords && bytes < backupLimits.batchBytes) continue;
      yield batch;
      batch = [];
      bytes = 0;
    }
    if (batch.length > 0) yield batch;
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }

  async #writeRun(): Promise<void> {
    this.#file ??= await this.#openFile();
    this.#run.sort(this.#compare);
    const out = new ByteWriter(backupLimits.runBytes);
    for (const kv of this.#run) writeRecord(out, kv);
    const bytes = out.toBytes();
    await this.#file.write(this.#fileBytes, [bytes]);
    this.#runs.push({ from: this.#fileBytes, end: this.#fileBytes + bytes.length });
    this.#fileBytes += bytes.length;
    this.#run = [];
    this.#runBytes = 0;
  }
}

/** Where a run is being read. */
interface RunReader {
  /** The next record; undefined at the end. */
  readonly head: KeyValue | undefined;
  /** False: more must be read before there is a next record, or it is known that there is none. */
  step(): boolean;
  advance(): Promise<void>;
}

class Cursor implements RunReader {
  head: KeyValue | undefined;
  readonly #file: DiskFile;
  readonly #end: number;
  #at: number;
  #bytes: Uint8Array = new Uint8Array(0);
  #position = 0;

  constructor(file: DiskFile, run: { readonly from: number; readonly end: number }) {
    this.#file = file;
    this.#at = run.from;
    this.#end = run.end;
  }

  step(): boolean {
    const left = this.#bytes.length - this.#position;
    if (left < LENGTH_BYTES) return false;
    const reader = new ByteReader(this.#bytes, this.#position);
    const length = reader.u32();
    if (left < LENGTH_BYTES + length) return false;
    this.head = readRecord(reader);
    this.#position += LENGTH_BYTES + length;
    return true;
  }

  async advance(): Promise<void> {
    for (;;) {
      if (this.step()) return;
      const rest = this.#bytes.subarray(this.#position);
      if (this.#at === this.#end) {
        assert(rest.length === 0, 'a run ends with a whole record');
        this.head = undefined;
        return;
      }
      const needed = rest.length < LENGTH_BYTES ? 0 : new ByteReader(rest).u32();
      const length = Math.min(this.#end - this.#at, Math.max(backupLimits.runBufferBytes, needed));
      const more = await this.#file.read(this.#at, length);
      assert(more.length === length, 'a run is read as it was written');
      this.#at += length;
      this.#bytes = rest.length === 0 ? more : Buffer.concat([rest, more]);
      this.#position = 0;
    }
  }
}

/** The last run needs no file. */
class MemoryRun implements RunReader {
  readonly #records: readonly KeyValue[];
  #at = 0;

  constructor(records: readonly KeyValue[]) {
    this.#records = records;
  }

  get head(): KeyValue | undefined {
    return this.#records[this.#at];
  }

  step(): boolean {
    this.#at += 1;
    return true;
  }

  async advance(): Promise<void> {}
}

interface HeapEntry {
  readonly run: RunReader;
  readonly order: number;
}

/** A binary heap of runs by their next record, earlier runs first among equals. */
class MergeHeap {
  readonly #compare: Comparison;
  readonly #heap: HeapEntry[];

  constructor(cursors: readonly Cursor[], last: readonly KeyValue[], compare: Comparison) {
    this.#compare = compare;
    this.#heap = [...cursors, new MemoryRun(last)]
      .map((run, order) => ({ run, order }))
      .filter(({ run }) => run.head !== undefined)
      .sort((a, b) => this.#order(a, b));
  }

  top(): RunReader | undefined {
    return this.#heap[0]?.run;
  }

  /** To be called after the top has moved on. */
  sift(): void {
    const heap = this.#heap;
    if (heap[0]!.run.head === undefined) {
      const last = heap.pop()!;
      if (heap.length === 0) return;
      heap[0] = last;
    }
    let at = 0;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && this.#order(heap[child]!, heap[least]!) < 0) least = child;
      }
      if (least === at) return;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }

  #order(a: HeapEntry, b: HeapEntry): number {
    return this.#compare(a.run.head!, b.run.head!) || a.order - b.order;
  }
}

const LENGTH_BYTES = 4;

function writeRecord(out: ByteWriter, kv: KeyValue): void {
  const at = out.length;
  out.u32(0);
  out.latin1(kv.key);
  out.varint(kv.version);
  out.varint(kv.createRevision);
  out.varint(kv.modRevision);
  out.int64(kv.lease);
  out.bytes(kv.value);
  out.patchU32(at, out.length - at - LENGTH_BYTES);
}

function readRecord(reader: ByteReader): KeyValue {
  const key = reader.latin1();
  const version = reader.varint();
  const createRevision = revision(reader.varint());
  const modRevision = revision(reader.varint());
  const lease = leaseId(reader.int64());
  return { key, version, createRevision, modRevision, lease, value: reader.bytes() };
}
