/**
 * The process of one member of a store that runs alone: the member on a thread of its own, etcd's API on this one. Ends on
 * SIGTERM, and by itself when its launcher is gone.
 */
import { readFileSync } from 'node:fs';
import { actorRef } from '../actors/runtime/index.js';
import { BackupDesk, createStoreClient, type StoreMessage } from '../actors/store/index.js';
import { type EtcdMember, type EtcdTls, openEtcdFront } from '../actors/store/etcd/index.js';
import { ControlServer } from '../transport/index.js';
import { type ClusterSpec, type MachineSpec, mainNode, masters, storeNode } from './cluster-spec.js';
import { ownFirst } from './machine.js';
import { machineControl } from './machine-control.js';
import type { MachineRun } from './machine-run.js';
import { createNodeSystem } from './node-system.js';
import { parseListen } from './store-spec.js';

/** Resolves when everything runs. */
export async function runStoreMachine({
  dir,
  spec,
  machine,
  store: starting,
  fail,
}: MachineRun): Promise<void> {
  const store = await starting;
  const system = createNodeSystem(dir, spec, machine, mainNode(machine));
  await system.started;
  void system.whenFailed.then(fail);
  const members = ownFirst(spec, machine).map((member) => ({
    name: member.name,
    ref: actorRef<StoreMessage>(storeNode(member), '/store'),
  }));
  const backups = new BackupDesk({ system, member: members[0]!.ref, folder: 'backup' });
  const tls = readTls(spec);
  const { progressNotifyIntervalMs } = spec.store ?? {};
  const front = await openEtcdFront({
    system,
    client: createStoreClient({ system, members }),
    local: createStoreClient({ system, members: members.slice(0, 1) }),
    backups,
    name: machine.name,
    clusterId: spec.id,
    members: masters(spec).map((member) => etcdMember(spec, member)),
    ...parseListen(machine.etcdListen as string),
    ...(tls && { tls }),
    ...(progressNotifyIntervalMs !== undefined && { limits: { progressNotifyIntervalMs } }),
  });
  const control = new ControlServer(dir.socketPath(machine.name), machineControl(system, store));
  await control.start();
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    await front.close();
    await system.stop();
    await system.journal.close();
    await store?.stop();
    await control.close();
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop().catch(fail));
  process.on('disconnect', () => void stop().catch(fail));
}

function etcdMember(spec: ClusterSpec, { name, storeAddress, etcdListen }: MachineSpec): EtcdMember {
  const scheme = spec.store?.tls ? 'https' : 'http';
  return { name, peerUrls: [storeAddress as string], clientUrls: [`${scheme}://${etcdListen}`] };
}

function readTls(spec: ClusterSpec): EtcdTls | undefined {
  const files = spec.store?.tls;
  if (!files) return undefined;
  return {
    certificate: readFileSync(files.certFile, 'utf8'),
    key: readFileSync(files.keyFile, 'utf8'),
    ...(files.clientCaFile !== undefined && { clientCa: readFileSync(files.clientCaFile, 'utf8') }),
    ...(files.clientCertAuth === true && { clientCertAuth: true }),
  };
}
