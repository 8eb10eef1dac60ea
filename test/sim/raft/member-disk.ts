/** What is wrong with one member's disk for a while: it fails, is full, or stands still. Rot and loss are done to the bytes. */
import type { DiskOperation } from 'raft-consensus';

export const injected = 'the simulator broke this disk';

export class MemberDisk {
  failsNextSync = false;
  failsReadsUntilMs = 0;
  fullUntilMs = 0;
  /** Its fsyncs take until then. */
  stalledUntilMs = 0;
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
  }
}
