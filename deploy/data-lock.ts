/**
 * One process at a time on a data directory: whoever runs its members, or changes its files while none runs, holds `lock` in
 * it. The file says who; one that a dead process left is taken over.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { DataDir } from './data-dir.js';
import { isAlive, startOf } from './process-table.js';

interface Holder {
  readonly pid: number;
  /** Of the process, in ticks since the machine started; absent where that cannot be known. */
  readonly startedAt?: string;
  readonly host: string;
}

export interface DataLock {
  release(): void;
}

/** Throws when somebody else holds it, and says who. */
export function lockDataDir(dir: DataDir): DataLock {
  dir.create();
  const path = join(dir.path, 'lock');
  const own = `${path}.${process.pid}`;
  const me = holderOf(process.pid);
  writeFileSync(own, `${JSON.stringify(me)}\n`, { mode: 0o600 });
  try {
    for (;;) {
      try {
        // A link is there whole or not at all, and never replaces another.
        linkSync(own, path);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = read(path);
      if (holder !== undefined) refuseLiving(dir, path, holder);
      takeAway(path, `${own}.old`, holder);
    }
  } finally {
    rmSync(own, { force: true });
  }
  const release = () => {
    process.off('exit', release);
    if (read(path)?.pid === process.pid) rmSync(path, { force: true });
  };
  process.on('exit', release);
  return { release };
}

/** As `lockDataDir`, for whoever only reads: nothing is held, and nothing is written. */
export function refuseInUse(dir: DataDir): void {
  const path = join(dir.path, 'lock');
  const holder = read(path);
  if (holder !== undefined) refuseLiving(dir, path, holder);
}

/** Another start may have come first: what was taken away must be what was looked at. */
function takeAway(path: string, aside: string, seen: Holder | undefined): void {
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (JSON.stringify(read(aside)) !== JSON.stringify(seen)) linkSync(aside, path);
  rmSync(aside, { force: true });
}

function refuseLiving(dir: DataDir, path: string, holder: Holder): void {
  if (holder.host !== hostname()) {
    throw new Error(
      `the data in ${dir.path} is used by process ${holder.pid} on ${holder.host}: stop it first; ` +
        `if that machine is gone for certain, remove ${path}`,
    );
  }
  const living = holderOf(holder.pid);
  if (!isAlive(holder.pid) || living.startedAt !== holder.startedAt) return;
  if (holder.pid === process.pid) return;
  throw new Error(`the data in ${dir.path} is in use by process ${holder.pid}: stop it first`);
}

function holderOf(pid: number): Holder {
  const startedAt = startOf(pid);
  return { pid, host: hostname(), ...(startedAt !== undefined && { startedAt }) };
}

/** Undefined: gone, or damaged by a crash of the machine. */
function read(path: string): Holder | undefined {
  try {
    const holder = JSON.parse(readFileSync(path, 'utf8')) as Holder;
    return typeof holder.pid === 'number' && typeof holder.host === 'string' ? holder : undefined;
  } catch {
    return undefined;
  }
}
