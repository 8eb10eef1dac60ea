/** `kabuki down` and `kabuki status`. */
import { Command } from 'commander';
import type { DataDir } from '../data-dir.js';
import { storeUrl } from '../external-store.js';
import type { LauncherStatus } from '../launcher.js';
import { endLeftMachine } from '../left-machine.js';
import type { MachineStatusReport } from '../machine-control.js';
import { isAlive } from '../process-table.js';
import { control, dataDirOption, isUnreachable, openDataDir } from './options.js';
import { waitFor } from '../wait.js';

export function downCommand(): Command {
  return new Command('down')
    .description('stop the cluster; its data stays')
    .addOption(dataDirOption())
    .action(async (options: { dataDir: string }) => {
      const dir = openDataDir(options);
      let pid: number;
      try {
        ({ pid } = await control<LauncherStatus>(dir, 'launcher', 'status'));
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        const left = await endAllLeft(dir);
        if (left.length === 0) throw error;
        console.log(`the launcher was gone already; ended what it had left: ${left.join(', ')}`);
        return;
      }
      await control(dir, 'launcher', 'stop');
      await waitFor(`the launcher (process ${pid}) to end`, 30_000, async () => !isAlive(pid));
      const command = dir.readSpec().store ? 'kabuki store run' : 'kabuki up';
      console.log(`stopped; "${command} --data-dir ${dir.path}" starts it again with its data`);
    });
}

async function endAllLeft(dir: DataDir): Promise<string[]> {
  const left = await Promise.all(
    dir.readSpec().machines.map(async ({ name }) => ((await endLeftMachine(dir, name)) ? [name] : [])),
  );
  return left.flat();
}

export function statusCommand(): Command {
  return new Command('status')
    .description('machines, leaders and store of the cluster')
    .addOption(dataDirOption())
    .option('--json', 'as JSON')
    .action(async (options: { dataDir: string; json?: boolean }) => {
      const dir = openDataDir(options);
      const status = await control<LauncherStatus>(dir, 'launcher', 'status');
      const machines = await Promise.all(
        status.machines.map(async (machine) => ({
          ...machine,
          ...(machine.state === 'running' && { components: await machineStatus(dir, machine.name) }),
        })),
      );
      const store = storeText(dir);
      if (options.json) console.log(JSON.stringify({ ...status, store, machines }, null, 2));
      else printStatus(status, store, machines);
    });
}

async function machineStatus(
  dir: ReturnType<typeof openDataDir>,
  name: string,
): Promise<MachineStatusReport | undefined> {
  try {
    return await control<MachineStatusReport>(dir, name, 'status');
  } catch (error) {
    console.error(`${name}: ${(error as Error).message}`);
    return undefined;
  }
}

/** Where the objects are. */
function storeText(dir: DataDir): string {
  const { externalStore } = dir.readSpec();
  return externalStore ? storeUrl(externalStore) : 'built in';
}

function printStatus(
  status: LauncherStatus,
  store: string,
  machines: readonly (LauncherStatus['machines'][number] & {
    components?: MachineStatusReport | undefined;
  })[],
): void {
  const kubeconfig = status.kubeconfig === '' ? '' : `  kubeconfig ${status.kubeconfig}`;
  console.log(`cluster ${status.cluster}  ${status.front}${kubeconfig}  store ${store}`);
  const rows = machines.map(({ name, state, pid, components }) => [
    name,
    state,
    pid === undefined ? '' : String(pid),
    components ? `${components.memoryMiB} MiB` : '',
    storeCell(components),
    components?.leads.join(', ') ?? '',
    components?.faults.join(', ') ?? '',
  ]);
  console.log(table(['MACHINE', 'STATE', 'PID', 'MEMORY', 'STORE', 'LEADS', 'FAULTS'], rows));
  for (const { name, failure } of machines) if (failure !== undefined) console.log(`${name}: ${failure}`);
}

function storeCell(components: MachineStatusReport | undefined): string {
  const { store, externalStore: external } = components ?? {};
  if (store) return `${store.role} term ${store.term} rev ${store.revision}`;
  if (!external) return '';
  if ('error' in external) return external.error;
  return `${external.member} ${external.leader === null ? 'has no leader' : `rev ${external.revision}`}`;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('   ')
      .trimEnd();
  return [head, ...rows].map(line).join('\n');
}
