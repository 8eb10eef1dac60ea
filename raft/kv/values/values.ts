/**
 * The values of one state, apart from its keys: packed into slabs outside the heap instead of an array each. As long as they are
 * few no file exists. Beyond that the oldest slabs are written to files (value-files.ts), so that snapshots need not repeat
 * them; beyond a larger budget these leave memory, and values are read from files one by one, the latest read ones from a cache.
 * A file counts when it is durable, not before, and what is read from one must match the checksum that is kept with the key.
 * Nothing that anybody can see depends on any of this.
 */
import { sumOf } from '../digest.js';
import { KV_LIMITS } from '../limits.js';
import { Slab } from './slab.js';
import { readSpans } from './spans.js';
import { ValueCache } from './value-cache.js';
import type { ValueFiles } from './value-files.js';
import type { Version } from './version.js';

export interface ValuesOptions {
  /** Null: everything stays in memory. */
  readonly files: ValueFiles | null;
  /** Of values in memory alone before the oldest are in files, too. */
  readonly unfiledBytesMax: number;
  /** Of values in memory before the oldest are in files alone. */
  readonly residentBytesMax: number;
  /** Of values read back that are kept at hand. */
  readonly cacheBytesMax: number;
  /** Of a slab while there are few; later they are a quarter of what is in memory, up to `slabBytesMax`. */
  readonly slabBytesMin: number;
}

export const inMemory: ValuesOptions = {
  files: null,
  unfiledBytesMax: Infinity,
  residentBytesMax: Infinity,
  cacheBytesMax: 0,
  slabBytesMin: KV_LIMITS.slabBytesMin,
};

const NO_VALUE = new Uint8Array(0);
const NOWHERE = { slab: Slab.none, offset: 0 };

export class Values {
  readonly #options: ValuesOptions;
  /** Oldest first. */
  readonly #slabs = new Set<Slab>();
  readonly #cache: ValueCache;
  #tail = Slab.none;
  #residentBytes = 0;
  /** Of these, in no file. */
  #unfiledBytes = 0;
  #usedBytes = 0;
  #liveBytes = 0;
  #filing: Promise<void> | null = null;

  constructor(options: ValuesOptions) {
    this.#options = options;
    this.#cache = new ValueCache(options.cacheBytesMax);
  }

  /** What the slabs in memory take, those on their way to a file included; not the cache. */
  get residentBytes(): number {
    return this.#residentBytes;
  }

  /** What versions refer to, wherever it lies. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** Much more is in memory than the budget allows, since files are not written as fast. */
  get isBehind(): boolean {
    return this.#residentBytes - this.#options.residentBytesMax > KV_LIMITS.unfiledBytesMax;
  }

  /** What slabs hold that no version needs any more. */
  get deadBytes(): number {
    return this.#usedBytes - this.#liveBytes;
  }

  get hasFiles(): boolean {
    for (const { file } of this.#slabs) if (file !== null) return true;
    return false;
  }

  /** Copies `value`. */
  append(value: Uint8Array): { readonly slab: Slab; readonly offset: number } {
    const { length } = value;
    if (length === 0) return NOWHERE;
    if (!this.#tail.hasRoom(length)) this.#begin(length);
    const slab = this.#tail;
    this.#usedBytes += length;
    this.#liveBytes += length;
    return { slab, offset: slab.append(value) };
  }

  /** As `append`, of a value that lies in a file already. */
  attach(slab: Slab, length: number): void {
    if (!this.#slabs.has(slab)) {
      this.#slabs.add(slab);
      this.#usedBytes += slab.used;
    }
    slab.liveBytes += length;
    this.#liveBytes += length;
  }

  /** To be read only. Blocks for as long as the disk takes; throws StorageError `ValueCorrupt`. */
  read(version: Version): Uint8Array {
    const inMemory = this.peek(version);
    if (inMemory !== undefined) return inMemory;
    const { slab, offset, valueBytes } = version;
    return this.#checked(version, slab, offset, slab.file!.readNow(offset, valueBytes));
  }

  /** As `read`, and others have their turn meanwhile. */
  async load(version: Version): Promise<Uint8Array> {
    const inMemory = this.peek(version);
    if (inMemory !== undefined) return inMemory;
    const { slab, offset, valueBytes } = version;
    // Where it lies may change meanwhile.
    return this.#checked(version, slab, offset, await slab.file!.read(offset, valueBytes));
  }

  /** As `load`, of many: what lies together is read at once, and nothing of it is kept at hand. */
  async loadMany(versions: readonly Version[]): Promise<Uint8Array[]> {
    const atHand = versions.map((version) => this.peek(version));
    const missing = versions.flatMap((version, place) =>
      atHand[place] === undefined ? [{ version, place, slab: version.slab, offset: version.offset }] : [],
    );
    if (missing.length > 0) {
      const read = await readSpans(
        missing.map(({ version, slab, offset }) => ({
          file: slab.file!,
          offset,
          length: version.valueBytes,
        })),
      );
      for (const [i, { version, place, slab, offset }] of missing.entries()) {
        this.#check(version, slab, offset, read[i]!);
        atHand[place] = read[i];
      }
    }
    return atHand as Uint8Array[];
  }

  /** Undefined: it would have to be read from a file. */
  peek({ slab, offset, valueBytes }: Version): Uint8Array | undefined {
    if (valueBytes === 0) return NO_VALUE;
    const { bytes } = slab;
    if (bytes === null) return this.#cache.get(slab, offset);
    return new Uint8Array(bytes.buffer, bytes.byteOffset + offset, valueBytes);
  }

  /** Nobody can see the version any more. */
  release({ slab, valueBytes }: Version): void {
    if (valueBytes === 0) return;
    slab.liveBytes -= valueBytes;
    this.#liveBytes -= valueBytes;
    if (slab.liveBytes === 0 && slab.isSealed) this.#drop(slab);
  }

  /**
   * True when half of what is held is dead: then the slabs that are worth emptying are marked, and all versions are to be
   * shown to `move`.
   */
  markSparse(): boolean {
    const worthIt = KV_LIMITS.deadSlabsMin * this.#options.slabBytesMin;
    if (this.deadBytes < Math.max(worthIt, this.#liveBytes)) return false;
    let any = false;
    for (const slab of this.#slabs) {
      if (!slab.isSealed || slab.isFiling || slab.deadBytes * 3 < slab.used) continue;
      slab.isSparse = true;
      any = true;
    }
    return any;
  }

  /** Out of a slab that is marked. Returns the bytes moved. */
  move(version: Version): number {
    if (!version.slab.isSparse) return 0;
    const { slab, offset } = this.append(this.read(version));
    this.release(version);
    version.slab = slab;
    version.offset = offset;
    return version.valueBytes;
  }

  /** Resolves when what is in memory is within the budget, or as near to it as can be. */
  async settled(): Promise<void> {
    while (this.#filing !== null) await this.#filing;
  }

  /** Another state takes the place of this one. */
  dispose(): void {
    for (const slab of this.#slabs) this.#drop(slab);
    this.#tail = Slab.none;
  }

  #begin(length: number): void {
    const { slabBytesMin } = this.#options;
    const tail = this.#tail;
    tail.isSealed = true;
    if (tail !== Slab.none && tail.liveBytes === 0) this.#drop(tail);
    const share = Math.floor(Math.min(this.#residentBytes, this.#options.residentBytesMax) / 4);
    this.#tail = Slab.empty(Math.max(length, slabBytesMin, Math.min(KV_LIMITS.slabBytesMax, share)));
    this.#slabs.add(this.#tail);
    this.#residentBytes += this.#tail.residentBytes;
    this.#unfiledBytes += this.#tail.residentBytes;
    this.#evictOldest();
    this.#fileOldest();
  }

  #drop(slab: Slab): void {
    if (!this.#slabs.delete(slab)) return;
    this.#usedBytes -= slab.used;
    this.#liveBytes -= slab.liveBytes;
    this.#residentBytes -= slab.residentBytes;
    if (slab.file === null) this.#unfiledBytes -= slab.residentBytes;
    else this.#options.files!.remove(slab.file);
  }

  #fileOldest(): void {
    const { files } = this.#options;
    if (files === null || this.#filing !== null || this.#nextToFile() === undefined) return;
    this.#filing = this.#file(files).finally(() => (this.#filing = null));
  }

  #nextToFile(): Slab | undefined {
    const { unfiledBytesMax, residentBytesMax } = this.#options;
    if (this.#unfiledBytes <= Math.min(unfiledBytesMax, residentBytesMax)) return undefined;
    for (const slab of this.#slabs) if (slab.isSealed && slab.file === null && !slab.isSparse) return slab;
    return undefined;
  }

  /** What is in files leaves memory. */
  #evictOldest(): void {
    for (const slab of this.#slabs) {
      if (this.#residentBytes <= this.#options.residentBytesMax) return;
      if (slab.file === null) continue;
      this.#residentBytes -= slab.residentBytes;
      slab.bytes = null;
    }
  }

  async #file(files: ValueFiles): Promise<void> {
    for (let slab = this.#nextToFile(); slab !== undefined; slab = this.#nextToFile()) {
      slab.isFiling = true;
      const file = await files.write(slab.bytes!.subarray(0, slab.used));
      slab.isFiling = false;
      // The disk has failed, and the member is about to end.
      if (file === null) return;
      slab.file = file;
      // It may have gone meanwhile.
      if (!this.#slabs.has(slab)) files.remove(file);
      else this.#unfiledBytes -= slab.residentBytes;
      this.#evictOldest();
    }
  }

  #checked(version: Version, slab: Slab, offset: number, value: Uint8Array): Uint8Array {
    this.#check(version, slab, offset, value);
    this.#cache.add(slab, offset, value);
    return value;
  }

  #check(version: Version, slab: Slab, offset: number, value: Uint8Array): void {
    if (value.length !== version.valueBytes || (sumOf(version, value) | 0) !== version.sum) {
      throw this.#options.files!.corrupt(slab.file!, offset, version.key);
    }
  }
}
