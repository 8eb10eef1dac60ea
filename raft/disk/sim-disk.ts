/**
 * A disk in memory that forgets as real ones do. What was written but not synced is kept apart, sector by
 * sector, and `crash` decides for each piece whether it had reached the platter: so writes are lost or torn
 * at 512 bytes, and creations, renames and removals vanish unless `syncDirectory` came after. Errors and
 * stalls come from a hook; rot, misdirected writes and a lost disk are done to it from outside.
 * Deterministic: same calls and same random function, same disk.
 */
import { strict as assert } from 'node:assert';
import type { Disk, DiskFile } from './disk.js';
import { StorageError } from './errors.js';
import { checkFileName } from './file-name.js';
import { SimInode, type SimWrite } from './sim-inode.js';

export type DiskOperation =
  'open' | 'list' | 'remove' | 'rename' | 'syncDirectory' | 'write' | 'read' | 'truncate' | 'sync';

/**
 * Asked before each operation. An Error makes the operation fail with it as its cause (a failed write or sync
 * leaves its bytes unsynced); a promise stalls it until the promise resolves; undefined lets it pass.
 */
export type DiskFault = (operation: DiskOperation, name: string) => Error | Promise<void> | undefined;

/** Told when an operation has had its effect, before whoever asked for it hears of that. */
export type DiskDone = (operation: DiskOperation, name: string) => void;

export interface SimFileState {
  readonly name: string;
  readonly bytes: number;
  /** Durable ones, oldest first, a few. */
  readonly writes: readonly SimWrite[];
}

export type SimDiskImage = ReadonlyMap<string, SimInode>;

type DirectoryChange =
  | { readonly type: 'create'; readonly name: string; readonly inode: SimInode }
  | { readonly type: 'rename'; readonly from: string; readonly to: string }
  | { readonly type: 'remove'; readonly name: string };

export class SimDisk implements Disk {
  #names = new Map<string, SimInode>();
  #durableNames = new Map<string, SimInode>();
  #unsyncedChanges: DirectoryChange[] = [];
  #fault: DiskFault | undefined;
  #done: DiskDone | undefined;
  /** Grows with every crash; a handle opened before one is dead after it. */
  #incarnation = 0;
  /** Of the sectors that are being written when power goes the next time, the share that holds garbage afterwards. */
  garbledShare = 0;

  /** Replaces the hooks; undefined heals the disk. */
  inject(fault: DiskFault | undefined, done?: DiskDone): void {
    this.#fault = fault;
    this.#done = done;
  }

  /** The machine loses power: `random` (uniform in [0, 1)) decides what of the unsynced work survives. */
  crash(random: () => number): void {
    this.#incarnation++;
    const names = this.#durableNames;
    const inodes = new Set([...names.values(), ...this.#names.values()]);
    for (const change of this.#unsyncedChanges) {
      if (random() < 0.5) applyChange(names, change);
    }
    const share = this.garbledShare;
    this.garbledShare = 0;
    for (const inode of inodes) {
      if (share > 0) inode.garble(random, share);
      else inode.crash(random);
    }
    this.#durableNames = new Map(names);
    this.#names = new Map(names);
    this.#unsyncedChanges = [];
  }

  /** Bit rot: XORs one byte that is already durable. */
  flip(name: string, offset: number, mask: number): void {
    const inode = this.#names.get(name);
    assert(inode !== undefined && mask > 0 && mask < 256, `nothing to flip: ${name}`);
    inode.flip(offset, mask);
  }

  /** A write that landed elsewhere: bytes that are durable become others, and the file no longer. */
  overwrite(name: string, offset: number, bytes: Uint8Array): void {
    const inode = this.#names.get(name);
    assert(inode !== undefined && offset + bytes.length <= inode.size, `nothing to overwrite: ${name}`);
    inode.overwrite(offset, bytes);
  }

  /** The end of a file is gone. */
  shorten(name: string, length: number): void {
    const inode = this.#names.get(name);
    assert(inode !== undefined && length < inode.durableSize, `nothing to cut off: ${name}`);
    inode.shorten(length);
  }

  /** What is durable now, to be put back later. */
  image(): SimDiskImage {
    return new Map([...this.#durableNames].map(([name, inode]) => [name, inode.durableCopy()]));
  }

  /** What was there once is there again; whoever has a file open finds it dead. */
  restore(image: SimDiskImage): void {
    this.replace();
    for (const [name, inode] of image) this.#durableNames.set(name, inode.durableCopy());
    this.#names = new Map(this.#durableNames);
  }

  /** An empty disk takes its place; whoever has a file open finds it dead. */
  replace(): void {
    this.#incarnation++;
    this.#names = new Map();
    this.#durableNames = new Map();
    this.#unsyncedChanges = [];
  }

  /** What is there, for whoever does it harm: the durable size of each file, and its last writes. */
  get files(): readonly SimFileState[] {
    return [...this.#names]
      .map(([name, inode]) => ({ name, bytes: inode.durableSize, writes: inode.writes }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async open(name: string, mode: 'existing' | 'create'): Promise<DiskFile> {
    checkFileName(name);
    await this.pass('open', name, this.#incarnation);
    let inode = this.#names.get(name);
    if (inode === undefined) {
      if (mode === 'existing') throw failure('open', name, new Error('no such file'));
      inode = new SimInode();
      this.#change({ type: 'create', name, inode });
    }
    this.done('open', name);
    return new SimFile(this, name, inode, this.#incarnation);
  }

  async list(): Promise<readonly string[]> {
    await this.pass('list', '.', this.#incarnation);
    return [...this.#names.keys()].sort();
  }

  async remove(name: string): Promise<void> {
    await this.pass('remove', name, this.#incarnation);
    if (!this.#names.has(name)) throw failure('remove', name, new Error('no such file'));
    this.#change({ type: 'remove', name });
    this.done('remove', name);
  }

  async rename(from: string, to: string): Promise<void> {
    checkFileName(to);
    await this.pass('rename', from, this.#incarnation);
    if (!this.#names.has(from)) throw failure('rename', from, new Error('no such file'));
    this.#change({ type: 'rename', from, to });
    this.done('rename', from);
  }

  async syncDirectory(): Promise<void> {
    const changes = this.#unsyncedChanges.length;
    await this.pass('syncDirectory', '.', this.#incarnation);
    for (const change of this.#unsyncedChanges.splice(0, changes)) applyChange(this.#durableNames, change);
    this.done('syncDirectory', '.');
  }

  /** Runs the fault hook and sees to it that nothing of before a crash goes on after it. */
  async pass(operation: DiskOperation, name: string, incarnation: number): Promise<void> {
    if (incarnation !== this.#incarnation) throw failure(operation, name, new Error('the machine crashed'));
    const fault = this.#fault?.(operation, name);
    if (fault instanceof Error) throw failure(operation, name, fault);
    await fault;
    if (incarnation !== this.#incarnation) throw failure(operation, name, new Error('the machine crashed'));
  }

  done(operation: DiskOperation, name: string): void {
    this.#done?.(operation, name);
  }

  /** As `pass`, of an operation that cannot wait: a stall passes it by. */
  passNow(operation: DiskOperation, name: string, incarnation: number): void {
    if (incarnation !== this.#incarnation) throw failure(operation, name, new Error('the machine crashed'));
    const fault = this.#fault?.(operation, name);
    if (fault instanceof Error) throw failure(operation, name, fault);
    if (incarnation !== this.#incarnation) throw failure(operation, name, new Error('the machine crashed'));
  }

  #change(change: DirectoryChange): void {
    applyChange(this.#names, change);
    this.#unsyncedChanges.push(change);
  }
}

class SimFile implements DiskFile {
  readonly name: string;
  readonly #disk: SimDisk;
  readonly #inode: SimInode;
  readonly #incarnation: number;
  #open = true;

  constructor(disk: SimDisk, name: string, inode: SimInode, incarnation: number) {
    this.name = name;
    this.#disk = disk;
    this.#inode = inode;
    this.#incarnation = incarnation;
  }

  async write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    await this.#pass('write');
    let at = offset;
    for (const chunk of chunks) {
      this.#inode.write(at, chunk);
      at += chunk.length;
    }
    this.#disk.done('write', this.name);
  }

  async writeSynced(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    await this.write(offset, chunks);
    await this.sync();
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    await this.#pass('read');
    return this.#inode.read(offset, length);
  }

  readNow(offset: number, length: number): Uint8Array {
    if (!this.#open) throw failure('read', this.name, new Error('the file is closed'));
    this.#disk.passNow('read', this.name, this.#incarnation);
    return this.#inode.read(offset, length);
  }

  async size(): Promise<number> {
    await this.#pass('read');
    return this.#inode.size;
  }

  async truncate(length: number): Promise<void> {
    await this.#pass('truncate');
    this.#inode.truncate(length);
    this.#disk.done('truncate', this.name);
  }

  async sync(): Promise<void> {
    const written = this.#inode.mark();
    await this.#pass('sync');
    this.#inode.sync(written);
    this.#disk.done('sync', this.name);
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  async #pass(operation: DiskOperation): Promise<void> {
    if (!this.#open) throw failure(operation, this.name, new Error('the file is closed'));
    await this.#disk.pass(operation, this.name, this.#incarnation);
  }
}

/** A change whose subject did not survive has no effect. */
function applyChange(names: Map<string, SimInode>, change: DirectoryChange): void {
  switch (change.type) {
    case 'create':
      names.set(change.name, change.inode);
      return;
    case 'remove':
      names.delete(change.name);
      return;
    case 'rename': {
      const inode = names.get(change.from);
      if (inode === undefined) return;
      names.delete(change.from);
      names.set(change.to, inode);
      return;
    }
    default:
      change satisfies never;
  }
}

function failure(operation: DiskOperation, file: string, cause: Error): StorageError {
  const definite = operation === 'open' || operation === 'list' || operation === 'read';
  return new StorageError(
    'DiskFailed',
    `cannot ${operation}: ${cause.message}`,
    { file, definite },
    { cause },
  );
}
