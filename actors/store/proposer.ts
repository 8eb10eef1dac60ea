/** How a member's commands get into the log: stamped with the group's time, and within the quota. */
import {
  type Alarm,
  type Applied,
  type Command,
  type CommandResult,
  encodeCommand,
  hasPut,
  type KvStore,
  noSpace,
  type Raft,
  RaftError,
  type WithRevision,
} from 'raft-consensus';
import type { ActorContext } from '../runtime/index.js';
import type { GroupClock } from './group-clock.js';
import type { Unstamped } from './lease-watch.js';
import type { StoreLimits } from './limits.js';
import type { StoreMessage } from './messages.js';
import type { Measures } from './measures.js';
import { unwrap } from './outcome.js';

export interface ProposerParts {
  readonly name: string;
  readonly raft: Raft<Applied | null>;
  readonly store: KvStore;
  readonly groupClock: GroupClock;
  readonly limits: StoreLimits;
  readonly ctx: ActorContext<StoreMessage>;
  readonly measures: Measures;
}

export class Proposer {
  readonly #name: string;
  readonly #raft: Raft<Applied | null>;
  readonly #store: KvStore;
  readonly #groupClock: GroupClock;
  readonly #limits: StoreLimits;
  readonly #ctx: ActorContext<StoreMessage>;
  readonly #measures: Measures;

  constructor({ name, raft, store, groupClock, limits, ctx, measures }: ProposerParts) {
    this.#measures = measures;
    this.#name = name;
    this.#raft = raft;
    this.#store = store;
    this.#groupClock = groupClock;
    this.#limits = limits;
    this.#ctx = ctx;
  }

  /** Resolves when the command is applied here; rejects with what the store or Raft says against it. */
  async propose(command: Unstamped): Promise<WithRevision<CommandResult>> {
    const stamped = { ...command, atMs: this.#groupClock.nowMs() } as Command;
    const bytes = encodeCommand(stamped);
    if (isGrowing(command)) await this.#checkRoom(bytes.length);
    const outcome = await this.#apply(bytes);
    if (outcome === null) throw new TypeError(`the command ${command.type} gave no outcome`);
    return unwrap(outcome);
  }

  async #apply(bytes: Uint8Array): Promise<Applied | null> {
    try {
      return await this.#raft.apply(bytes, this.#limits.requestTimeoutMs);
    } catch (error) {
      this.#measures.proposalsFailed += 1;
      throw error;
    }
  }

  async inBackground(command: Unstamped): Promise<void> {
    try {
      await this.propose(command);
    } catch (error) {
      // Level-triggered: the next tick sees what is still due.
      this.#ctx.note('store background command failed', { command: command.type, error: String(error) });
    }
  }

  async #checkRoom(bytes: number): Promise<void> {
    const store = this.#store;
    const { quotaBytes, memoryQuotaBytes } = this.#limits;
    const hasRoom =
      store.footprintBytes + bytes <= quotaBytes && store.memoryBytes + bytes <= memoryQuotaBytes;
    if (store.isOutOfSpace || !hasRoom) await this.#refuseAsFull();
    if (!store.isBehindItsDisk) return;
    const why = 'the disk does not take values as fast as they are written';
    throw new RaftError('Dropped', why, { definite: true, leader: this.#raft.leader() });
  }

  /** The first write that the quota has no room for raises the alarm that refuses all others. */
  async #refuseAsFull(): Promise<void> {
    if (!this.#raft.isLeader()) return;
    if (!this.#store.isOutOfSpace) await this.raise({ type: 'NoSpace', member: this.#name });
    throw noSpace();
  }

  async raise(alarm: Alarm): Promise<void> {
    const isRaised = this.#store
      .alarms()
      .some(({ type, member }) => type === alarm.type && member === alarm.member);
    if (!isRaised) await this.inBackground({ type: 'alarm', action: 'raise', alarm });
  }
}

function isGrowing(command: Unstamped): boolean {
  return command.type === 'lease-grant' || (command.type === 'txn' && hasPut(command.txn));
}
