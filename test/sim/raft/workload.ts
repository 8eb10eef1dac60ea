/**
 * Clients of the store, through the same client as an apiserver's: writers, watchers, and one that lives by leases. What they
 * are told goes into the history.
 */
import { revision } from 'raft-consensus';
import { type ActorSystem, seededRandom } from '../../../actors/runtime/index.js';
import { createStoreClient, type StoreClient, type StoreWatch } from '../../../actors/store/index.js';
import { nodeId, type Random } from '../../../transport/index.js';
import { LeaseHolder } from './lease-holder.js';
import { History } from './history.js';
import { LargeValues } from './large-values.js';
import type { StoreGroup } from './store-group.js';
import { WatchLog } from './watch-check.js';
import { Writer } from './writer.js';

export class Workload {
  readonly history = new History();
  readonly writers: readonly Writer[];
  readonly watchers: readonly Watching[];
  readonly leases: LeaseHolder;
  readonly #large: LargeValues | undefined;

  constructor(group: StoreGroup) {
    const { writers, watchers } = group.swarm;
    this.writers = Array.from({ length: writers }, (_, at) => writerOf(group, this.history, at));
    this.watchers = Array.from({ length: watchers }, (_, at) => new Watching(group, `w${at + 1}`, at));
    this.leases = leaseHolderOf(group, 'l1');
    const isLarge = group.swarm.faults.has('large-values');
    this.#large = isLarge ? new LargeValues(group, writerNamed(group, this.history, 'big', 0)) : undefined;
  }

  start(): void {
    for (const writer of this.writers) void writer.run();
    for (const watching of this.watchers) watching.open();
    this.leases.run();
  }

  /** No more requests; those under way end by their deadlines. */
  stop(): void {
    for (const writer of this.writers) writer.stop();
    this.leases.stop();
  }

  get isIdle(): boolean {
    if (this.#large?.isIdle === false) return false;
    return this.leases.isIdle && this.writers.every((writer) => writer.isIdle);
  }
}

/** Its own member is asked first. */
function writerOf(group: StoreGroup, history: History, at: number): Writer {
  return writerNamed(group, history, `c${at + 1}`, at);
}

function writerNamed(group: StoreGroup, history: History, name: string, at: number): Writer {
  const { swarm, refs, world, bug } = group;
  const system = world.system(nodeId(name));
  group.clients.push(nodeId(name));
  const from = at % refs.length;
  const client = createStoreClient({ system, members: [...refs.slice(from), ...refs.slice(0, from)] });
  return new Writer({
    name,
    client: bug?.client?.(client) ?? client,
    history,
    clock: system.env.clock,
    seed: swarm.seed,
    keys: swarm.keys,
    thinkMs: () => group.thinkMs,
    timeoutMs: swarm.timeoutMs,
  });
}

function leaseHolderOf(group: StoreGroup, name: string): LeaseHolder {
  const { swarm, refs, world } = group;
  const system = world.system(nodeId(name));
  group.clients.push(nodeId(name));
  return new LeaseHolder({
    name,
    client: createStoreClient({ system, members: refs }),
    clock: system.env.clock,
    nowMs: () => group.nowMs,
    seed: swarm.seed,
    leaseTtlMs: swarm.leaseTtlMs,
    timeoutMs: swarm.timeoutMs,
    isOver: () => group.violation !== undefined,
    fail: group.fail,
  });
}

/** Watches, breaks off, resumes from the last revision + 1, and begins anew when compaction has overtaken it. */
export class Watching {
  readonly #client: StoreClient;
  readonly #group: StoreGroup;
  readonly #random: Random;
  readonly #late: Random;
  readonly #name: string;
  readonly #system: ActorSystem;
  #watch: StoreWatch | undefined;
  #log: WatchLog | undefined;
  #lives = 0;
  events = 0;

  constructor(group: StoreGroup, name: string, nearest: number) {
    this.#group = group;
    this.#name = name;
    this.#random = seededRandom(group.swarm.seed, `watcher ${name}`);
    this.#late = seededRandom(group.swarm.seed, `watcher ${name}, later`);
    this.#system = group.world.system(nodeId(name));
    group.clients.push(nodeId(name));
    const from = nearest % group.refs.length;
    const members = [...group.refs.slice(from), ...group.refs.slice(0, from)];
    this.#client = createStoreClient({ system: this.#system, members });
  }

  get reached(): number {
    return this.#log?.reached ?? 0;
  }

  open(): void {
    const random = this.#random;
    const ranges = [{ key: '/', rangeEnd: '0' }, { key: '/k0' }, { key: '/k1', rangeEnd: '\0' }];
    const request = {
      ...ranges[random.integer(ranges.length)]!,
      prevKv: random.next() < 0.5,
      noDelete: random.next() < 0.1,
      noPut: this.#late.next() < 0.1,
    };
    const { head } = this.#group.truth;
    const start = random.next() < 0.2 ? 0 : Math.max(1, head - random.integer(10));
    this.#follow({ ...request, startRevision: revision(start) });
    const lengthMs = 1_000 + random.next() * 15_000;
    this.#system.env.clock.setTimer(lengthMs, () => this.#breakOff());
  }

  #follow(request: WatchLog['request']): void {
    const { truth, fail } = this.#group;
    this.#lives += 1;
    const log = new WatchLog(`${this.#name}.${this.#lives}`, request, truth, fail);
    this.#log = log;
    let isOpen = true;
    const watch = this.#client.watch(request, {
      onBatch: (batch) => {
        if (!isOpen) return;
        log.batch(batch);
        this.events += batch.events.length;
      },
      onEnd: (reason) => {
        if (reason.type !== 'compacted') fail(`${log.name} ended: ${reason.type}`);
        else log.compacted(reason.compactRevision);
        isOpen = false;
        this.#follow({
          ...request,
          startRevision: revision(reason.type === 'compacted' ? reason.compactRevision : 1),
        });
      },
    });
    this.#watch = {
      close: () => {
        isOpen = false;
        watch.close();
      },
      requestProgress: () => watch.requestProgress(),
    };
  }

  #breakOff(): void {
    const log = this.#log!;
    this.#watch!.close();
    if (this.#random.next() < 0.3) return this.open();
    this.#follow({ ...log.request, startRevision: revision(log.reached + 1) });
    this.#system.env.clock.setTimer(1_000 + this.#random.next() * 15_000, () => this.#breakOff());
  }
}
