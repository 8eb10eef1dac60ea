/**
 * Runs one cluster on this machine: a process per machine of the cluster, the load balancer in front, and a control
 * socket for `kabuki status`, `down` and `fault`. Lives as long as the cluster does.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { ControlServer } from '../transport/index.js';
import { type ClusterSpec, machineNamed } from './cluster-spec.js';
import type { DataDir } from './data-dir.js';
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

/** Resolves when all machines run, or as soon as `interrupted` does: then it is to be stopped. */
export async function launch(
  dir: DataDir,
  spec: ClusterSpec,
  report: (line: string) => void,
  interrupted: Promise<void>,
): Promise<Launcher> {
  const machines = spec.machines.map((machine) => new MachineProcess(machine.name, dir));
  const balancer = await startFront(dir, spec);
  for (const machine of machines) {
    machine.onUnexpectedExit = (how) => report(`${machine.name} ended unexpectedly ${how}`);
  }
  let requestStop: () => void = () => {};
  const stopRequested = new Promise<void>((resolve) => (requestStop = resolve));

  const status = (): LauncherStatus => ({
    cluster: spec.name,
    front: `https://127.0.0.1:${spec.frontPort}`,
    kubeconfig: dir.kubeconfigPath,
    pid: process.pid,
    machines: machines.map(({ name, state, pid, failure }) => ({
      name,
      role: machineNamed(spec, name).role,
      state,
      ...(pid !== undefined && state !== 'exited' && { pid }),
      ...(failure !== undefined && { failure }),
    })),
    backends: balancer.backends,
  });

  let control: ControlServer | undefined;
  const stop = async () => {
    await Promise.all(machines.map((machine) => machine.stop()));
    await balancer.close();
    await control?.close();
    // All who had a socket in it have ended.
    rmSync(dir.runDir(), { recursive: true, force: true });
  };
  try {
    control = new ControlServer(
      dir.socketPath('launcher'),
      controlHandlers(spec, machines, status, requestStop),
    );
    await control.start();
    writeFileSync(`${dir.path}/launcher.pid`, `${process.pid}\n`, { mode: 0o600 });
    const starting = Promise.all(machines.map((machine) => machine.start()));
    // Machines that are stopped while they start say so; nobody waits for them any more.
    starting.catch(() => {});
    await Promise.race([starting, interrupted, stopRequested]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { status, stopRequested, stop };
}

export function controlHandlers(
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
