/**
 * The slabs that have left memory, each a file `values-<number>.slab`, written and synced before anything counts on it.
 * Snapshots of the member refer to these files instead of repeating what is in them, so one stays until neither the state nor
 * any snapshot that is kept needs it: two snapshots must have been taken after the state let go of it. Files that no snapshot
 * refers to when the member starts are what a crash left behind, and go the same way.
 *   head (disk/file-head.ts), with the file's number | values
 */
import {
  type Disk,
  type DiskFile,
  DISK_LIMITS,
  encodeFileHead,
  type FileKind,
  type FileOwner,
  readFileHead,
  readingFile,
  StorageError,
} from '../../disk/index.js';

export interface ValueFilesOptions {
  readonly disk: Disk;
  readonly cluster: string;
  readonly member: string;
  /** Nothing is written or removed: somebody only looks. */
  readonly isReadOnly?: boolean;
  /** The disk failed, or a file is damaged: the member must end. */
  onFatal(error: unknown): void;
}

const VALUES: FileKind = { magic: 0x4b56_414c, version: 1, what: 'a file of values' };
const NAME = /^values-(\d{16})\.slab$/;

export class ValueFiles {
  readonly #options: ValueFilesOptions;
  /** As they were when the member started, until a snapshot takes them or they are let go. */
  readonly #found = new Map<number, SlabFile | StorageError>();
  readonly #open = new Map<number, SlabFile>();
  /** What the state needs no more. */
  readonly #leaving = new Set<Leaving>();
  #next = 1;
  /** Snapshots begun so far. */
  #snapshots = 0;
  #readers = 0;
  #lane: Promise<unknown> = Promise.resolve();
  #hasFailed = false;

  private constructor(options: ValueFilesOptions) {
    this.#options = options;
  }

  /** Throws StorageError `ForeignDirectory`. A damaged file matters only when a snapshot refers to it. */
  static async open(options: ValueFilesOptions): Promise<ValueFiles> {
    const files = new ValueFiles(options);
    for (const name of await options.disk.list()) {
      const number = Number(NAME.exec(name)?.[1] ?? 0);
      if (number > 0) await files.#find(name, number);
    }
    return files;
  }

  /** Whose files these are: a snapshot that refers to others' is refused. */
  get owner(): string {
    const { cluster, member } = this.#options;
    return `${cluster}/${member}`;
  }

  /** Of those that were there at the start; throws StorageError `ValueCorrupt` when it is missing or damaged. */
  found(number: number): SlabFile {
    const found = this.#found.get(number);
    if (found instanceof StorageError) throw found;
    if (found !== undefined) return found;
    throw missing(number);
  }

  /** One that a snapshot which is kept refers to. */
  existing(number: number): SlabFile {
    const file = this.#open.get(number);
    if (file !== undefined) return file;
    throw missing(number);
  }

  /** The state that was found at the start stands: of the files that were found then, `used` are all that it needs. */
  started(used: ReadonlySet<SlabFile>): void {
    if (this.#options.isReadOnly === true) return;
    for (const [number, file] of this.#found) {
      if (file instanceof StorageError) this.#inLane(() => this.#options.disk.remove(nameOf(number)));
      else if (!used.has(file)) this.remove(file);
    }
    this.#found.clear();
  }

  /** What was read is not what was written: the member must end before it serves it. */
  corrupt(file: SlabFile, offset: number, key: string): StorageError {
    const error = valueCorrupt(file.name, offset, key);
    this.#options.onFatal(error);
    return error;
  }

  /** Resolves when the file is durable; null: the disk has failed. */
  async write(bytes: Uint8Array): Promise<SlabFile | null> {
    const number = this.#next++;
    let written: SlabFile | null = null;
    await this.#inLane(async () => {
      const { disk, cluster, member } = this.#options;
      const file = await disk.open(nameOf(number), 'create');
      await file.truncate(0);
      const header = encodeFileHead(VALUES, { cluster, member }, (out) => out.varint(number));
      await file.write(0, [header]);
      // A little at a time, so that the log's next fsync does not wait for the whole of it.
      for (let at = 0; at < bytes.length; at += DISK_LIMITS.snapshotSyncBytes) {
        await file.write(header.length + at, [bytes.subarray(at, at + DISK_LIMITS.snapshotSyncBytes)]);
        await file.sync();
      }
      await disk.syncDirectory();
      written = new SlabFile(number, file, header.length, bytes.length);
      this.#open.set(number, written);
    });
    return written;
  }

  /** The state refers to it no more. */
  remove(file: SlabFile): void {
    this.#leaving.add({ file, since: this.#snapshots, survived: 0 });
  }

  /** A snapshot is begun. Returns what to call when it is kept. */
  snapshotBegins(): () => void {
    this.#snapshots += 1;
    const begun = this.#snapshots;
    return () => {
      for (const leaving of this.#leaving) if (leaving.since < begun) leaving.survived += 1;
      this.#tidy();
    };
  }

  /** No file goes until the function returned is called. */
  hold(): () => void {
    this.#readers += 1;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#readers -= 1;
      this.#tidy();
    };
  }

  async close(): Promise<void> {
    await this.#lane;
    for (const file of this.#open.values()) await file.close();
    this.#open.clear();
  }

  #tidy(): void {
    if (this.#readers > 0) return;
    for (const leaving of this.#leaving) {
      const { file, survived } = leaving;
      if (survived < DISK_LIMITS.snapshotsKept) continue;
      this.#leaving.delete(leaving);
      this.#open.delete(file.number);
      void this.#inLane(async () => {
        await file.close();
        await this.#options.disk.remove(file.name);
      });
    }
  }

  async #find(name: string, number: number): Promise<void> {
    const { disk, cluster, member } = this.#options;
    this.#next = Math.max(this.#next, number + 1);
    const file = await disk.open(name, 'existing');
    try {
      const headerBytes = await checkHeader(file, { cluster, member }, number);
      const slab = new SlabFile(number, file, headerBytes, (await file.size()) - headerBytes);
      this.#open.set(number, slab);
      this.#found.set(number, slab);
    } catch (error) {
      await file.close();
      if (!(error instanceof StorageError) || error.code !== 'ValueCorrupt') throw error;
      this.#found.set(number, error);
    }
  }

  /** One thing at a time; after a failure, nothing. */
  async #inLane(work: () => Promise<void>): Promise<void> {
    const run = this.#lane.then(async () => {
      if (!this.#hasFailed) await work();
    });
    this.#lane = run.catch((error: unknown) => {
      this.#hasFailed = true;
      this.#options.onFatal(error);
    });
    await this.#lane;
  }
}

interface Leaving {
  readonly file: SlabFile;
  /** Snapshots begun until then may refer to it. */
  readonly since: number;
  /** Snapshots kept that do not. */
  survived: number;
}

/** A file of values, open for reading. */
export class SlabFile {
  readonly number: number;
  /** Of values. */
  readonly length: number;
  readonly #file: DiskFile;
  readonly #headerBytes: number;
  #reading = 0;
  #onIdle: (() => void) | null = null;

  constructor(number: number, file: DiskFile, headerBytes: number, length: number) {
    this.number = number;
    this.length = length;
    this.#file = file;
    this.#headerBytes = headerBytes;
  }

  get name(): string {
    return this.#file.name;
  }

  readNow(offset: number, length: number): Uint8Array {
    return this.#file.readNow(this.#headerBytes + offset, length);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    this.#reading += 1;
    try {
      return await this.#file.read(this.#headerBytes + offset, length);
    } finally {
      this.#reading -= 1;
      if (this.#reading === 0) this.#onIdle?.();
    }
  }

  /** That it ends before the value of that key does. */
  cutOff(key: string): StorageError {
    const what = `it is cut off before the end of the value of ${JSON.stringify(key)}`;
    return new StorageError('ValueCorrupt', what, { file: this.name });
  }

  /** Waits for those who are reading. */
  async close(): Promise<void> {
    if (this.#reading > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    await this.#file.close();
  }
}

function valueCorrupt(file: string, offset: number, key: string): StorageError {
  const what = `the value of ${JSON.stringify(key)} does not match its checksum`;
  return new StorageError('ValueCorrupt', what, { file, offset });
}

/** Returns its length. */
function checkHeader(file: DiskFile, owner: FileOwner, number: number): Promise<number> {
  return readingFile(file.name, 'ValueCorrupt', async () => {
    const { rest, end } = await readFileHead(file, VALUES, owner);
    if (rest.varint() !== number) rest.fail('the number is not that of the name');
    return end;
  });
}

const missing = (number: number): StorageError =>
  new StorageError('ValueCorrupt', 'a snapshot refers to it, and it is missing', { file: nameOf(number) });

const nameOf = (number: number): string => `values-${String(number).padStart(16, '0')}.slab`;
