/**
 * The disk as the store sees it: a flat folder of named files, every call asynchronous, nothing durable before
 * `sync`. `RealDisk` (real-disk.ts) is node:fs; `SimDisk` (sim-disk.ts) keeps unsynced bytes apart so that a
 * crash can lose or tear them. Names are plain file names, no separators.
 */
export interface DiskFile {
  readonly name: string;
  /** Writes all chunks one after another at `offset` (one writev). Not durable until `sync` resolves. */
  write(offset: number, chunks: readonly Uint8Array[]): Promise<void>;
  /** As `write` and `sync` of that. A rejection means what one of `sync` does. */
  writeSynced(offset: number, chunks: readonly Uint8Array[]): Promise<void>;
  read(offset: number, length: number): Promise<Uint8Array>;
  /** As `read`; nothing else runs meanwhile. For what a step of the state machine needs in its middle. */
  readNow(offset: number, length: number): Uint8Array;
  size(): Promise<number>;
  truncate(length: number): Promise<void>;
  /** fdatasync. A rejection means that the member must end: never retry (fsyncgate). */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** Opens for reading and writing; `create` makes it when absent (not durable before `syncDirectory`). */
  open(name: string, mode: 'existing' | 'create'): Promise<DiskFile>;
  list(): Promise<readonly string[]>;
  remove(name: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Makes creations, removals and renames durable. */
  syncDirectory(): Promise<void>;
}
