/**
 * Edge: what the process runtime needs of the operating system: signals to whole process groups, and
 * knowing for sure that a process is one of ours before it is ended. A pid alone proves nothing, since pids
 * are used again: a process is ours if it still has the start time that we wrote down, or carries our
 * container id in its environment (Linux /proc).
 */
import { readdirSync, readFileSync } from 'node:fs';

/** Set in the environment of every container and of what is run by exec in it. */
export const containerIdVariable = 'KABUKI_CONTAINER_ID';

/**
 * Start time in clock ticks since boot, with the boot's id; undefined if there is no such process, or no
 * /proc.
 */
export function startMark(pid: number): string | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  const boot = readProc('/proc/sys/kernel/random/boot_id');
  if (stat === undefined || boot === undefined) return undefined;
  // The second field, the command in parentheses, may itself hold anything; field 22 is the start time.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return `${boot.trim()}/${fields[19]}`;
}

/** Sends a signal to a group. False if it has no members any more. */
export function signalGroup(groupId: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-groupId, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** SIGKILL to single processes that were found by `findByContainerId`. */
export function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Processes whose environment carries one of the container ids, whatever became of their group and parent.
 */
export function findByContainerId(ids: ReadonlySet<string>): number[] {
  const prefix = `${containerIdVariable}=`;
  const found: number[] = [];
  for (const name of listProc()) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const environment = readProc(`/proc/${pid}/environ`);
    const entry = environment?.split('\0').find((variable) => variable.startsWith(prefix));
    if (entry !== undefined && ids.has(entry.slice(prefix.length))) found.push(pid);
  }
  return found;
}

function listProc(): string[] {
  try {
    return readdirSync('/proc');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Undefined for a process that has gone, or that belongs to somebody else. */
function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
