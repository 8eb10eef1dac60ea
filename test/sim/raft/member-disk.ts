/** What is wrong with one member's disk for a while: it fails, is full, or stands still. Rot and loss are done to the bytes. */
import { type DiskOperation, StorageError } from 'raft-consensus';

const injected = 'the simulator broke this disk';

export class MemberDisk {
  failsNextSync = false;
  failsReadsUntilMs = 0;
  fullUntilMs = 0;
  /** Its fsyncs take until then. */
  stalledUntilMs = 0;
  /** Its reads take so long on average, until then. */
  slowReads = { untilMs: 0, meanMs: 0 };
  /** Its fsyncs take so much longer on average, until then. */
  slowSyncs = { untilMs: 0, meanMs: 0 };
  /** A read is under way that cannot wait. */
  isBlocking = false;
  /** Since the member was last started. */
  hasFailed = false;

  failure(operation: DiskOperation, file: string, nowMs: number): Error | undefined {
    const failure = this.#failure(operation, file, nowMs);
    if (failure) this.hasFailed = true;
    return failure;
  }

  #failure(operation: DiskOperation, file: string, nowMs: number): Error | undefined {
    if (operation === 'sync' && this.failsNextSync) {
      this.failsNextSync = false;
      return new Error(`${injected}: EIO`);
    }
    if (operation === 'read' && nowMs < this.failsReadsUntilMs) return new Error(`${injected}: EIO`);
    const needsRoom = operation === 'write' || (operation === 'open' && file.endsWith('.tmp'));
    if (needsRoom && nowMs < this.fullUntilMs) return new Error(`${injected}: ENOSPC`);
    return undefined;
  }

  /** The machine is off: what its kernel held back is gone; what ails the disk is not. */
  restarted(): void {
    this.failsNextSync = false;
    this.stalledUntilMs = 0;
    this.hasFailed = false;
  }

  heal(): void {
    this.restarted();
    this.failsReadsUntilMs = 0;
    this.fullUntilMs = 0;
    this.slowReads.untilMs = 0;
    this.slowSyncs.untilMs = 0;
  }
}

/** Wraps may be deep; an injected failure is at the bottom. */
export function isDiskFailure(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (at.message.includes(injected)) return true;
    if (at instanceof StorageError && at.code === 'DiskFailed') return true;
  }
  return false;
}
