/**
 * Takes backups of a member: writes each to a file of its own first, so that the member is held up by no slow taker and the
 * length is known, then hands it out as an etcd snapshot: the database, then its SHA-256 (etcd api/v3rpc/maintenance.go).
 */
import { createHash } from 'node:crypto';
import type { DiskFile, KvSnapshotHead } from 'raft-consensus';
import type { ActorRef, ActorSystem } from '../../runtime/index.js';
import type { StoreMessage } from '../messages.js';
import { type BackupProgress, writeBackupFile, type WrittenBackup } from './backup-file.js';
import { BackupSource } from './backup-source.js';
import { BackupError } from './errors.js';
import { backupLimits } from './limits.js';
import { openScratchFile } from './scratch-file.js';

const SUM_BYTES = 32;

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
    const disk = await system.env.disk(this.#options.folder);
    const name = `spool-${++this.#taken}`;
    const file = await openScratchFile(disk, `${name}.db`);
    try {
      const source = await BackupSource.open(system, member);
      const expectedBytes = source.opened.sizeBytes;
      const written = await writeBackupFile(wanted(source.pieces(), isUnwanted), {
        file,
        openRuns: () => openScratchFile(disk, `${name}.runs`),
        clock: system.env.clock,
        ...(onProgress && { onProgress: (progress) => onProgress({ ...progress, expectedBytes }) }),
      });
      return new BackupSpool(file, written, source.isCurrent, () => {
        this.#spools -= 1;
        return file.close();
      });
    } catch (error) {
      await file.close();
      throw error;
    }
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
