/**
 * The process of a machine: its components on this thread, a master's store member on a thread of its own, HTTPS, and a
 * control socket. Ends on SIGTERM, and by itself when its launcher is gone.
 */
import { machineFacts, ProcessRuntime, socketPodNetwork, staticPodFolder } from '../actors/kubelet/index.js';
import { UserSpaceProxy } from '../actors/proxy/index.js';
import { actorRef, type ActorSystem } from '../actors/runtime/index.js';
import type { StoreMessage } from '../actors/store/index.js';
import { ControlServer } from '../transport/index.js';
import {
  type ClusterSpec,
  type ExternalStore,
  type MachineSpec,
  mainNode,
  masters,
  storeNode,
} from './cluster-spec.js';
import { backupControl } from './backup-control.js';
import type { DataDir } from './data-dir.js';
import { type MachineParts, startMachine } from './machine.js';
import { machineControl } from './machine-control.js';
import { MemberWatch } from './member-watch.js';
import { createNodeSystem } from './node-system.js';
import type { StoreThread } from './store-thread.js';

export interface MachineRun {
  readonly dir: DataDir;
  readonly spec: ClusterSpec;
  readonly machine: MachineSpec;
  /** Of masters: already starting. */
  readonly store: Promise<StoreThread> | undefined;
  /** Ends the process. */
  fail(error: unknown): void;
}

/** Resolves when everything runs. */
export async function runMachine({ dir, spec, machine, store: starting, fail }: MachineRun): Promise<void> {
  const { name } = machine;
  const master = machine.role === 'master' ? await loadMaster() : undefined;
  const member = await starting;
  const node = createNodeSystem(
    dir,
    spec,
    machine,
    mainNode(machine),
    member && { to: storeNode(machine), end: member.shortWay },
  );
  const { system, follow } = node;
  await system.started;
  void system.whenFailed.then(fail);
  if (member && master) {
    const client = master.storeClientOf(spec, machine, system);
    const watch = new MemberWatch({ name, client, clock: system.env.clock, follow });
    member.onMembers((members) => watch.check(members));
  }
  const tokens = await master?.tokenSigner(dir);
  const external = master && spec.externalStore && (await openStore(spec, machine, system));
  const parts: MachineParts = {
    spec,
    machine,
    system,
    runtime: new ProcessRuntime({
      dataDir: dir.machineDir(name),
      clock: system.env.clock,
      random: system.env.random,
    }),
    podNetwork: socketPodNetwork,
    facts: machineFacts(dir.machineDir(name)),
    staticPods: staticPodFolder(dir.manifestDir(name)),
    serviceProxy: new UserSpaceProxy({ clock: system.env.clock, random: system.env.random }),
    rootCa: dir.readText('pki/ca.crt'),
    ...(tokens && { tokens }),
    ...(external && { store: external }),
  };
  const running = startMachine(parts, master?.startControlPlane);
  const door =
    running.apiServer && (await master?.openApiServerDoor(dir, machine, system, running.apiServer));
  const backups = member && master?.backupsOf(system, machine);
  const control = new ControlServer(dir.socketPath(name), {
    ...machineControl(system, member, external),
    ...(member && master?.storeControlOf(spec, machine, system)),
    ...(backups && backupControl(backups)),
  });
  await control.start();
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    await door?.close(1_000);
    running.stop();
    external?.close();
    await node.stop();
    await member?.stop();
    await control.close();
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop().catch(fail));
  process.on('disconnect', () => void stop().catch(fail));
}

/** Loaded only where it is used. */
async function openStore(spec: ClusterSpec, machine: MachineSpec, system: ActorSystem) {
  const { openExternalStore } = await import('./external-store.js');
  const first = masters(spec).indexOf(machine);
  const store = openExternalStore(spec.externalStore as ExternalStore, first, (what, fields) =>
    system.note('store', what, fields),
  );
  store.startCompacting();
  return store;
}

async function loadMaster() {
  const [
    { startControlPlane },
    { openApiServerDoor },
    { tokenSigner },
    { storeClientOf, storeControlOf },
    { BackupDesk },
  ] = await Promise.all([
    import('./control-plane.js'),
    import('./apiserver-door.js'),
    import('./token-signer.js'),
    import('./store-control.js'),
    import('../actors/store/index.js'),
  ]);
  const backupsOf = (system: ActorSystem, machine: MachineSpec) =>
    new BackupDesk({
      system,
      member: actorRef<StoreMessage>(storeNode(machine), '/store'),
      folder: 'backup',
    });
  return { startControlPlane, openApiServerDoor, tokenSigner, storeClientOf, storeControlOf, backupsOf };
}
