/** What the kernel knows about processes and the disk: CPU time, resident memory, the latency of an fdatasync. */
import { fdatasyncSync, openSync, closeSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { median } from './table.js';

/** `CLK_TCK` is 100 on every Linux that Node runs on. */
const tickMs = 10;

/** User and system time of the process and all its threads, ms; 0 when it is gone. */
export function cpuMs(pid: number): number {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return 0;
  }
  // The name, in parentheses, may hold anything: fields count from behind it (proc(5): utime 14, stime 15).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}

export function cpuMsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
}

/** What the processes caused to be written to the disk, all together (proc(5), io: write_bytes). */
export function bytesWrittenBy(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const match = /^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'));
    return sum + Number(match?.[1]);
  }, 0);
}

export interface Memory {
  readonly rssMiB: number;
  /** Shared pages counted by share: what the processes cost the machine together. */
  readonly pssMiB: number;
}

export function memoryOf(pids: readonly number[]): Memory {
  let rss = 0;
  let pss = 0;
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    rss += kibibytes(text, 'Rss');
    pss += kibibytes(text, 'Pss');
  }
  return { rssMiB: rss / 1024, pssMiB: pss / 1024 };
}

function kibibytes(text: string, field: string): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text);
  if (!match) throw new Error(`smaps_rollup has no field ${field}`);
  return Number(match[1]);
}

/** Median time of an fdatasync after a small append in this folder, ms: what every write waits for at least. */
export function syncLatencyMs(folder: string, rounds = 200): number {
  const path = join(folder, 'sync-latency');
  const fd = openSync(path, 'w');
  const block = Buffer.alloc(512, 7);
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    writeSync(fd, block);
    const begun = performance.now();
    fdatasyncSync(fd);
    times.push(performance.now() - begun);
  }
  closeSync(fd);
  rmSync(path);
  return median(times);
}
