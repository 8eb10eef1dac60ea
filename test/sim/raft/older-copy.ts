/**
 * A member's folder is replaced by a copy that was made of it before. It has forgotten votes and acknowledgements, which no group
 * survives in general; so it waits for a moment at which that costs nothing: the others are all of one term, follow its leader,
 * and have all that this member has ever confirmed. It must then catch up, or say that its data are an older copy and end.
 */
import type { SimDisk, SimDiskImage } from 'raft-consensus';
import type { Strike } from './nemesis.js';
import type { Stage } from './staged-faults.js';
import type { Member } from './store-group.js';

export class OlderCopy implements Stage {
  readonly #strike: Strike;
  readonly #member: Member;
  readonly #disk: SimDisk;
  readonly #image: SimDiskImage;
  readonly #notBeforeMs: number;
  readonly #deadlineMs: number;

  constructor(strike: Strike, member: Member, disk: SimDisk) {
    const { group, random } = strike;
    this.#strike = strike;
    this.#member = member;
    this.#disk = disk;
    this.#image = disk.image();
    const { tickMs } = group.swarm.raft;
    this.#notBeforeMs = group.nowMs + (5 + 60 * random.next()) * tickMs!;
    this.#deadlineMs = this.#notBeforeMs + 200 * tickMs!;
  }

  look(): boolean {
    const { group, random, after, note } = this.#strike;
    const member = this.#member;
    if (group.nowMs < this.#notBeforeMs) return true;
    if (group.nowMs > this.#deadlineMs || member.isLost || group.atlas.isDamaged(member)) return false;
    if (!group.atlas.mayDamage(member) || !this.#costsNothing()) return true;
    note({ member: member.name });
    group.atlas.damage(member);
    group.kill(member);
    this.#disk.restore(this.#image);
    member.durability.forget();
    after(random.next() * 5 * group.swarm.raft.tickMs!, () => group.start(member));
    return false;
  }

  #costsNothing(): boolean {
    const { members } = this.#strike.group;
    const cores = members.flatMap(({ isUp, parts }) => (isUp && parts ? [parts.raft.core] : []));
    const own = this.#member.parts?.raft.core;
    const leader = cores.find(({ role }) => role === 'leader');
    if (!own || !leader || leader === own) return false;
    // Whoever is down, loading or lost might be the one that does not know.
    if (members.some(({ parts, starts, isLost }) => starts > 0 && (isLost || !parts))) return false;
    return cores.every(
      ({ term, leaderId, log, commit, configuration }) =>
        term === leader.term &&
        leaderId === leader.id &&
        configuration.index === leader.configuration.index &&
        commit >= own.log.lastIndex &&
        log.stableIndex >= own.log.lastIndex,
    );
  }
}
