/**
 * The key-value state machine: etcd v3's data model as a pure function of the commands applied. Same
 * commands in the same order, same state and same replies on every member; a refused command is a reply
 * too, never an exception. The applied index is part of the state, so that a snapshot can never disagree
 * with it (etcd-io/etcd #13766).
 */
import { strict as assert } from 'node:assert';
import { Alarms, noSpace } from './alarms.js';
import { Auth } from './auth.js';
import { deniesCommand, deniesLeaseKeys, deniesTxn } from './auth-check.js';
import type { Caller } from './auth-types.js';
import { digestOfAll } from './digest.js';
import { KvError } from './errors.js';
import { Leases } from './leases.js';
import { KV_LIMITS } from './limits.js';
import { readInTurns } from './range-in-turns.js';
import { readRange } from './range.js';
import { RangeReading } from './range-reading.js';
import { KvSnapshot, type KvSnapshotOptions, hashed, HashOfVersions } from './snapshot.js';
import { KvSnapshotReader } from './snapshot-reader.js';
import { checkReadable, compacted, deleteKey, futureRevision, hasPut, isReadOnly, runTxn } from './txn.js';
import { checkRange, checkTxn } from './txn-check.js';
import type {
  Alarm,
  Command,
  CommandBatch,
  LeaseId,
  LeaseStatus,
  RangeOp,
  RangeResult,
  Revision,
  KeyValue,
  SingleCommand,
  TxnOp,
  TxnResult,
  WithRevision,
} from './types.js';
import { revision } from './types.js';
import { inMemory, type ValuesOptions, type Version } from './values/index.js';
import { type Change, Versions, withValue } from './versions.js';

export type CommandResult =
  | TxnResult
  | { readonly type: 'compact'; readonly compactRevision: Revision }
  | { readonly type: 'lease'; readonly id: LeaseId; readonly ttlMs: number; readonly deadlineMs: number }
  /** `revoked` is false when a revocation for expiry came too late: the lease had been renewed. */
  | { readonly type: 'lease-revoke'; readonly revoked: boolean; readonly deleted: number }
  /** `changed`: the alarm, if the command raised or disarmed it. */
  | { readonly type: 'alarm'; readonly changed: readonly Alarm[] }
  | { readonly type: 'clock' | 'auth' }
  /** One for each command of the batch. */
  | { readonly type: 'batch'; readonly outcomes: readonly Applied[] };

export type Applied = WithRevision<CommandResult> | KvError;

/** Told of every revision right after it took effect, and of a restore. It must not change the store. */
export interface KvListener {
  changed?(at: Revision, changes: readonly Change[], context: string | undefined): void;
  /** After every entry, whatever came of it. */
  applied?(index: number): void;
  /** The time that a command carried has been taken in, be it later than all before or not. The command itself comes next. */
  stamped?(): void;
  restored?(): void;
}

export interface StateHash {
  readonly hash: number;
  readonly revision: Revision;
  readonly compactRevision: Revision;
}

export class KvStore {
  readonly #values: ValuesOptions;
  #versions: Versions;
  #leases = new Leases();
  #alarms = new Alarms();
  #auth = new Auth();
  #appliedIndex = 0;
  /** Of the batch that is being applied; 0: none is. */
  #batchIndex = 0;
  readonly #listeners: KvListener[] = [];

  /** `values`: where the values are kept; absent: in memory. */
  constructor(values: ValuesOptions = inMemory) {
    this.#values = values;
    this.#versions = new Versions(values);
  }

  get revision(): Revision {
    return this.#versions.revision;
  }

  get compactRevision(): Revision {
    return this.#versions.compactRevision;
  }

  /** The Raft index of the last command applied; 0 for none. */
  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  /** Live keys. */
  get keyCount(): number {
    return this.#versions.index.liveCount;
  }

  /** Bytes that keys and values take, versions that compaction has not freed yet included. */
  get sizeBytes(): number {
    return this.#versions.bytes;
  }

  /** What the state takes: `sizeBytes`, and what every key, version and lease costs besides. Compaction frees it. */
  get footprintBytes(): number {
    const { bytes, count } = this.#versions;
    return bytes + count * KV_LIMITS.versionOverheadBytes + this.#leases.size * KV_LIMITS.leaseOverheadBytes;
  }

  /** Of the footprint, what is in memory: all but values that lie in files. */
  get memoryBytes(): number {
    const { values } = this.#versions;
    return this.footprintBytes - values.liveBytes + values.residentBytes;
  }

  /** Values cannot leave memory as fast as they come: its disk is too slow for what is written. */
  get isBehindItsDisk(): boolean {
    return this.#versions.values.isBehind;
  }

  /**
   * The clock of the group: the latest `atMs` applied. A new leader goes on from here.
   */
  get clockMs(): number {
    return this.#leases.clockMs;
  }

  /** For `WatchHub`: the versions and their log, to be read only. */
  get versions(): Versions {
    return this.#versions;
  }

  listen(listener: KvListener): void {
    this.#listeners.push(listener);
  }

  /** `index` is the command's place in the Raft log: higher than any before. Values are kept, not copied. */
  apply(command: Command, index: number): Applied {
    if (command.type === 'batch') return this.#applyBatch(command, index);
    const isOfBatch = this.#batchIndex === index;
    assert(
      isOfBatch || index > this.#appliedIndex,
      `entry ${index} was applied already (up to ${this.#appliedIndex})`,
    );
    this.#appliedIndex = index;
    this.#leases.advanceClock(command.atMs);
    for (const listener of this.#listeners) listener.stamped?.();
    const changes: Change[] = [];
    const result = this.#run(command, index, changes);
    if (changes.length > 0) {
      this.#versions.revision = revision(this.#versions.revision + 1);
      for (const listener of this.#listeners) listener.changed?.(this.revision, changes, command.context);
    }
    if (!isOfBatch) this.#toldApplied(index);
    return result instanceof KvError ? result : { revision: this.revision, result };
  }

  #applyBatch({ commands }: CommandBatch, index: number): Applied {
    assert(index > this.#appliedIndex, `entry ${index} was applied already (up to ${this.#appliedIndex})`);
    this.#appliedIndex = index;
    this.#batchIndex = index;
    const outcomes = commands.map((command) => this.apply(command, index));
    this.#batchIndex = 0;
    this.#toldApplied(index);
    return { revision: this.revision, result: { type: 'batch', outcomes } };
  }

  #toldApplied(index: number): void {
    for (const listener of this.#listeners) listener.applied?.(index);
  }

  /** Skips entries that carry no command (a leader's no-op, a configuration). */
  skip(index: number): void {
    assert(index > this.#appliedIndex);
    this.#appliedIndex = index;
    this.#toldApplied(index);
  }

  /** Users and roles; to be read only. */
  get auth(): Auth {
    return this.#auth;
  }

  range(op: RangeOp, caller?: Caller): WithRevision<RangeResult> | KvError {
    const problem = this.#rangeRefusal(op, caller);
    return problem ?? { revision: this.revision, result: readRange(this.#versions, op) };
  }

  /** As `range`, of the state as it is now, without stopping others while values are read from files. */
  async rangeInTurns(
    op: RangeOp,
    turn: () => Promise<void>,
    caller?: Caller,
    bytesMax: number = KV_LIMITS.rangeBytesMax,
  ): Promise<WithRevision<RangeResult> | KvError> {
    const problem = this.#rangeRefusal(op, caller);
    return problem ?? (await readInTurns(this.#versions, op, turn, bytesMax));
  }

  /** As `range`, of the state as it is now, for whoever takes it in pieces. To be closed. */
  openRange(
    op: RangeOp,
    caller?: Caller,
    bytesMax: number = KV_LIMITS.rangeBytesMax,
  ): RangeReading | KvError {
    const problem = this.#rangeRefusal(op, caller);
    return problem ?? RangeReading.open(this.#versions, op, bytesMax);
  }

  #rangeRefusal(op: RangeOp, caller: Caller | undefined): KvError | undefined {
    return (
      this.#alarms.corrupt ??
      checkRange(op) ??
      this.#auth.deniesKeys(caller, 'read', op) ??
      checkReadable(this.#versions, op)
    );
  }

  /** A version that a listener was told of. */
  kvOf(version: Version): KeyValue {
    return this.#versions.kvOf(version);
  }

  /** A transaction without a write, outside the log. */
  readTxn(txn: TxnOp, caller?: Caller): WithRevision<TxnResult> | KvError {
    assert(isReadOnly(txn), 'a transaction that writes goes through the log');
    const result =
      this.#alarms.corrupt ??
      checkTxn(txn) ??
      (caller === undefined ? undefined : deniesTxn(this.#auth, this.#leases, caller, txn)) ??
      runTxn(this.#versions, this.#leases, txn, []);
    return result instanceof KvError ? result : { revision: this.revision, result };
  }

  /** Ids of leases past their deadline, for the leader to propose `lease-revoke` with reason `expired`. */
  leaseExpired(nowMs: number): readonly LeaseId[] {
    return this.#leases.expired(nowMs);
  }

  leaseStatus(id: LeaseId): LeaseStatus | KvError {
    return this.#leases.status(id);
  }

  /** Undefined: the caller may know which keys the lease has. */
  deniesLeaseKeys(id: LeaseId, caller: Caller | undefined): KvError | undefined {
    return deniesLeaseKeys(this.#auth, this.#leases, caller, id);
  }

  leases(): readonly LeaseId[] {
    return this.#leases.all().map((lease) => lease.id);
  }

  alarms(): readonly Alarm[] {
    return this.#alarms.all();
  }

  /** What makes the store larger is refused. */
  get isOutOfSpace(): boolean {
    return this.#alarms.isOutOfSpace;
  }

  get leaseCount(): number {
    return this.#leases.size;
  }

  hasLease(id: LeaseId): boolean {
    return this.#leases.has(id);
  }

  /**
   * Frees memory that compaction gave up, looking at no more than `recordsMax` changes; true while there is
   * more. Nothing that a client or another member could see depends on when it runs.
   */
  compactStep(recordsMax: number): boolean {
    return this.#versions.compactStep(recordsMax);
  }

  get compactionPending(): boolean {
    return this.#versions.compactionPending;
  }

  /**
   * Of all versions up to `at` (0 or absent: the newest) that are not compacted; equal on members that
   * agree.
   */
  hash(at?: Revision): StateHash | KvError {
    const upTo = this.#hashable(at);
    if (upTo instanceof KvError) return upTo;
    const { compactRevision } = this;
    const sum = new HashOfVersions(this.#versions);
    for (const some of hashed(this.#versions, upTo)) {
      for (const version of some) sum.add(this.#versions.kvOf(version));
    }
    return { hash: sum.value, revision: upTo, compactRevision };
  }

  /** As `hash`, of the state as it is now, while others have their turns. */
  async hashInTurns(at: Revision | undefined, turn: () => Promise<void>): Promise<StateHash | KvError> {
    const upTo = this.#hashable(at);
    if (upTo instanceof KvError) return upTo;
    const { compactRevision } = this;
    const versions = this.#versions;
    const release = versions.hold();
    try {
      const sum = new HashOfVersions(versions);
      for (const some of hashed(versions, upTo)) {
        const values = await versions.values.loadMany(some);
        for (const [i, version] of some.entries()) sum.add(withValue(version, values[i]!));
        await turn();
      }
      return { hash: sum.value, revision: upTo, compactRevision };
    } finally {
      release();
    }
  }

  #hashable(at: Revision | undefined): Revision | KvError {
    const upTo = at === undefined || at === 0 ? this.revision : at;
    if (upTo > this.revision) return futureRevision();
    return upTo < this.compactRevision ? compacted() : upTo;
  }

  /**
   * Equal on members that have applied the same entries, at any time and however far their compaction is: 32
   * bits, kept up to date by every command.
   */
  get digest(): number {
    const { revision: at, compactRevision, digest } = this.#versions;
    const parts = [at, compactRevision, digest, this.#leases.digest, this.#alarms.digest];
    return digestOfAll(this.#auth.isUntouched ? parts : [...parts, this.#auth.digest]);
  }

  /** Captured at once; encoding may go on while commands are applied. It holds all values. */
  snapshot(chunkBytes?: number): KvSnapshot {
    return this.#capture({ ...(chunkBytes !== undefined && { chunkBytes }) });
  }

  /** As `snapshot`, for this member alone: it refers to values that lie in files of `owner`, if there are any. */
  snapshotReferring(owner: string, chunkBytes: number): KvSnapshot {
    return this.#capture({ chunkBytes, ...(this.#versions.values.hasFiles && { filesOf: owner }) });
  }

  #capture(options: KvSnapshotOptions): KvSnapshot {
    const parts = { versions: this.#versions, leases: this.#leases, alarms: this.#alarms, auth: this.#auth };
    return new KvSnapshot(parts, this.#appliedIndex, options);
  }

  /**
   * Replaces the whole state; throws `KvError` InvalidArgument when the bytes are damaged, with the state
   * unchanged.
   */
  restore(bytes: Uint8Array): void {
    const reader = this.reader();
    reader.add(bytes);
    this.adopt(reader);
  }

  /** For a snapshot that comes bit by bit and is to be adopted. */
  reader(): KvSnapshotReader {
    return new KvSnapshotReader(this.#values);
  }

  /** As `restore`, of a snapshot that was read bit by bit. */
  adopt(reader: KvSnapshotReader): void {
    reader.finish();
    const { versions, leases, alarms, auth, appliedIndex } = reader;
    assert(appliedIndex >= this.#appliedIndex, 'a snapshot never takes the state back');
    this.#versions.replaced();
    this.#versions = versions;
    this.#leases = leases;
    this.#alarms = alarms;
    this.#auth = auth;
    this.#appliedIndex = appliedIndex;
    for (const listener of this.#listeners) listener.restored?.();
  }

  #run(command: SingleCommand, index: number, changes: Change[]): CommandResult | KvError {
    const problem = this.#refusal(command) ?? deniesCommand(this.#auth, this.#leases, command);
    if (problem !== undefined) return problem;
    switch (command.type) {
      case 'txn':
        return checkTxn(command.txn) ?? runTxn(this.#versions, this.#leases, command.txn, changes);
      case 'compact':
        return this.#compact(command.revision);
      case 'lease-grant':
        return leaseResult(this.#leases.grant(command.id, command.ttlMs, index));
      case 'lease-renew':
        return leaseResult(this.#leases.renew(command.id));
      case 'lease-revoke':
        return this.#revoke(command.id, command.reason === 'expired', changes);
      case 'alarm': {
        const { action, alarm } = command;
        const isChanged = action === 'raise' ? this.#alarms.raise(alarm) : this.#alarms.disarm(alarm);
        return { type: 'alarm', changed: isChanged ? [alarm] : [] };
      }
      case 'clock':
        return { type: 'clock' };
      case 'auth':
        return this.#auth.change(command.change) ?? { type: 'auth' };
      default:
        return command satisfies never;
    }
  }

  /** By an alarm: out of space, deletes, compaction and the end of leases go on; corrupt, only alarms do. */
  #refusal(command: SingleCommand): KvError | undefined {
    if (command.type === 'alarm' || command.type === 'clock') return undefined;
    const { corrupt } = this.#alarms;
    if (corrupt !== undefined) return corrupt;
    const isGrowing = command.type === 'lease-grant' || (command.type === 'txn' && hasPut(command.txn));
    return isGrowing && this.#alarms.isOutOfSpace ? noSpace() : undefined;
  }

  #compact(at: Revision): CommandResult | KvError {
    // At 0, nothing goes: etcd lets it pass on a store that was never compacted (there the first time only).
    if (at === 0 && this.compactRevision === 0) return { type: 'compact', compactRevision: at };
    if (at <= this.compactRevision) return compacted();
    if (at > this.revision) return futureRevision();
    this.#versions.compact(at);
    return { type: 'compact', compactRevision: at };
  }

  /**
   * All keys go at one revision, in key order. A lease renewed after its revocation was proposed lives on.
   */
  #revoke(id: LeaseId, onlyIfExpired: boolean, changes: Change[]): CommandResult | KvError {
    const status = this.#leases.status(id);
    if (status instanceof KvError) return status;
    if (onlyIfExpired && status.deadlineMs > this.#leases.clockMs) {
      return { type: 'lease-revoke', revoked: false, deleted: 0 };
    }
    const at = revision(this.revision + 1);
    for (const key of status.keys) {
      const { newest } = this.#versions.index.get(key)!;
      changes.push(deleteKey(this.#versions, this.#leases, newest, at));
    }
    this.#leases.remove(id);
    return { type: 'lease-revoke', revoked: true, deleted: status.keys.length };
  }
}

function leaseResult(lease: ReturnType<Leases['grant']>): CommandResult | KvError {
  if (lease instanceof KvError) return lease;
  return { type: 'lease', id: lease.id, ttlMs: lease.ttlMs, deadlineMs: lease.deadlineMs };
}
