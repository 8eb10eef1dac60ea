/**
 * What a front knows of its cluster: ids of members as etcd's clients see them, and who leads in which term, which it asks its
 * own member for again and again. Response headers are made here.
 */
import { createHash } from 'node:crypto';
import { type Revision, revision } from 'raft-consensus';
import type { Clock, Timer } from '../../../transport/index.js';
import type { StoreClient, StoreMemberInfo, StoreStatus } from '../client.js';
import type { ResponseHeader } from './kv-messages.js';
import type { EtcdLimits } from './limits.js';
import type { Call } from './method.js';

export interface EtcdMember {
  readonly id: number;
  /** In the group. */
  readonly name: string;
  /** What etcd's clients call it; empty until it has started. */
  readonly title: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

export interface ClusterViewOptions {
  /** The member beside this front. */
  readonly name: string;
  readonly clusterId: string;
  /** Of that member only. */
  readonly local: StoreClient;
  readonly clock: Clock;
  readonly limits: EtcdLimits;
}

export class ClusterView {
  readonly options: ClusterViewOptions;
  readonly clusterId: number;
  readonly memberId: number;
  #term = 0;
  #leader: string | null = null;
  #members: readonly EtcdMember[] = [];
  /** Monotonic; when a leader was last known. */
  #ledAtMs: number;
  /** The latest revision that any answer named. */
  #revision = revision(1);
  #timer: Timer | undefined;
  #isClosed = false;
  #leaderChanges = 0;
  #running: Promise<StoreStatus> | undefined;
  #next: Promise<StoreStatus> | undefined;

  /** Resolves when the member has answered for the first time, or has not in time. */
  readonly asked: Promise<void>;

  constructor(options: ClusterViewOptions) {
    this.options = options;
    this.clusterId = etcdId(options.clusterId, '');
    this.memberId = this.idOf(options.name);
    this.#ledAtMs = options.clock.monotonicMs();
    this.asked = this.#poll();
  }

  idOf(member: string): number {
    return etcdId(this.options.clusterId, member);
  }

  /** Among those that the member beside this front last knew. */
  named(id: number): EtcdMember | undefined {
    return this.#members.find((member) => member.id === id);
  }

  async ask(call: Call, serializable = false): Promise<readonly EtcdMember[]> {
    const { client } = await call.stores();
    return this.seen(await client.members({ serializable, timeoutMs: call.timeoutMs() }));
  }

  /** The members are these, as somebody just learned. */
  seen(members: readonly StoreMemberInfo[]): readonly EtcdMember[] {
    this.#members = members.map((member) => this.#etcdMember(member));
    return this.#members;
  }

  #etcdMember({ name, title, voter, isToVote, url, publicKey, clientUrls }: StoreMemberInfo): EtcdMember {
    const hasStarted = publicKey !== undefined || url === undefined;
    return {
      id: this.idOf(name),
      name,
      title: hasStarted ? (title ?? name) : '',
      // It is ZeroMQ that listens there, but etcd's clients know no such scheme.
      peerUrls: url === undefined ? [] : [url.replace(/^tcp:/, 'http:')],
      clientUrls: clientUrls ?? [],
      // One that votes as soon as it can is what its operator wanted it to be.
      isLearner: !voter && isToVote !== true,
    };
  }

  get leader(): string | null {
    return this.#leader;
  }

  get leaderChanges(): number {
    return this.#leaderChanges;
  }

  leaderlessForMs(): number {
    return this.#leader === null ? this.options.clock.monotonicMs() - this.#ledAtMs : 0;
  }

  /** Without a revision: of the latest that this front has seen. */
  header(at?: Revision): ResponseHeader {
    if (at !== undefined && at > this.#revision) this.#revision = at;
    return {
      clusterId: this.clusterId,
      memberId: this.memberId,
      revision: at ?? this.#revision,
      raftTerm: this.#term,
    };
  }

  /** Asked after this call began; many callers share one question. */
  status(): Promise<StoreStatus> {
    if (!this.#running) return this.#begin();
    // The question on its way may be answered with what was before this caller asked.
    this.#next ??= this.#running.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #begin(): Promise<StoreStatus> {
    this.#next = undefined;
    const asked = this.#ask();
    this.#running = asked;
    return asked;
  }

  async #ask(): Promise<StoreStatus> {
    try {
      const status = await this.options.local.status({ timeoutMs: this.options.limits.requestTimeoutMs });
      this.#note(status);
      return status;
    } finally {
      // Before whoever waits goes on: the next one in line begins a question of its own.
      this.#running = undefined;
    }
  }

  #note({ leader, term, revision: at, members }: StoreStatus): void {
    this.seen(members);
    if (leader !== null) this.#ledAtMs = this.options.clock.monotonicMs();
    if (leader !== null && leader !== this.#leader) this.#leaderChanges += 1;
    this.#leader = leader;
    this.#term = term;
    if (at > this.#revision) this.#revision = at;
  }

  async #poll(): Promise<void> {
    const { local, limits, clock } = this.options;
    try {
      this.#note(await local.status({ timeoutMs: limits.leaderlessMaxMs }));
    } catch {
      // A member that does not answer knows of no leader.
      this.#leader = null;
    }
    if (!this.#isClosed) this.#timer = clock.setTimer(limits.statusIntervalMs, () => void this.#poll());
  }
}

/** 52 bits, so that it is a number here and looks like one of etcd's ids there; never 0. */
function etcdId(cluster: string, member: string): number {
  const digest = createHash('sha256').update(`${cluster}/${member}`).digest();
  return digest.readUIntBE(0, 6) * 16 + (digest.readUInt8(6) >> 4) || 1;
}
