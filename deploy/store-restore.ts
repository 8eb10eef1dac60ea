/**
 * A new store in a new folder, from a backup. The folder is made beside its place and moved there when everything in it is
 * durable: a restore that is cut short leaves no half of a store to be started.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { open, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { RealDisk } from 'raft-consensus';
import { type ByteProgress, EtcdBackup, restoreBackup, type Restored } from '../actors/store/index.js';
import type { ClusterSpec, MachineSpec } from './cluster-spec.js';
import { freePorts } from './create-cluster.js';
import { DataDir } from './data-dir.js';
import { ReadOnlyFile } from './read-only-file.js';
import { newMachine, specOf } from './store-spec.js';

export interface RestoreShape {
  /** The backup. */
  readonly file: string;
  /** Must not be there, or be empty. */
  readonly dataDir: string;
  readonly members: number;
  /** `host:port` of each member's etcd API. */
  readonly listen: readonly string[];
  readonly bumpRevision: number;
  readonly skipsSum: boolean;
  readonly disablesAuth: boolean;
  readonly onRead?: ByteProgress;
  readonly onRecords?: (step: 'read' | 'write', records: number) => void;
}

export async function restoreStore(shape: RestoreShape): Promise<Restored> {
  const place = resolve(shape.dataDir);
  if (existsSync(place) && readdirSync(place).length > 0) {
    throw new Error(`${place} is not empty: a backup is restored into a new folder`);
  }
  const file = await ReadOnlyFile.open(shape.file);
  const making = `${place}.restoring`;
  try {
    const { skipsSum, onRead } = shape;
    const backup = await EtcdBackup.open(file, { skipsSum, ...(onRead && { onProgress: onRead }) });
    await rm(making, { recursive: true, force: true });
    const restored = await makeStore(new DataDir(making), backup, shape);
    if (existsSync(place)) await rmdir(place);
    await rename(making, place);
    await syncFolder(dirname(place));
    return restored;
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    throw error;
  } finally {
    await file.close();
  }
}

async function makeStore(dir: DataDir, backup: EtcdBackup, shape: RestoreShape): Promise<Restored> {
  dir.create();
  const spec = await newStore(dir, shape);
  const members = await Promise.all(
    spec.machines.map(async ({ name }) => ({
      name,
      disk: await RealDisk.open(`${dir.machineDir(name)}/store`),
    })),
  );
  const restored = await restoreBackup({
    backup,
    cluster: spec.id,
    members,
    scratch: await RealDisk.open(dir.path),
    bumpRevision: shape.bumpRevision,
    disablesAuth: shape.disablesAuth,
    tokenKey: new Uint8Array(randomBytes(32)),
    ...(shape.onRecords && { onProgress: shape.onRecords }),
  });
  dir.writeSpec(spec);
  for (const { name } of spec.machines) await syncFolder(dir.machineDir(name));
  await syncFolder(`${dir.path}/machines`);
  await syncFolder(dir.path);
  return restored;
}

/** Under a new identity, with new keys. */
async function newStore(dir: DataDir, { members, listen }: RestoreShape): Promise<ClusterSpec> {
  const ports = await freePorts(2 * members);
  const take = () => `tcp://127.0.0.1:${ports.shift()}`;
  const machines = listen.map((etcdListen, i): MachineSpec => {
    const addresses = { address: take(), storeAddress: take(), etcdListen };
    return { ...newMachine(dir, `store-${i + 1}`), ...addresses };
  });
  return specOf(randomBytes(16).toString('hex'), machines, { trace: false });
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
