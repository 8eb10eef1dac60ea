/**
 * A new store in a new folder, from a backup, by itself or with the cluster that it is the store of. The folder is made beside
 * its place and moved there when everything in it is durable: a restore that is cut short leaves no half of a store to be
 * started.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { cp, open, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ReadOnlyFile, RealDisk } from 'raft-consensus';
import { type ByteProgress, EtcdBackup, restoreBackup, type Restored } from '../actors/store/index.js';
import { type ClusterSpec, type MachineSpec, storeMachines } from './cluster-spec.js';
import { freePorts } from './create-cluster.js';
import { DataDir } from './data-dir.js';
import { newMachine, specOf } from './store-spec.js';

export interface RestoreShape {
  /** The backup. */
  readonly file: string;
  /** Must not be there, or be empty. */
  readonly dataDir: string;
  /** What the backup becomes: a store that runs alone, or the store of a cluster like another. */
  readonly as:
    | {
        readonly type: 'store';
        /** `host:port` of each member's etcd API. */
        readonly listen: readonly string[];
      }
    | {
        readonly type: 'cluster';
        /** Folder of the cluster whose machines, addresses, keys and certificates it takes over. */
        readonly like: string;
      };
  readonly bumpRevision: number;
  readonly skipsSum: boolean;
  readonly disablesAuth: boolean;
  readonly onRead?: ByteProgress;
  readonly onRecords?: (step: 'read' | 'write', records: number) => void;
}

/** Of one that cannot be opened, its name is half of the news. */
export async function openBackup(file: string): Promise<ReadOnlyFile> {
  try {
    return await ReadOnlyFile.open(file);
  } catch (cause) {
    throw new Error(`the backup ${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

export async function restoreStore(shape: RestoreShape): Promise<Restored> {
  const place = new DataDir(shape.dataDir).path;
  if (existsSync(place) && !statSync(place).isDirectory()) {
    throw new Error(`${place} is a file: a backup is restored into a new folder`);
  }
  if (existsSync(place) && readdirSync(place).length > 0) {
    throw new Error(`${place} is not empty: a backup is restored into a new folder`);
  }
  const file = await openBackup(shape.file);
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
  const { as } = shape;
  const spec = as.type === 'store' ? await newStore(dir, as.listen) : await newCluster(dir, as.like);
  const members = await Promise.all(
    storeMachines(spec).map(async ({ name }) => ({
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
async function newStore(dir: DataDir, listen: readonly string[]): Promise<ClusterSpec> {
  const ports = await freePorts(2 * listen.length);
  const take = () => `tcp://127.0.0.1:${ports.shift()}`;
  const machines = listen.map((etcdListen, i): MachineSpec => {
    const addresses = { address: take(), storeAddress: take(), etcdListen };
    return { ...newMachine(dir, `store-${i + 1}`), ...addresses };
  });
  return specOf(newIdentity(), machines, { trace: false });
}

/** Under a new identity too, so that the old machines and their data are strangers; its users keep their credentials. */
async function newCluster(dir: DataDir, like: string): Promise<ClusterSpec> {
  const old = new DataDir(like);
  const spec = old.readSpec();
  if (spec.store || spec.externalStore) {
    const what = spec.store ? 'a store that runs alone' : 'a cluster whose store is elsewhere';
    throw new Error(`${old.path} holds ${what}, and no cluster with a store of its own`);
  }
  await cp(join(old.path, 'pki'), join(dir.path, 'pki'), { recursive: true });
  dir.writeSecret('kubeconfig', old.readText('kubeconfig'));
  for (const { name } of spec.machines) {
    dir.writeMachineKeys(name, old.readMachineKeys(name));
    const manifests = join(old.path, 'machines', name, 'manifests');
    if (existsSync(manifests)) await cp(manifests, dir.manifestDir(name), { recursive: true });
  }
  return { ...spec, id: newIdentity() };
}

function newIdentity(): string {
  return randomBytes(16).toString('hex');
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
