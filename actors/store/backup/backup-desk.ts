/**
 * Takes backups of a member: writes each to a file of its own first, so that the member is held up by no slow taker and the
 * length is known, then hands it out as an etcd snapshot: the database, then its SHA-256 (etcd api/v3rpc/maintenance.go).
 */
import { createHash } from 'node:crypto';
import type { Disk, DiskFile, KvSnapshotHead } from 'raft-consensus';
import type { ActorRef, ActorSystem } from '../../runtime/index.js';
import type { StoreMessage } from '../messages.js';
import { type BackupProgress, writeBackupFile, type WrittenBackup } from './backup-file.js';
import { BackupSource } from './backup-source.js';
import { BackupError } from './errors.js';
import { backupLimits } from './limits.js';

const SUM_BYTES = 32;
const SPOOL_NAME = /^spool-\d+\.(db|runs)$/;

export interface BackupDeskOptions {
  readonly system: ActorSystem;
  /** Of whom backups are taken. */
  readonly member: ActorRef<StoreMessage>;
  /** Folder of the node for files that are being made. */
  readonly folder: string;
}

export interface TakeOptions {
  onProgress?(progress: BackupProgress & { readonly expectedBytes: number }): void;
  /** Asked now and then: true gives it up. */
  isUnwanted?(): boolean;
}

export class BackupDesk {
  readonly #options: BackupDeskOptions;
  #disk: Promise<Disk> | undefined;
  #taken = 0;
  #spools = 0;

  constructor(options: BackupDeskOptions) {
    this.#options = options;
  }

  /** Rejects with StoreError when the member cannot give one, with BackupError `Busy`. The caller removes the spool. */
  async take(options: TakeOptions = {}): Promise<BackupSpool> {
    if (this.#spools >= backupLimits.spoolsMax) {
      throw new BackupError('Busy', `${backupLimits.spoolsMax} backups are being taken`);
    }
    this.#spools += 1;
    try {
      return await this.#spool(options);
    } catch (error) {
      this.#spools -= 1;
      throw error;
    }
  }

  async #spool({ onProgress, isUnwanted }: TakeOptions): Promise<BackupSpool> {
    const { system, member } = this.#options;
    const disk = await (this.#disk ??= this.#openDisk());
    const name = `spool-${++this.#taken}`;
    const source = await BackupSource.open(system, member);
    const file = await disk.open(`${name}.db`, 'create');
    const discard = async () => {
      await file.close();
      await disk.remove(`${name}.db`);
    };
    try {
      await file.truncate(0);
      const expectedBytes = source.opened.sizeBytes;
      const written = await writeBackupFile(wanted(source.pieces(), isUnwanted), {
        disk,
        file,
        runsName: `${name}.runs`,
        clock: system.env.clock,
        ...(onProgress && { onProgress: (progress) => onProgress({ ...progress, expectedBytes }) }),
      });
      return new BackupSpool(file, written, source.isCurrent, async () => {
        this.#spools -= 1;
        await discard();
      });
    } catch (error) {
      await discard();
      throw error;
    }
  }

  /** What an earlier life of the process left behind goes first. */
  async #openDisk(): Promise<Disk> {
    const disk = await this.#options.system.env.disk(this.#options.folder);
    for (const name of await disk.list()) if (SPOOL_NAME.test(name)) await disk.remove(name);
    return disk;
  }
}

export class BackupSpool {
  readonly #file: DiskFile;
  readonly #discard: () => Promise<void>;
  #isRemoved = false;
  readonly head: KvSnapshotHead;
  /** Versions of keys. */
  readonly records: number;
  /** Of the whole snapshot, its sum included. */
  readonly bytes: number;
  /** False: it was taken of a member that knew of no leader, and may lack the newest writes. */
  readonly isCurrent: boolean;

  constructor(file: DiskFile, written: WrittenBackup, isCurrent: boolean, discard: () => Promise<void>) {
    this.#file = file;
    this.#discard = discard;
    this.head = written.head;
    this.records = written.records;
    this.bytes = written.bytes + SUM_BYTES;
    this.isCurrent = isCurrent;
  }

  /** The whole snapshot. */
  async *blocks(): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256');
    const end = this.bytes - SUM_BYTES;
    for (let at = 0; at < end; at += backupLimits.blockBytes) {
      const block = await this.#file.read(at, Math.min(backupLimits.blockBytes, end - at));
      hash.update(block);
      yield block;
    }
    yield new Uint8Array(hash.digest());
  }

  async remove(): Promise<void> {
    if (this.#isRemoved) return;
    this.#isRemoved = true;
    await this.#discard();
  }
}

async function* wanted(
  pieces: AsyncIterable<Uint8Array>,
  isUnwanted: TakeOptions['isUnwanted'],
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    if (isUnwanted?.()) throw new BackupError('Busy', 'the backup is not wanted any more');
    yield piece;
  }
}
