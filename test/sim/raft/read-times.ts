/** How long reads of members' disks take: seldom at once on some seeds, and long while a fault says so. From a stream of its own. */
import { seededRandom } from '../../../actors/runtime/index.js';
import type { Random } from '../../../transport/index.js';
import { exponential } from './exponential.js';
import type { MemberDisk } from './member-disk.js';
import type { Swarm } from './swarm.js';

/** Most of what cannot wait comes from the kernel's memory, the rest from the platter. */
const blockingShare = 0.05;

export class ReadTimes {
  readonly #usualMeanMs: number;
  readonly #random: Random;
  slow = 0;
  blocking = 0;

  constructor({ seed, disk }: Swarm) {
    this.#usualMeanMs = disk.readMeanMs;
    this.#random = seededRandom(seed, 'reads');
  }

  ms({ slowReads }: MemberDisk, nowMs: number): number {
    const meanMs = nowMs < slowReads.untilMs ? slowReads.meanMs : this.#usualMeanMs;
    if (meanMs === 0) return 0;
    this.slow++;
    return exponential(this.#random, meanMs);
  }

  /** Of a read for which everything else waits. */
  blockingMs(disk: MemberDisk, nowMs: number): number {
    const ms = this.#random.next() < blockingShare ? this.ms(disk, nowMs) : 0;
    if (ms > 0) this.blocking++;
    return ms;
  }
}
