/** What this machine says of a process that is not ours (Linux: /proc, which also tells a process from a later one with its pid). */
import { readFileSync } from 'node:fs';

export function isAlive(pid: number): boolean {
  // One that has ended stays in the table until its parent asks for it, which may be long after.
  if (/^[ZX]$/.test(statOf(pid)?.[0] ?? '')) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** When it started, in ticks since the machine did: field 22 of /proc/PID/stat. Undefined: gone, or not to be known. */
export function startOf(pid: number): string | undefined {
  return statOf(pid)?.[19];
}

/** From field 3 on; the name in field 2 may hold spaces. Undefined: it is gone, or this is not Linux. */
function statOf(pid: number): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
