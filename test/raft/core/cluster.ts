/**
 * Cores without a host: each with a disk of its own that a crash leaves as it was last saved, a state
 * machine that is the list of what it was given, and a network that is a list of letters. Nothing happens
 * unless a test says so.
 */
import { strict as assert } from 'node:assert';
import {
  defaultCoreLimits,
  logIndex,
  memberId,
  MemoryLog,
  noMembers,
  RaftCore,
  term as asTerm,
  isMember,
  type Configuration,
  type CoreLimits,
  type Entry,
  type HardState,
  type MemberId,
  type Message,
  type Persist,
  type Ready,
  type SnapshotMeta,
} from 'raft-consensus';

export interface Node {
  readonly id: MemberId;
  /** That it starts with. */
  readonly configuration: Configuration;
  core: RaftCore;
  up: boolean;
  /** While true a save stays outstanding until `finishSave`. */
  slowDisk: boolean;
  saving: Persist | null;
  hardState: HardState | null;
  entries: Entry[];
  snapshot: { readonly meta: SnapshotMeta; readonly state: readonly string[] } | null;
  /**
   * What the state machine was given since the beginning of time, `index:term:data`, each entry in its place.
   */
  applied: string[];
  readonly answered: { readonly context: number; readonly index: number }[];
  readonly dropped: number[];
}

export interface ClusterOptions {
  readonly voters: readonly string[];
  readonly learners?: readonly string[];
  /** Members that no configuration names yet. */
  readonly spares?: readonly string[];
  readonly random?: () => number;
  readonly limits?: Partial<CoreLimits>;
}

/** Told of everything that happens, for traces. */
export interface Listener {
  ready?(node: Node, ready: Ready): void;
  sent?(message: Message): void;
}

export const text = (data: Uint8Array): string => Buffer.from(data).toString();

const line = (entry: Entry): string =>
  `${entry.index}:${entry.term}:${entry.type === 'normal' ? text(entry.data) : entry.type}`;

export class Cluster {
  readonly nodes = new Map<MemberId, Node>();
  readonly configuration: Configuration;
  network: Message[] = [];
  listener: Listener = {};
  readonly #random: () => number;
  readonly #limits: CoreLimits;

  constructor(options: ClusterOptions) {
    const learners = options.learners ?? [];
    this.configuration = { voters: options.voters.map(memberId), learners: learners.map(memberId) };
    this.#random = options.random ?? (() => 0);
    this.#limits = { ...defaultCoreLimits, ...options.limits };
    for (const name of [...options.voters, ...learners, ...(options.spares ?? [])]) {
      const blank = { up: true, slowDisk: false, saving: null, hardState: null, entries: [], snapshot: null };
      const id = memberId(name);
      const configuration = isMember(this.configuration, id) ? this.configuration : noMembers;
      const node = { id, configuration, ...blank, applied: [], answered: [], dropped: [] };
      this.nodes.set(node.id, { ...node, core: this.#boot({ ...node }) });
    }
  }

  node(name: string): Node {
    const node = this.nodes.get(memberId(name));
    assert(node !== undefined, `no node ${name}`);
    return node;
  }

  core(name: string): RaftCore {
    return this.node(name).core;
  }

  get running(): readonly Node[] {
    return [...this.nodes.values()].filter((node) => node.up);
  }

  crash(name: string): void {
    const node = this.node(name);
    node.up = false;
    node.saving = null;
  }

  /** Starts again from what its disk holds; the state machine from its last snapshot. */
  restart(name: string): void {
    const node = this.node(name);
    node.up = true;
    node.saving = null;
    node.applied = [...(node.snapshot?.state ?? [])];
    node.core = this.#boot(node);
  }

  /** Does what one `Ready` asks for; false: there was none. */
  act(node: Node): boolean {
    const ready = node.core.ready();
    if (ready === null) return false;
    this.listener.ready?.(node, ready);
    this.#send(ready.messages, node);
    for (const state of ready.readStates) node.answered.push(state);
    node.dropped.push(...ready.droppedReads);
    if (ready.persist !== null) {
      assert.equal(node.saving, null, 'two saves at once');
      node.saving = ready.persist;
      if (!node.slowDisk) this.finishSave(node);
    }
    this.#apply(node, ready.committed);
    return true;
  }

  finishSave(node: Node): void {
    const { saving } = node;
    assert(saving !== null, 'nothing is being saved');
    node.saving = null;
    this.#write(node, saving);
    node.core.persisted();
    this.#send(saving.messages, node);
    if (saving.snapshot !== null) {
      node.applied = JSON.parse(text(saving.snapshot.data)) as string[];
      node.core.applied(saving.snapshot.meta.index);
    }
  }

  deliver(message: Message): void {
    const node = this.nodes.get(message.to)!;
    if (node.up) node.core.step(structuredClone(message));
  }

  /** Takes a snapshot at the applied index and drops the log up to there, but for `trailing` entries. */
  compact(node: Node, trailing: number): void {
    const index = node.core.appliedIndex;
    const term = node.core.log.term(index);
    if (index === 0 || term === null || node.saving !== null || node.core.log.snapshot?.index === index)
      return;
    const meta: SnapshotMeta = { index, term, configuration: node.core.configuration };
    node.snapshot = { meta, state: [...node.applied] };
    const gone = node.core.compact(meta, trailing, Infinity);
    node.entries = node.entries.filter((entry) => entry.index > gone);
  }

  /** Acts and delivers until nothing is left to do. Letters that `passes` refuses are lost. */
  stabilize(passes: (message: Message) => boolean = () => true): void {
    for (let round = 0; round < 1_000; round++) {
      let busy = false;
      for (const node of this.running) while (this.act(node)) busy = true;
      const letters = this.network;
      this.network = [];
      for (const letter of letters) if (passes(letter)) this.deliver(letter);
      if (!busy && letters.length === 0) return;
    }
    assert.fail('the group does not come to rest');
  }

  tick(name: string, times = 1): void {
    for (let i = 0; i < times; i++) this.core(name).tick();
  }

  propose(name: string, ...data: string[]): ReturnType<RaftCore['propose']> {
    return this.core(name).propose(data.map((one) => Buffer.from(one)));
  }

  /** Elects `name` in a group at rest. */
  elect(name: string): void {
    this.core(name).campaign();
    this.stabilize();
    assert.equal(this.core(name).role, 'leader');
  }

  #boot(node: Pick<Node, 'id' | 'configuration' | 'hardState' | 'entries' | 'snapshot'>): RaftCore {
    const meta = node.snapshot?.meta ?? null;
    return new RaftCore(
      { ...this.#limits, id: node.id, configuration: node.configuration, random: this.#random },
      {
        hardState: node.hardState,
        log: MemoryLog.load(meta, node.entries),
        applied: meta?.index ?? logIndex(0),
      },
    );
  }

  #write(node: Node, persist: Persist): void {
    if (persist.snapshot !== null) {
      const state = JSON.parse(text(persist.snapshot.data)) as string[];
      node.snapshot = { meta: persist.snapshot.meta, state };
      node.entries = [];
    }
    const { truncateFrom } = persist;
    if (truncateFrom !== null) node.entries = node.entries.filter((entry) => entry.index < truncateFrom);
    const last = node.entries.at(-1)?.index ?? node.snapshot?.meta.index ?? 0;
    if (persist.entries.length > 0) assert.equal(persist.entries[0]!.index, last + 1, 'a gap on disk');
    node.entries.push(...persist.entries);
    if (persist.hardState !== null) node.hardState = persist.hardState;
  }

  #apply(node: Node, committed: readonly Entry[]): void {
    for (const entry of committed) {
      assert.equal(entry.index, node.applied.length + 1, `${node.id} applies out of order`);
      node.applied.push(line(entry));
    }
    if (committed.length > 0) node.core.applied(committed.at(-1)!.index);
  }

  #send(messages: readonly Message[], node: Node): void {
    for (const message of messages) {
      const { snapshot } = node;
      const full: Message =
        message.type === 'snapshot'
          ? { ...message, meta: snapshot!.meta, data: Buffer.from(JSON.stringify(snapshot!.state)) }
          : message;
      this.listener.sent?.(full);
      this.network.push(full);
    }
  }
}

type LetterOf<T extends Message['type'], M = Message> = M extends { readonly type: infer U }
  ? T extends U
    ? M
    : never
  : never;

export const letter = <T extends Message['type']>(
  type: T,
  from: string,
  to: string,
  term: number,
  rest: Omit<LetterOf<T>, 'type' | 'from' | 'to' | 'term'>,
): Message =>
  ({ type, from: memberId(from), to: memberId(to), term: asTerm(term), ...rest }) as unknown as Message;
