/**
 * The process of one member of a store that runs alone: the member on a thread of its own, etcd's API on this one. Ends on
 * SIGTERM, and by itself when its launcher is gone.
 */
import { BackupDesk, createStoreClient } from '../actors/store/index.js';
import { type EtcdTls, openEtcdFront } from '../actors/store/etcd/index.js';
import { ControlServer } from '../transport/index.js';
import { Announcement } from './announcement.js';
import { readTokenKeys } from './auth-token.js';
import { backupControl } from './backup-control.js';
import { mainNode, storeNode } from './cluster-spec.js';
import { machineControl } from './machine-control.js';
import type { MachineMessage } from './machine-process.js';
import type { MachineRun } from './machine-run.js';
import { createNodeSystem } from './node-system.js';
import { Removal } from './removal.js';
import { addressOf, askedMembers } from './store-peers.js';
import { storeControl } from './store-control.js';
import { parseListen } from './store-spec.js';
import { readTls, TlsFollower } from './tls-files.js';

/** Resolves when everything runs. */
export async function runStoreMachine({
  dir,
  spec,
  machine,
  store: starting,
  fail,
}: MachineRun): Promise<void> {
  const store = await starting;
  const node = createNodeSystem(
    dir,
    spec,
    machine,
    mainNode(machine),
    store && { to: storeNode(machine), end: store.shortWay },
  );
  const { system, follow } = node;
  await system.started;
  void system.whenFailed.then(fail);
  const members = askedMembers(spec, machine);
  const client = createStoreClient({ system, members });
  const local = createStoreClient({ system, members: members.slice(0, 1) });
  const backups = new BackupDesk({ system, member: members[0]!.ref, folder: 'backup' });
  const tlsFiles = spec.store?.tls;
  const tls = tlsFiles && readTls(tlsFiles);
  const { progressNotifyIntervalMs, tokenTtlMs, authToken } = spec.store ?? {};
  const front = await openEtcdFront({
    system,
    client,
    local,
    backups,
    name: machine.name,
    clusterId: spec.id,
    ...parseListen(machine.etcdListen as string),
    ...(tls && { tls }),
    tokenKeys: authToken && readTokenKeys(authToken),
    limits: {
      ...(progressNotifyIntervalMs !== undefined && { progressNotifyIntervalMs }),
      ...(tokenTtlMs !== undefined && { tokenTtlMs }),
    },
  });
  const follower =
    tlsFiles &&
    new TlsFollower(tlsFiles, {
      clock: system.env.clock,
      inForce: tls as EtcdTls,
      renew: (renewed) => front.renewTls(renewed),
      // Into the log of the machine.
      note: (problem) => console.error(`the certificates in force stay: ${problem}`),
    });
  const control = new ControlServer(dir.socketPath(machine.name), {
    ...machineControl(system, store),
    ...storeControl({ clusterId: spec.id, client, local, uuid: () => system.env.uuid() }),
    ...backupControl(backups),
  });
  await control.start();
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    announcement.stop();
    follower?.stop();
    await front.close();
    await node.stop();
    await store?.stop();
    await control.close();
    process.exit(0);
  };
  const { clock } = system.env;
  const { name } = machine;
  const announcement = new Announcement({ name, address: addressOf(spec, machine), client, clock });
  const onRemoved = () => {
    process.send?.({ left: `${name} was removed from the store` } satisfies MachineMessage);
    void stop().catch(fail);
  };
  const removal = new Removal({ dir, spec, name, clock, onRemoved });
  store?.onMembers((now) => {
    follow(now);
    announcement.check(now);
    removal.check(now);
  });
  process.on('SIGTERM', () => void stop().catch(fail));
  process.on('disconnect', () => void stop().catch(fail));
}
