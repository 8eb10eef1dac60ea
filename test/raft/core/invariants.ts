/**
 * The five properties of figure 3 of the Raft paper, checked after every step of a group, and two more
 * that clients rely on: what was acknowledged stays, and a read sees everything that was acknowledged
 * before it was asked.
 */
import { strict as assert } from 'node:assert';
import type { Cluster, Node } from './cluster.js';
import {
  decodeConfiguration,
  type Configuration,
  type LogIndex,
  type MemberId,
  type Term,
} from 'raft-consensus';

export class Invariants {
  readonly #cluster: Cluster;
  readonly #leaders = new Map<Term, MemberId>();
  /** Of each leadership: how far its log had come. */
  readonly #leaderLast = new Map<Term, number>();
  /** The one true sequence of applied entries, as `index:term:data`. */
  readonly #truth: string[] = [];
  /** Of committed entries: their term, and the earliest one in which they are known to be committed. */
  readonly #committed = new Map<number, { readonly term: Term; readonly inTerm: Term }>();
  readonly #seen = new Map<MemberId, { term: Term; commit: LogIndex; core: unknown }>();
  /** What the members were, in order. */
  readonly #configurations: Configuration[];
  readonly #reads = new Map<string, number>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#configurations = [cluster.configuration];
  }

  /** How many entries some state machine has applied: all of these count as acknowledged. */
  get applied(): number {
    return this.#truth.length;
  }

  check(): void {
    for (const node of this.#cluster.running) {
      this.#monotonic(node);
      this.#stateMachineSafety(node);
      this.#commits(node);
    }
    for (const node of this.#cluster.running) {
      if (node.core.role === 'leader') this.#leadership(node);
    }
    this.#logMatching();
    this.#durability();
  }

  asked(node: Node, context: number): void {
    this.#reads.set(`${node.id} ${context}`, this.applied);
  }

  /** Every read that was answered must reach what had been applied anywhere when it was asked. */
  checkReads(): void {
    for (const node of this.#cluster.nodes.values()) {
      for (const { context, index } of node.answered.splice(0)) {
        const atLeast = this.#reads.get(`${node.id} ${context}`);
        assert(
          atLeast !== undefined && index >= atLeast,
          `stale read: ${index}, after ${atLeast} was acknowledged`,
        );
      }
      node.dropped.length = 0;
    }
  }

  /** Election safety, leader append-only, leader completeness. */
  #leadership({ id, core }: Node): void {
    const { term, log } = core;
    const known = this.#leaders.get(term);
    assert(known === undefined || known === id, `election safety: ${known} and ${id} both lead term ${term}`);
    const isNew = known === undefined;
    this.#leaders.set(term, id);
    assert(log.lastIndex >= (this.#leaderLast.get(term) ?? 0), `leader append-only: ${id} cut its log`);
    this.#leaderLast.set(term, log.lastIndex);
    if (!isNew) return;
    for (const [index, { term: committed, inTerm }] of this.#committed) {
      if (index < log.firstIndex - 1 || inTerm >= term) continue;
      assert.equal(
        log.term(index),
        committed,
        `leader completeness: ${id} of term ${term} lacks entry ${index}`,
      );
    }
  }

  /** Log matching: an entry with the same index and term has the same past. */
  #logMatching(): void {
    const nodes = this.#cluster.running;
    for (let i = 0; i < nodes.length; i++) {
      for (let j = i + 1; j < nodes.length; j++) {
        const [a, b] = [nodes[i]!.core.log, nodes[j]!.core.log];
        let index = Math.min(a.lastIndex, b.lastIndex);
        const from = Math.max(a.firstIndex, b.firstIndex);
        while (index >= from && a.term(index) !== b.term(index)) index--;
        for (; index >= from; index--) {
          assert.equal(
            a.term(index),
            b.term(index),
            `log matching at ${index}: ${nodes[i]!.id}, ${nodes[j]!.id}`,
          );
          const same = Buffer.compare(a.at(index)!.data, b.at(index)!.data) === 0;
          assert(same, `log matching at ${index}: other data`);
        }
      }
    }
  }

  #stateMachineSafety({ id, applied, core }: Node): void {
    for (let i = Math.max(0, Math.min(applied.length, this.#truth.length) - 8); i < applied.length; i++) {
      if (i < this.#truth.length) {
        assert.equal(
          applied[i],
          this.#truth[i],
          `state machine safety: ${id} applied another entry at ${i + 1}`,
        );
      } else {
        this.#truth.push(applied[i]!);
        const entry = core.log.at(i + 1);
        if (entry?.type !== 'config') continue;
        this.#configurations.push({ ...decodeConfiguration(entry.data)!, index: entry.index });
      }
    }
  }

  #commits({ id, core }: Node): void {
    const { commit, log } = core;
    for (let index = commit as number; index >= log.firstIndex; index--) {
      const known = this.#committed.get(index)?.term;
      const term = log.term(index)!;
      if (known === undefined) this.#committed.set(index, { term, inTerm: core.term });
      else assert.equal(term, known, `${id} commits another entry at ${index}`);
      if (known !== undefined && index < commit - 8) return;
    }
  }

  #monotonic({ id, core }: Node): void {
    const before = this.#seen.get(id);
    if (before !== undefined) {
      assert(core.term >= before.term, `${id} went back in terms`);
      if (before.core === core) assert(core.commit >= before.commit, `${id} took a commit back`);
    }
    // A restart may forget the last term it never acted on, but not one it voted or acknowledged in:
    // others check that.
    if (before === undefined || before.core === core) {
      this.#seen.set(id, { term: core.term, commit: core.commit, core });
    }
  }

  forget(node: Node): void {
    this.#seen.delete(node.id);
  }

  /** Whatever was applied anywhere is on the disks of a majority, under a snapshot or as an entry. */
  #durability(): void {
    for (let index = Math.max(1, this.#truth.length - 2); index <= this.#truth.length; index++) {
      const term = Number(this.#truth[index - 1]!.split(':')[1]);
      const holds = (id: MemberId): boolean => {
        const node = this.#cluster.nodes.get(id)!;
        if ((node.snapshot?.meta.index ?? 0) >= index) return true;
        return node.entries[index - (node.entries[0]?.index ?? 0)]?.term === term;
      };
      const hasMajority = (voters: readonly MemberId[]): boolean =>
        voters.filter(holds).length > voters.length / 2;
      // Who commits has applied all changes before the entry but the last one, and perhaps that.
      const earlier = this.#configurations.filter(({ index: at = 0 }) => at < index).slice(-2);
      const isDurable = earlier.some(
        ({ voters, votersOutgoing = voters }) => hasMajority(voters) && hasMajority(votersOutgoing),
      );
      assert(isDurable, `entry ${index} was applied, and is on the disks of no majority`);
    }
  }
}
