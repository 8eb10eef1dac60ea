/**
 * The real key-value state machine without Raft, as a store for tests of what stands on it. Answers in a later turn, as
 * a store does; can be told to fail, and to hold back what its watches should hear.
 */
import {
  type Alarm,
  type Command,
  type CommandResult,
  KvError,
  KvStore,
  leaseId,
  type LeaseId,
  type RangeOp,
  type RangeResult,
  type Revision,
  type TxnOp,
  type TxnResult,
  WatchHub,
  type WatchRequest,
  type WithRevision,
} from 'raft-consensus';
import {
  type HashOfMember,
  type LeaseKeptAlive,
  type LeaseTimeToLive,
  type StoreClient,
  StoreError,
  type StoreStatus,
  type StoreWatch,
  type WatchHandler,
} from '../../../actors/store/index.js';
import type { Clock } from '../../../transport/index.js';

interface OpenWatch {
  readonly handler: WatchHandler;
  pump(): void;
  close(): void;
  requestProgress(): void;
}

type Unstamped = Command extends infer C ? (C extends unknown ? Omit<C, 'atMs' | 'context'> : never) : never;

export class MemoryStore implements StoreClient {
  readonly #clock: Clock;
  readonly #context: () => string | undefined;
  readonly #kv = new KvStore();
  readonly #hub = new WatchHub(this.#kv);
  readonly #watches = new Set<OpenWatch>();
  #index = 0;
  #leases = 0;
  /** Set to make the next calls fail. */
  failure: StoreError | undefined;
  writes = 0;
  /** While true nothing is delivered to watches. */
  held = false;

  constructor(clock: Clock, context: () => string | undefined = () => undefined) {
    this.#clock = clock;
    this.#context = context;
  }

  get revision(): number {
    return this.#kv.revision;
  }

  async txn(
    txn: TxnOp,
    options?: { readonly timeoutMs?: number; readonly context?: string },
  ): Promise<WithRevision<TxnResult>> {
    const context = options?.context ?? this.#context();
    const before = this.#kv.revision;
    const applied = await this.#apply<TxnResult>({ type: 'txn', txn }, context);
    if (applied.revision > before) this.writes += 1;
    return applied;
  }

  members = () => this.#unsupported();
  memberAdd = () => this.#unsupported();
  memberRemove = () => this.#unsupported();
  memberPromote = () => this.#unsupported();
  memberUpdate = () => this.#unsupported();

  #unsupported(): Promise<never> {
    return Promise.reject(new StoreError('Refused', 'a store in memory has no members', true));
  }

  async range(op: RangeOp): Promise<WithRevision<RangeResult>> {
    await this.#turn();
    return refusedOr(this.#kv.range(op));
  }

  async currentRevision(): Promise<Revision> {
    await this.#turn();
    return this.#kv.revision;
  }

  watch(request: WatchRequest, handler: WatchHandler): StoreWatch {
    let due = false;
    const ready = () => {
      if (due) return;
      due = true;
      this.#clock.defer(() => {
        due = false;
        pump();
      });
    };
    const watcher = this.#hub.watch(request, ready);
    const pump = () => {
      while (!this.held && this.#watches.has(open)) {
        const step = watcher.next();
        if (step.type === 'idle') return;
        if (step.type === 'batch') handler.onBatch(step.batch);
        else {
          this.#watches.delete(open);
          handler.onEnd(step);
        }
      }
    };
    const open: OpenWatch = {
      handler,
      pump,
      close: () => {
        this.#watches.delete(open);
        watcher.close();
      },
      requestProgress: () => {
        const batch = watcher.progress();
        if (batch) handler.onBatch(batch);
      },
    };
    this.#watches.add(open);
    ready();
    return open;
  }

  async compact(revision: Revision): Promise<Revision> {
    return (await this.#apply({ type: 'compact', revision }, undefined)).revision;
  }

  async leaseGrant(
    ttlMs: number,
    options?: { readonly id?: LeaseId; readonly timeoutMs?: number },
  ): Promise<LeaseId> {
    this.#leases += 1;
    const id = options?.id ?? leaseId(this.#leases);
    await this.#apply({ type: 'lease-grant', id, ttlMs }, undefined);
    return id;
  }

  async leaseRevoke(id: LeaseId): Promise<Revision> {
    return (await this.#apply({ type: 'lease-revoke', id }, undefined)).revision;
  }

  async leaseKeepAlive(id: LeaseId): Promise<LeaseKeptAlive> {
    const { revision, result } = await this.#apply<Extract<CommandResult, { type: 'lease' }>>(
      { type: 'lease-renew', id },
      undefined,
    );
    return { revision, ttlMs: result.ttlMs };
  }

  async leaseTimeToLive(id: LeaseId, options?: { readonly keys?: boolean }): Promise<LeaseTimeToLive> {
    await this.#turn();
    const { grantedTtlMs, deadlineMs, keys } = refusedOr(this.#kv.leaseStatus(id));
    const ttlMs = Math.max(0, deadlineMs - this.#clock.nowMs());
    return { revision: this.#kv.revision, grantedTtlMs, ttlMs, keys: options?.keys ? keys : [] };
  }

  async leases(): Promise<WithRevision<readonly LeaseId[]>> {
    await this.#turn();
    return { revision: this.#kv.revision, result: this.#kv.leases() };
  }

  async hashKv(at?: Revision): Promise<HashOfMember> {
    await this.#turn();
    const { hash, revision: hashRevision, compactRevision } = refusedOr(this.#kv.hash(at));
    return { hash, hashRevision, compactRevision };
  }

  transfer(to: string): Promise<void> {
    return Promise.reject(new TypeError(`a store in memory has no member ${to}`));
  }

  async alarms(): Promise<readonly Alarm[]> {
    await this.#turn();
    return this.#kv.alarms();
  }

  alarmActivate(alarm: Alarm): Promise<readonly Alarm[]> {
    return this.#alarm('raise', alarm);
  }

  alarmDisarm(alarm: Alarm): Promise<readonly Alarm[]> {
    return this.#alarm('disarm', alarm);
  }

  async #alarm(action: 'raise' | 'disarm', alarm: Alarm): Promise<readonly Alarm[]> {
    const command = { type: 'alarm', action, alarm } as const;
    const { result } = await this.#apply<Extract<CommandResult, { type: 'alarm' }>>(command, undefined);
    return result.changed;
  }

  status(): Promise<StoreStatus> {
    const { revision, compactRevision, appliedIndex } = this.#kv;
    return Promise.resolve({
      member: 'memory',
      role: 'leader',
      leader: 'memory',
      leaderForMs: 1,
      connectedForMs: 1,
      term: 1,
      commitIndex: appliedIndex,
      appliedIndex,
      revision,
      compactRevision,
      isFreeing: false,
      members: [{ name: 'memory', voter: true }],
      dbSizeBytes: this.#kv.sizeBytes,
      dbSizeInUseBytes: this.#kv.sizeBytes,
      quotaBytes: Number.MAX_SAFE_INTEGER,
      alarms: this.#kv.alarms(),
      authEnabled: false,
      errors: [],
    });
  }

  /** Ends every watch as a store does whose history is gone. */
  endWatches(): void {
    for (const { handler, close } of [...this.#watches].map((watch) => ({ ...watch }))) {
      close();
      handler.onEnd({ type: 'compacted', compactRevision: this.#kv.compactRevision });
    }
  }

  /** Brings every watch up to date after `held`. */
  deliver(): void {
    this.#clock.defer(() => {
      for (const watch of this.#watches) watch.pump();
    });
  }

  /** What a leader does now and then: ends leases that have run out. */
  expireLeases(): void {
    for (const id of this.#kv.leaseExpired(this.#clock.nowMs())) {
      this.#index += 1;
      this.#kv.apply({ type: 'lease-revoke', id, reason: 'expired', atMs: this.#clock.nowMs() }, this.#index);
    }
  }

  async #apply<R extends CommandResult>(
    command: Unstamped,
    context: string | undefined,
  ): Promise<WithRevision<R>> {
    await this.#turn();
    this.#index += 1;
    const stamped = { ...command, atMs: this.#clock.nowMs(), ...(context !== undefined && { context }) };
    return refusedOr(this.#kv.apply(stamped as Command, this.#index)) as WithRevision<R>;
  }

  #turn(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#clock.defer(() => {
        if (this.failure) reject(this.failure);
        else resolve();
      });
    });
  }
}

function refusedOr<T>(result: T | KvError): T {
  if (result instanceof KvError) throw new StoreError('Refused', result.message, true, { cause: result });
  return result;
}
