/**
 * Runs one cluster on this machine: a process per machine of the cluster, the load balancer in front, and a control
 * socket for `kabuki status`, `down` and `fault`. Lives as long as the cluster does.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { ControlServer } from '../transport/index.js';
import { type ClusterSpec, machineNamed } from './cluster-spec.js';
import type { DataDir } from './data-dir.js';
import { type DataLock, lockDataDir } from './data-lock.js';
import { startFront } from './front.js';
import type { LoadBalancer } from './load-balancer.js';
import { MachineProcess, type MachineState } from './machine-process.js';

export interface MachineStatus {
  readonly name: string;
  readonly role: 'master' | 'worker';
  readonly state: MachineState;
  readonly pid?: number;
  /** Why it ended by itself, if it could say so. */
  readonly failure?: string;
}

export interface LauncherStatus {
  readonly cluster: string;
  readonly front: string;
  readonly kubeconfig: string;
  readonly pid: number;
  readonly machines: readonly MachineStatus[];
  readonly backends: LoadBalancer['backends'];
}

export interface Launcher {
  status(): LauncherStatus;
  /** Resolves when somebody asked the cluster to stop (`kabuki down`). */
  readonly stopRequested: Promise<void>;
  stop(): Promise<void>;
}

/** What a cluster shows to the outside besides its machines. */
export interface Face {
  readonly front: string;
  readonly kubeconfig: string;
  readonly backends: () => LauncherStatus['backends'];
  close(): Promise<void>;
}

/** Resolves when all machines run, or as soon as `interrupted` does: then it is to be stopped. */
export async function launch(
  dir: DataDir,
  spec: ClusterSpec,
  report: (line: string) => void,
  interrupted: Promise<void>,
): Promise<Launcher> {
  const balancer = await startFront(dir, spec);
  const face: Face = {
    front: `https://127.0.0.1:${spec.frontPort}`,
    kubeconfig: dir.kubeconfigPath,
    backends: () => balancer.backends,
    close: () => balancer.close(),
  };
  return launchMachines(dir, spec, face, report, interrupted);
}

/** The machines of a cluster of any kind, behind its face. `start`: absent, all must start. */
export async function launchMachines(
  dir: DataDir,
  spec: ClusterSpec,
  face: Face,
  report: (line: string) => void,
  interrupted: Promise<void>,
  start: (machines: readonly MachineProcess[]) => Promise<void> = startAll,
): Promise<Launcher> {
  const machines = spec.machines.map((machine) => new MachineProcess(machine.name, dir));
  for (const machine of machines) machine.onUnexpectedExit = report;
  let requestStop: () => void = () => {};
  const stopRequested = new Promise<void>((resolve) => (requestStop = resolve));
  const status = (): LauncherStatus => ({
    cluster: spec.name,
    front: face.front,
    kubeconfig: face.kubeconfig,
    pid: process.pid,
    machines: machines.map(({ name, state, pid, failure }) => ({
      name,
      role: machineNamed(spec, name).role,
      state,
      ...(pid !== undefined && state !== 'exited' && { pid }),
      ...(failure !== undefined && { failure }),
    })),
    backends: face.backends(),
  });
  const lock = await locked(dir, face);
  let control: ControlServer | undefined;
  const stop = async () => {
    await Promise.all(machines.map((machine) => machine.stop()));
    await face.close();
    await control?.close();
    // All who had a socket in it have ended.
    rmSync(dir.runDir(), { recursive: true, force: true });
    lock.release();
  };
  try {
    const handlers = controlHandlers(spec, machines, status, requestStop);
    control = new ControlServer(dir.socketPath('launcher'), handlers);
    await control.start();
    writeFileSync(`${dir.path}/launcher.pid`, `${process.pid}\n`, { mode: 0o600 });
    const starting = start(machines);
    // Machines that are stopped while they start say so; nobody waits for them any more.
    starting.catch(() => {});
    await Promise.race([starting, interrupted, stopRequested]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { status, stopRequested, stop };
}

async function startAll(machines: readonly MachineProcess[]): Promise<void> {
  await Promise.all(machines.map((machine) => machine.start()));
}

async function locked(dir: DataDir, face: Face): Promise<DataLock> {
  try {
    return lockDataDir(dir);
  } catch (error) {
    await face.close();
    throw error;
  }
}

function controlHandlers(
  spec: ClusterSpec,
  machines: readonly MachineProcess[],
  status: () => LauncherStatus,
  requestStop: () => void,
): Record<string, (params: unknown) => Promise<unknown>> {
  const named = (params: unknown): MachineProcess => {
    const name = (params as { machine?: unknown } | null)?.machine;
    if (typeof name !== 'string') throw new TypeError('the parameter "machine" must name a machine');
    machineNamed(spec, name);
    return machines.find((machine) => machine.name === name) as MachineProcess;
  };
  return {
    status: async () => status(),
    stop: async () => {
      // The answer leaves before the socket closes.
      setTimeout(requestStop, 10);
      return {};
    },
    kill: async (params) => {
      await named(params).kill();
      return {};
    },
    pause: async (params) => {
      named(params).pause();
      return {};
    },
    resume: async (params) => {
      named(params).resume();
      return {};
    },
    start: async (params) => {
      await named(params).start();
      return {};
    },
  };
}
