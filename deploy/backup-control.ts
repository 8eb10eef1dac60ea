/**
 * Backups that a machine is told to save through its control socket: one call begins it, others ask how far it is. The file
 * appears under its name when it is whole and durable, and not before.
 */
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { BackupDesk, BackupSpool } from '../actors/store/index.js';
import type { ControlHandlers } from './node-control.js';

export type SaveProgress =
  | {
      readonly state: 'reading';
      readonly records: number;
      readonly bytes: number;
      /** Keys and values: about what the file will be. */
      readonly expectedBytes: number;
    }
  | { readonly state: 'writing'; readonly bytes: number; readonly expectedBytes: number }
  | {
      readonly state: 'saved';
      readonly bytes: number;
      readonly records: number;
      readonly revision: number;
      readonly leases: number;
      /** False: no leader could vouch for it, the newest writes may be missing. */
      readonly isCurrent: boolean;
    }
  | { readonly state: 'failed'; readonly error: string };

const savesRememberedMax = 16;

export function backupControl(desk: BackupDesk): ControlHandlers {
  const saves = new Map<string, SaveProgress>();
  return {
    'store.backup.save': async (params) => {
      const { path } = params as { path?: unknown };
      if (typeof path !== 'string' || !path.startsWith('/')) throw new TypeError('"path" must be absolute');
      const id = randomBytes(8).toString('hex');
      const note = (progress: SaveProgress) => saves.set(id, progress);
      note({ state: 'reading', records: 0, bytes: 0, expectedBytes: 0 });
      if (saves.size > savesRememberedMax) saves.delete(saves.keys().next().value as string);
      void save(desk, path, note);
      return { id };
    },
    'store.backup.progress': async (params) => {
      const progress = saves.get(String((params as { id?: unknown }).id));
      if (!progress) throw new Error('there is no such backup');
      return progress;
    },
  };
}

async function save(desk: BackupDesk, path: string, note: (progress: SaveProgress) => void): Promise<void> {
  let spool: BackupSpool | undefined;
  try {
    spool = await desk.take({ onProgress: (progress) => note({ state: 'reading', ...progress }) });
    await write(spool, path, note);
    const { bytes, records, head, isCurrent } = spool;
    note({
      state: 'saved',
      bytes,
      records,
      revision: head.revision,
      leases: head.leases.length,
      isCurrent,
    });
  } catch (error) {
    note({ state: 'failed', error: error instanceof Error ? error.message : String(error) });
  } finally {
    await spool?.remove();
  }
}

async function write(
  spool: BackupSpool,
  path: string,
  note: (progress: SaveProgress) => void,
): Promise<void> {
  const part = `${path}.part`;
  const file = await open(part, 'wx', 0o600);
  try {
    let written = 0;
    for await (const block of spool.blocks()) {
      await file.writeFile(block);
      written += block.length;
      note({ state: 'writing', bytes: written, expectedBytes: spool.bytes });
    }
    await file.sync();
    await file.close();
    await rename(part, path);
    const folder = await open(dirname(path), 'r');
    await folder.sync();
    await folder.close();
  } catch (error) {
    await file.close();
    await rm(part, { force: true });
    throw error;
  }
}
