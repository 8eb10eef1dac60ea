/**
 * A stopped member of a key-value group, checked from its files without changing any: the files themselves
 * (disk/folder-check.ts), whether log, term and snapshots fit together as a start needs them, and whether the state can be
 * rebuilt from them. Each state has a digest; members of one group can be compared by it at any entry that is committed.
 */
import { membersOf } from './core/configuration.js';
import type { Entry, LogIndex, MemberId } from './core/types.js';
import {
  type CheckedFolder,
  type CheckedSnapshot,
  checkFolder,
  type Disk,
  type Finding,
  StorageError,
} from './disk/index.js';
import { decodeCommand, KvError, KvFsm, ValueFiles } from './kv/index.js';

export interface MemberCheckOptions {
  readonly id: MemberId;
  readonly cluster: string;
  /** Is read only. */
  readonly disk: Disk;
  onBytes?(bytes: number): void;
}

export interface CheckedState {
  readonly revision: number;
  readonly keys: number;
  readonly appliedIndex: number;
}

export class MemberCheck {
  readonly #options: MemberCheckOptions;
  readonly id: MemberId;
  readonly folder: CheckedFolder;
  /** By index, of those that `replay` was asked for and came to. */
  readonly digests = new Map<number, number>();

  static async open(options: MemberCheckOptions): Promise<MemberCheck> {
    const owner = { cluster: options.cluster, member: options.id };
    const check = new MemberCheck(options, await checkFolder(options.disk, owner, options.onBytes));
    check.#fitTogether();
    return check;
  }

  private constructor(options: MemberCheckOptions, folder: CheckedFolder) {
    this.id = options.id;
    this.#options = options;
    this.folder = folder;
  }

  get findings(): readonly Finding[] {
    return this.folder.findings;
  }

  get isDamaged(): boolean {
    return this.findings.some(({ severity }) => severity === 'damage');
  }

  /** Known to be committed: by the log, or because it is in a snapshot. */
  get commit(): number {
    return Math.max(this.folder.log?.hardState?.commit ?? 0, this.#newest?.meta.index ?? 0);
  }

  get lastIndex(): number {
    return Math.max(this.folder.log?.entries.at(-1)?.index ?? 0, this.#newest?.meta.index ?? 0);
  }

  /** Null: not in the log any more, or not yet. */
  termAt(index: number): number | null {
    const newest = this.#newest?.meta;
    if (newest?.index === index) return newest.term;
    return this.#entry(index)?.term ?? null;
  }

  /**
   * Rebuilds the state, as far as `upTo`, and notes its digest at each of `points` on the way. Null: it cannot be rebuilt.
   */
  async replay(upTo: number, points: ReadonlySet<number>): Promise<CheckedState | null> {
    const newest = this.#newest;
    const fsm = await this.#empty();
    if (fsm === null || (newest && !(await this.#restore(fsm, newest)))) return null;
    this.#readAll(fsm);
    const note = () => {
      const { appliedIndex, digest } = fsm.store;
      if (points.has(appliedIndex)) this.digests.set(appliedIndex, digest);
    };
    note();
    if (newest) await this.#compareOlder(newest, fsm.store.digest);
    if (this.folder.log === null || !this.#apply(fsm, newest?.meta.index ?? 0, upTo, note)) return null;
    const { revision, keyCount, appliedIndex } = fsm.store;
    return { revision, keys: keyCount, appliedIndex };
  }

  get #newest(): CheckedSnapshot | undefined {
    return this.folder.snapshots.findLast(({ isIntact }) => isIntact);
  }

  #entry(index: number): Entry | undefined {
    const entries = this.folder.log?.entries ?? [];
    return entries[index - (entries[0]?.index ?? 0)];
  }

  #find(severity: Finding['severity'], file: string, what: string): void {
    this.folder.findings.push({ severity, file, what });
  }

  /** What a start asks of log and snapshots, and what no member ever writes. */
  #fitTogether(): void {
    const { log } = this.folder;
    const newest = this.#newest;
    if (log === null) return;
    const { entries, hardState, snapshotMeta } = log;
    const from = newest?.meta.index ?? 0;
    const first = entries[0]?.index;
    const told = snapshotMeta?.index ?? 0;
    const reaches = first !== undefined && first <= from + 1;
    if (told > from && !reaches) {
      this.#find('damage', LOG, `it begins behind a snapshot at ${told}, which is missing or damaged`);
    } else if (first !== undefined && first > from + 1) {
      this.#find('damage', LOG, `it begins at entry ${first}, and the newest snapshot ends at ${from}`);
    }
    if (hardState === null && (entries.length > 0 || newest)) {
      this.#find('damage', LOG, 'it has entries or a snapshot, and no term');
    }
    if (hardState !== null && hardState.commit > Math.max(this.lastIndex, told)) {
      const what = `entry ${hardState.commit} is said to be committed, and the last one is ${this.lastIndex}`;
      this.#find('damage', LOG, what);
    }
    this.#checkTerms(hardState?.term ?? 0);
    this.#checkVote(hardState?.votedFor ?? null);
    const term = this.#entry(from)?.term;
    if (!newest || term === undefined || term === newest.meta.term) return;
    const what = `its entry ${from} is of term ${term}, the snapshot of term ${newest.meta.term}`;
    // Between the arrival of a snapshot and the end of the log that it replaces, a crash may come.
    this.#find(told < from ? 'note' : 'damage', LOG, what);
  }

  #checkTerms(own: number): void {
    let before = 0;
    for (const { index, term } of this.folder.log?.entries ?? []) {
      if (term < before) {
        this.#find('damage', LOG, `entry ${index} is of term ${term}, and the one before it of ${before}`);
        return;
      }
      before = term;
    }
    const newest = Math.max(before, this.#newest?.meta.term ?? 0);
    if (newest <= own) return;
    this.#find(
      'damage',
      LOG,
      `the member is in term ${own}, and has entries or a snapshot of term ${newest}`,
    );
  }

  #checkVote(votedFor: MemberId | null): void {
    const { configuration } = this.#newest?.meta ?? {};
    if (votedFor === null || !configuration || membersOf(configuration).includes(votedFor)) return;
    this.#find('note', LOG, `it voted for ${votedFor}, whom the newest snapshot does not name as a member`);
  }

  async #restore(fsm: KvFsm, { name, meta, content }: CheckedSnapshot): Promise<boolean> {
    try {
      await fsm.restore(content());
    } catch (error) {
      if (!(error instanceof KvError) && !(error instanceof StorageError)) throw error;
      this.#find('damage', name, error.message);
      return false;
    }
    const { appliedIndex } = fsm.store;
    if (appliedIndex === meta.index) return true;
    this.#find('damage', name, `its state is that of entry ${appliedIndex}, and it says ${meta.index}`);
    return false;
  }

  /** It reads the files of values, and leaves them as they are. */
  async #empty(): Promise<KvFsm | null> {
    const { disk, cluster, id } = this.#options;
    const onFatal = (error: unknown) => {
      if (!(error instanceof StorageError)) throw error;
    };
    try {
      const files = await ValueFiles.open({ disk, cluster, member: id, onFatal, isReadOnly: true });
      return new KvFsm({ files, valuesUnfiledBytesMax: Infinity, valuesResidentBytesMax: Infinity });
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#find('damage', error.file, error.what);
      return null;
    }
  }

  /** Values that lie in files: each is read, and must match what the snapshot says of it. */
  #readAll(fsm: KvFsm): void {
    try {
      fsm.store.hash();
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.folder.findings.push({
        severity: 'damage',
        file: error.file,
        ...(error.offset !== undefined && { offset: error.offset }),
        what: error.what,
      });
    }
  }

  /** What an older snapshot and the log come to must be what the newest one holds. */
  async #compareOlder({ meta, name: newest }: CheckedSnapshot, digest: number): Promise<void> {
    for (const older of this.folder.snapshots) {
      if (!older.isIntact || older.name === newest) continue;
      const fsm = await this.#empty();
      if (
        fsm === null ||
        !(await this.#restore(fsm, older)) ||
        this.#entry(older.meta.index + 1) === undefined
      )
        continue;
      if (!this.#apply(fsm, older.meta.index, meta.index) || fsm.store.digest === digest) continue;
      this.#find('damage', newest, `its state is not what ${older.name} and the log behind it come to`);
    }
  }

  /** False when an entry cannot be. */
  #apply(fsm: KvFsm, from: number, upTo: number, applied: () => void = () => {}): boolean {
    for (let index = from + 1; index <= upTo; index++) {
      const entry = this.#entry(index as LogIndex);
      if (entry === undefined) break;
      try {
        if (entry.type === 'normal') decodeCommand(entry.data);
        fsm.apply([entry]);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        this.#find('damage', LOG, `entry ${index} cannot be applied: ${why}`);
        return false;
      }
      applied();
    }
    return true;
  }
}

const LOG = 'the log';
