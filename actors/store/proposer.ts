/**
 * How a member's commands get into the log: stamped with the group's time, and within the quota. Transactions that come in
 * one turn share an entry, which costs every member less than one each.
 */
import {
  type Alarm,
  type Applied,
  type CommandResult,
  encodeBatch,
  encodeCommand,
  hasPut,
  type KvStore,
  noSpace,
  type Raft,
  RaftError,
  type SingleCommand,
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

interface Gathered {
  readonly bytes: Uint8Array;
  resolve(outcome: Applied | null): void;
  reject(error: unknown): void;
}

export class Proposer {
  readonly #name: string;
  readonly #raft: Raft<Applied | null>;
  readonly #store: KvStore;
  readonly #groupClock: GroupClock;
  readonly #limits: StoreLimits;
  readonly #ctx: ActorContext<StoreMessage>;
  readonly #measures: Measures;
  #gathered: Gathered[] = [];
  #gatheredBytes = 0;

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
    const stamped = { ...command, atMs: this.#groupClock.nowMs() } as SingleCommand;
    const bytes = encodeCommand(stamped);
    if (isGrowing(command) && !this.#hasRoom(bytes.length)) {
      await this.#refuseForWantOfRoom(bytes.length);
    }
    const isShared = command.type === 'txn' && bytes.length <= this.#limits.sharedCommandBytesMax;
    const outcome = await (isShared ? this.#gather(bytes) : this.#apply(bytes));
    if (outcome === null) throw new TypeError(`the command ${command.type} gave no outcome`);
    return unwrap(outcome);
  }

  /** Rests until all that is at hand has come together. */
  #gather(bytes: Uint8Array): Promise<Applied | null> {
    return new Promise((resolve, reject) => {
      if (this.#gathered.length === 0) void Promise.resolve().then(() => this.#flush());
      this.#gathered.push({ bytes, resolve, reject });
      this.#gatheredBytes += bytes.length;
      if (this.#gatheredBytes >= this.#limits.sharedEntryBytesMax) void this.#flush();
    });
  }

  async #flush(): Promise<void> {
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    const [first] = gathered;
    if (first === undefined) return;
    try {
      if (gathered.length === 1) return first.resolve(await this.#apply(first.bytes));
      const batch = encodeBatch(gathered.map(({ bytes }) => bytes));
      const outcome = await this.#apply(batch, gathered.length);
      const { result } = unwrap(outcome ?? noOutcome());
      if (result.type !== 'batch') throw new TypeError(`a batch gave a result of type ${result.type}`);
      for (const [i, one] of gathered.entries()) one.resolve(result.outcomes[i] ?? null);
    } catch (error) {
      for (const { reject } of gathered) reject(error);
    }
  }

  async #apply(bytes: Uint8Array, commands = 1): Promise<Applied | null> {
    try {
      return await this.#raft.apply(bytes, this.#limits.requestTimeoutMs);
    } catch (error) {
      this.#measures.proposalsFailed += commands;
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

  #hasRoom(bytes: number): boolean {
    return !this.#store.isBehindItsDisk && this.#isWithinQuota(bytes);
  }

  #isWithinQuota(bytes: number): boolean {
    const store = this.#store;
    const { quotaBytes, memoryQuotaBytes } = this.#limits;
    if (store.isOutOfSpace) return false;
    return store.footprintBytes + bytes <= quotaBytes && store.memoryBytes + bytes <= memoryQuotaBytes;
  }

  async #refuseForWantOfRoom(bytes: number): Promise<void> {
    if (!this.#isWithinQuota(bytes)) await this.#refuseAsFull();
    if (!this.#store.isBehindItsDisk) return;
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

function noOutcome(): never {
  throw new TypeError('a batch gave no outcome');
}

function isGrowing(command: Unstamped): boolean {
  return command.type === 'lease-grant' || (command.type === 'txn' && hasPut(command.txn));
}
