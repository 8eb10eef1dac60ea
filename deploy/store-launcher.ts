/**
 * Runs a store alone on this machine: a process per member, and a control socket, so that a second start on the same data
 * is refused and `kabuki down` and `kabuki fault` find it.
 */
import { rmSync } from 'node:fs';
import { ControlServer } from '../transport/index.js';
import { type ClusterSpec, machineNamed } from './cluster-spec.js';
import type { DataDir } from './data-dir.js';
import { controlHandlers, type Launcher, type LauncherStatus } from './launcher.js';
import { MachineProcess } from './machine-process.js';

/** Resolves when all members run, or as soon as `interrupted` does: then it is to be stopped. */
export async function launchStore(
  dir: DataDir,
  spec: ClusterSpec,
  report: (line: string) => void,
  interrupted: Promise<void>,
): Promise<Launcher> {
  const members = spec.machines.map((member) => new MachineProcess(member.name, dir));
  for (const member of members) {
    member.onUnexpectedExit = (how) => report(`${member.name} ended unexpectedly ${how}`);
  }
  let requestStop: () => void = () => {};
  const stopRequested = new Promise<void>((resolve) => (requestStop = resolve));
  const status = (): LauncherStatus => ({
    cluster: spec.name,
    front: spec.machines.map(({ etcdListen }) => etcdListen).join(','),
    kubeconfig: '',
    pid: process.pid,
    machines: members.map(({ name, state, pid, failure }) => ({
      name,
      role: machineNamed(spec, name).role,
      state,
      ...(pid !== undefined && state !== 'exited' && { pid }),
      ...(failure !== undefined && { failure }),
    })),
    backends: [],
  });
  let control: ControlServer | undefined;
  const stop = async () => {
    await Promise.all(members.map((member) => member.stop()));
    await control?.close();
    // All who had a socket in it have ended.
    rmSync(dir.runDir(), { recursive: true, force: true });
  };
  try {
    const handlers = controlHandlers(spec, members, status, requestStop);
    control = new ControlServer(dir.socketPath('launcher'), handlers);
    await control.start();
    const starting = Promise.all(members.map((member) => member.start()));
    // Members that are stopped while they start say so; nobody waits for them any more.
    starting.catch(() => {});
    await Promise.race([starting, interrupted, stopRequested]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { status, stopRequested, stop };
}
