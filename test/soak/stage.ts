/** What every step of the soak run is given: the cluster, a client, the memory of its masters, and where to report. */
import { isAlive } from '../../deploy/process-table.js';
import type { ProcessCluster } from '../harness/process-cluster.js';
import { memoryOf } from '../bench/figures.js';
import { Api } from './api.js';

export interface Stage {
  readonly cluster: ProcessCluster;
  /** Of the idle step. */
  readonly minutes: number;
  /** One line of what a step found out. */
  say(line: string): void;
}

/** Resolves with undefined, or with the reason why the step cannot be done here. */
export type Step = (stage: Stage) => Promise<string | undefined>;

/** A client with `connections` to the address in front, closed when `use` ends. */
export async function withApi<T>(
  { cluster }: Stage,
  connections: number,
  use: (api: Api) => Promise<T>,
  port?: number,
): Promise<T> {
  const api = await Api.open(cluster.dir, connections, port);
  try {
    return await use(api);
  } finally {
    api.close();
  }
}

export interface Resident {
  readonly name: string;
  readonly rssMiB: number;
}

/** Resident memory of the machines that run; masters only unless told otherwise. */
export async function residentMemory(cluster: ProcessCluster, ofAll = false): Promise<Resident[]> {
  const machines = await cluster.machines();
  return machines
    .filter(({ role, pid }) => (ofAll || role === 'master') && pid !== undefined && isAlive(pid))
    .map(({ name, pid }) => ({ name, rssMiB: memoryOf([pid as number]).rssMiB }));
}

export function formatMemory(masters: readonly Resident[]): string {
  return masters.map(({ rssMiB }) => rssMiB.toFixed(0)).join('+');
}

/** `kabuki fault start`, also for a machine that ended by itself. */
export async function startMachine(cluster: ProcessCluster, machine: string): Promise<void> {
  await cluster.kabukiOutput('fault', 'start', machine);
}
