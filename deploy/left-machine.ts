/**
 * What a launcher that was killed left behind. Machines end by themselves when their launcher is gone, but a paused one
 * cannot, and others take a moment: both would keep ports and files from the next start. Each machine's process is written
 * down, and found again by its pid and its command line, because pids are used again (Linux /proc; elsewhere nothing is found).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { endLeftoverContainers } from '../actors/kubelet/index.js';
import type { DataDir } from './data-dir.js';
import { waitFor } from './wait.js';

const endsByItselfMs = 2_000;
const endTimeoutMs = 10_000;

export function rememberMachine(dir: DataDir, name: string, pid: number): void {
  writeFileSync(pidPath(dir, name), `${pid}\n`, { mode: 0o600 });
}

/** Ends the process of an earlier launcher, if there is one, and its containers. Resolves with whether there was one. */
export async function endLeftMachine(dir: DataDir, name: string): Promise<boolean> {
  const pid = leftMachine(dir, name);
  if (pid === undefined) return false;
  const gone = async () => leftMachine(dir, name) === undefined;
  try {
    await waitFor(`${name} of an earlier start (process ${pid}) to end`, endsByItselfMs, gone);
  } catch {
    // The store is made for it: what was acknowledged is on disk.
    if (leftMachine(dir, name) === pid) process.kill(pid, 'SIGKILL');
    await waitFor(`${name} of an earlier start (process ${pid}) to end`, endTimeoutMs, gone);
  }
  endLeftoverContainers(dir.machineDir(name));
  return true;
}

function leftMachine(dir: DataDir, name: string): number | undefined {
  const pid = Number(read(pidPath(dir, name)) ?? '');
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const words = read(`/proc/${pid}/cmdline`)?.split('\0') ?? [];
  const at = words.findIndex((word) => word.endsWith('/machine-main.js'));
  return at !== -1 && words[at + 1] === dir.path && words[at + 2] === name ? pid : undefined;
}

function pidPath(dir: DataDir, name: string): string {
  return `${dir.machineDir(name)}/pid`;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // Never started, or gone.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
