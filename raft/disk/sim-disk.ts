/**
 * A disk in memory that forgets as real ones do. What was written but not synced is kept apart, sector by
 * sector, and `crash` decides for each piece whether it had reached the platter: so writes are lost or torn
 * at 512 bytes, and creations, renames and removals vanish unless `syncDirectory` came after. Errors and
 * stalls come from a hook. Deterministic: same calls and same random function, same disk.
 */
import { strict as assert } from 'node:assert';
import type { Disk, DiskFile } from './disk.js';
import { StorageError } from './errors.js';
import { checkFileName } from './file-name.js';
import { SimInode } from './sim-inode.js';

export type DiskOperation =
  'open' | 'list' | 'remove' | 'rename' | 'syncDirectory' | 'write' | 'read' | 'truncate' | 'sync';

/**
 * Asked before each operation. An Error makes the operation fail with it as its cause (a failed write or sync
 * leaves its bytes unsynced); a promise stalls it until the promise resolves; undefined lets it pass.
 */
export type DiskFault = (operation: DiskOperation, name: string) => Error | Promise<void> | undefined;

type DirectoryChange =
  | { readonly type: 'create'; readonly name: string; readonly inode: SimInode }
  | { readonly type: 'rename'; readonly from: string; readonly to: string }
  | { readonly type: 'remove'; readonly name: string };

export class SimDisk implements Disk {
  #names = new Map<string, SimInode>();
  #durableNames = new Map<string, SimInode>();
  #unsyncedChanges: DirectoryChange[] = [];
  #fault: DiskFault | undefined;
  /** Grows with every crash; a handle opened before one is dead after it. */
  #incarnation = 0;

  /** Replaces the fault hook; undefined heals the disk. */
  inject(fault: DiskFault | undefined): void {
    this.#fault = fault;
  }

  /** The machine loses power: `random` (uniform in [0, 1)) decides what of the unsynced work survives. */
  crash(random: () => number): void {
    this.#incarnation++;
    const names = this.#durableNames;
    const inodes = new Set([...names.values(), ...this.#names.values()]);
    for (const change of this.#unsyncedChanges) {
      if (random() < 0.5) applyChange(names, change);
    }
    for (const inode of inodes) inode.crash(random);
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

  async open(name: string, mode: 'existing' | 'create'): Promise<DiskFile> {
    checkFileName(name);
    await this.pass('open', name, this.#incarnation);
    let inode = this.#names.get(name);
    if (inode === undefined) {
      if (mode === 'existing') throw failure('open', name, new Error('no such file'));
      inode = new SimInode();
      this.#change({ type: 'create', name, inode });
    }
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
  }

  async rename(from: string, to: string): Promise<void> {
    checkFileName(to);
    await this.pass('rename', from, this.#incarnation);
    if (!this.#names.has(from)) throw failure('rename', from, new Error('no such file'));
    this.#change({ type: 'rename', from, to });
  }

  async syncDirectory(): Promise<void> {
    const changes = this.#unsyncedChanges.length;
    await this.pass('syncDirectory', '.', this.#incarnation);
    for (const change of this.#unsyncedChanges.splice(0, changes)) applyChange(this.#durableNames, change);
  }

  /** Runs the fault hook and sees to it that nothing of before a crash goes on after it. */
  async pass(operation: DiskOperation, name: string, incarnation: number): Promise<void> {
    if (incarnation !== this.#incarnation) throw failure(operation, name, new Error('the machine crashed'));
    const fault = this.#fault?.(operation, name);
    if (fault instanceof Error) throw failure(operation, name, fault);
    await fault;
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
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    await this.#pass('read');
    return this.#inode.read(offset, length);
  }

  async size(): Promise<number> {
    await this.#pass('read');
    return this.#inode.size;
  }

  async truncate(length: number): Promise<void> {
    await this.#pass('truncate');
    this.#inode.truncate(length);
  }

  async sync(): Promise<void> {
    const written = this.#inode.mark();
    await this.#pass('sync');
    this.#inode.sync(written);
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
