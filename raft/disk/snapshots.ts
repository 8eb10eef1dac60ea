/**
 * Snapshots on disk: `snapshot-<index>-<term>.snap`, written block by block under a temporary name, synced,
 * renamed, and the folder synced, so that a name that counts always holds a whole snapshot (snapshot-file.ts).
 * The newest two are kept. One that does not check is passed over for an older one, named in `damaged`, and
 * removed once a newer one is durable. No call holds more than a block in memory.
 */
import type { SnapshotMeta } from '../core/types.js';
import type { SnapshotInfo, SnapshotSink, SnapshotSource, SnapshotStore } from '../storage.js';
import { CONTENT_BLOCK_BYTES, BlockCutter, type SummedBlock } from './content-sum.js';
import type { Disk, DiskFile } from './disk.js';
import { StorageError } from './errors.js';
import type { FileOwner } from './file-head.js';
import { DISK_LIMITS } from './limits.js';
import {
  BLOCK_HEADER_BYTES,
  type SnapshotLayout,
  encodeBlockHeader,
  encodeSnapshotHeader,
  encodeSnapshotTrailer,
  readBlock,
  readSnapshotLayout,
  verifyContent,
} from './snapshot-file.js';

export interface SnapshotStoreOptions extends FileOwner {
  readonly disk: Disk;
}

const NAME = /^snapshot-\d{16}-\d{16}\.snap$/;
const TEMPORARY = /^snapshot-.*\.tmp$/;

export class DiskSnapshots implements SnapshotStore {
  readonly #options: SnapshotStoreOptions;
  readonly #damaged = new Map<string, StorageError>();
  /** What this process has written or read through already. */
  readonly #verified = new Set<string>();
  /** Temporary files that are being written. */
  readonly #unfinished = new Set<string>();
  #created = 0;

  constructor(options: SnapshotStoreOptions) {
    this.#options = options;
  }

  /** Snapshots found damaged so far, for the member's log and its health report. */
  get damaged(): readonly StorageError[] {
    return [...this.#damaged.values()];
  }

  async create(meta: SnapshotMeta): Promise<SnapshotSink> {
    const { disk } = this.#options;
    const name = snapshotName(meta);
    const temporary = `${name}.${++this.#created}.tmp`;
    this.#unfinished.add(temporary);
    if (this.#created === 1) await this.#dropLeftovers();
    const file = await disk.open(temporary, 'create');
    await file.truncate(0);
    const header = encodeSnapshotHeader(this.#options, meta);
    await file.write(0, [header]);
    return new DiskSink(meta, file, header, {
      lend: async () => {
        const layout = await readSnapshotLayout(file, this.#options);
        return new DiskSource(file, layout, {
          damaged: () => undefined,
          closed: async () => {
            this.#unfinished.delete(temporary);
            await disk.remove(temporary);
          },
        });
      },
      keep: async () => {
        await disk.rename(temporary, name);
        await disk.syncDirectory();
        this.#unfinished.delete(temporary);
        this.#verified.add(name);
        this.#damaged.delete(name);
        await this.#tidy();
      },
      discard: async () => {
        this.#unfinished.delete(temporary);
        await disk.remove(temporary);
      },
    });
  }

  async open(): Promise<SnapshotSource | null> {
    // The rename of a process that was killed right after it may not be durable yet; what is found must be.
    await this.#options.disk.syncDirectory();
    let damage: StorageError | undefined;
    for (const name of (await this.#names()).toReversed()) {
      try {
        return await this.#open(name);
      } catch (error) {
        if (!(error instanceof StorageError) || error.code !== 'SnapshotCorrupt') throw error;
        this.#noteDamage(name, error);
        damage ??= error;
      }
    }
    if (damage !== undefined) throw damage;
    return null;
  }

  async #open(name: string): Promise<SnapshotSource> {
    const known = this.#damaged.get(name);
    if (known !== undefined) throw known;
    const file = await this.#options.disk.open(name, 'existing');
    try {
      const layout = await readSnapshotLayout(file, this.#options);
      if (!this.#verified.has(name)) await verifyContent(file, layout);
      this.#verified.add(name);
      return new DiskSource(file, layout, {
        damaged: (error) => this.#noteDamage(name, error),
        closed: async () => undefined,
      });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  #noteDamage(name: string, error: StorageError): void {
    this.#verified.delete(name);
    this.#damaged.set(name, error);
  }

  /** Oldest first. Names sort as their indexes do. */
  async #names(): Promise<string[]> {
    return (await this.#options.disk.list()).filter((name) => NAME.test(name)).sort();
  }

  /** Of processes that ended before they had finished: one that ends so again and again must not fill the disk. */
  async #dropLeftovers(): Promise<void> {
    const { disk } = this.#options;
    const left = (await disk.list()).filter((name) => TEMPORARY.test(name) && !this.#unfinished.has(name));
    for (const name of left) await disk.remove(name);
    if (left.length > 0) await disk.syncDirectory();
  }

  async #tidy(): Promise<void> {
    const { disk } = this.#options;
    const all = await disk.list();
    const intact = all.filter((name) => NAME.test(name) && !this.#damaged.has(name)).sort();
    const old = new Set(intact.slice(0, Math.max(0, intact.length - DISK_LIMITS.snapshotsKept)));
    const newest = intact.at(-1)!;
    const goes = (name: string): boolean =>
      old.has(name) ||
      (this.#damaged.has(name) && name < newest) ||
      (TEMPORARY.test(name) && !this.#unfinished.has(name));
    const gone = all.filter(goes);
    for (const name of gone) {
      await disk.remove(name);
      this.#verified.delete(name);
      this.#damaged.delete(name);
    }
    if (gone.length > 0) await disk.syncDirectory();
  }
}

export function isSnapshotName(name: string): boolean {
  return NAME.test(name);
}

interface Ending {
  lend(): Promise<SnapshotSource>;
  keep(): Promise<void>;
  discard(): Promise<void>;
}

class DiskSink implements SnapshotSink {
  readonly #meta: SnapshotMeta;
  readonly #file: DiskFile;
  readonly #header: Uint8Array;
  readonly #ending: Ending;
  readonly #cutter = new BlockCutter();
  #offset: number;
  #bytes = 0;
  #unsynced = 0;

  constructor(meta: SnapshotMeta, file: DiskFile, header: Uint8Array, ending: Ending) {
    this.#meta = meta;
    this.#file = file;
    this.#header = header;
    this.#ending = ending;
    this.#offset = header.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get checksum(): number {
    return this.#cutter.checksum;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#bytes += chunk.length;
    for (const block of this.#cutter.add(chunk)) await this.#put(block);
  }

  async commit(): Promise<SnapshotInfo> {
    const file = this.#file;
    await this.#finish();
    await file.sync();
    await file.close();
    await this.#ending.keep();
    return { meta: this.#meta, bytes: this.#bytes, checksum: this.#cutter.checksum };
  }

  async abort(): Promise<void> {
    await this.#file.close();
    await this.#ending.discard();
  }

  async scratch(): Promise<SnapshotSource> {
    await this.#finish();
    return await this.#ending.lend();
  }

  async #finish(): Promise<void> {
    for (const block of this.#cutter.end()) await this.#put(block);
    const trailer = encodeSnapshotTrailer(this.#header, this.#bytes, this.#cutter.sum);
    await this.#file.write(this.#offset, [trailer]);
  }

  async #put({ block, sum }: SummedBlock): Promise<void> {
    await this.#file.write(this.#offset, [encodeBlockHeader(block.length, sum), block]);
    this.#offset += BLOCK_HEADER_BYTES + block.length;
    this.#unsynced += block.length;
    // A little at a time, so that the log's next fsync does not wait for the whole of it.
    if (this.#unsynced < DISK_LIMITS.snapshotSyncBytes) return;
    this.#unsynced = 0;
    await this.#file.sync();
  }
}

interface Told {
  damaged(error: StorageError): void;
  closed(): Promise<void>;
}

class DiskSource implements SnapshotSource {
  readonly meta: SnapshotMeta;
  readonly bytes: number;
  readonly checksum: number;
  readonly #file: DiskFile;
  readonly #layout: SnapshotLayout;
  readonly #told: Told;

  constructor(file: DiskFile, layout: SnapshotLayout, told: Told) {
    this.meta = layout.meta;
    this.bytes = layout.bytes;
    this.checksum = layout.checksum;
    this.#file = file;
    this.#layout = layout;
    this.#told = told;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(this.bytes, offset + length);
    const parts: Uint8Array[] = [];
    for (let at = offset; at < end;) {
      const number = Math.floor(at / CONTENT_BLOCK_BYTES);
      const block = await this.#block(number);
      const from = at - number * CONTENT_BLOCK_BYTES;
      const part = block.subarray(from, Math.min(block.length, from + end - at));
      parts.push(part);
      at += part.length;
    }
    return parts.length === 1 ? parts[0]! : new Uint8Array(Buffer.concat(parts));
  }

  async close(): Promise<void> {
    await this.#file.close();
    await this.#told.closed();
  }

  async #block(number: number): Promise<Uint8Array> {
    try {
      return (await readBlock(this.#file, this.#layout, number)).block;
    } catch (error) {
      if (error instanceof StorageError && error.code === 'SnapshotCorrupt') this.#told.damaged(error);
      throw error;
    }
  }
}

export function snapshotName(meta: SnapshotMeta): string {
  const part = (n: number) => String(n).padStart(16, '0');
  return `snapshot-${part(meta.index)}-${part(meta.term)}.snap`;
}
