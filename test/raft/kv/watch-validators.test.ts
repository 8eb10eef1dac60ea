/**
 * Watches under random interleavings of writes, compaction, slow and interrupted consumers, and snapshots
 * installed under them. What they saw is judged as etcd's robustness tests do: ordered, unique, atomic,
 * reliable, resumable, bookmarkable, filter, previous versions.
 */
import { strict as assert } from 'node:assert';
import {
  type KeyValue,
  KvError,
  KvStore,
  type Op,
  WatchHub,
  type WatchEvent,
  type WatchRequest,
  type Watcher,
  leaseId,
  revision,
} from 'raft-consensus';
import { type SeededRandom, forEachSeed } from '../seeded-random.js';
import { inRange } from './naive-store.js';
import { StoreDriver, del, eventText, put, txn } from './store-driver.js';

interface TrueEvent {
  readonly kv: KeyValue;
  readonly prev: KeyValue | undefined;
}

/** A client that watches one range, over as many watches as it takes. */
interface Client {
  readonly request: WatchRequest;
  watcher: Watcher;
  /** The first revision it is owed, and the last batch's revision. */
  readonly start: number;
  reached: number;
  readonly seen: WatchEvent[];
  compacted: boolean;
}

class Trial {
  readonly #random: SeededRandom;
  readonly #driver: StoreDriver;
  readonly #hub: WatchHub;
  /** The leader's store; the watched one may be brought up to it by a snapshot. */
  readonly #leader = new StoreDriver();
  readonly #truth: TrueEvent[] = [];
  readonly #clients: Client[] = [];
  /** Commands that the watched store has not applied yet. */
  #lag: (() => void)[] = [];
  compactions = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
    this.#driver = new StoreDriver();
    this.#hub = new WatchHub(this.#driver.store, { queueEventsMax: 3, queueBytesMax: 60 });
    this.#leader.store.listen({
      changed: (_, changes) => {
        const { store } = this.#leader;
        for (const { kv, prev } of changes) {
          this.#truth.push({ kv: store.kvOf(kv), prev: prev && store.kvOf(prev) });
        }
      },
      restored: () => undefined,
    });
  }

  run(steps: number): void {
    for (let at = 0; at < steps; at++) this.#step();
    this.#catchUp();
    for (const client of this.#clients) {
      while (this.#pull(client, 100));
      this.#judge(client);
    }
  }

  #step(): void {
    const random = this.#random;
    const dice = random();
    if (dice < 0.35) this.#write();
    else if (dice < 0.65 && this.#clients.length > 0)
      this.#pull(random.pick(this.#clients), 1 + random.below(3));
    else if (dice < 0.75) this.#lag.splice(0, 1 + random.below(5)).forEach((apply) => apply());
    else if (dice < 0.8) this.#compact();
    else if (dice < 0.85) this.#driver.store.compactStep(1 + random.below(5));
    else if (dice < 0.92) this.#open();
    else if (dice < 0.97 && this.#clients.length > 0) this.#interrupt(random.pick(this.#clients));
    else if (dice >= 0.98) this.#installSnapshot();
  }

  #write(): void {
    const random = this.#random;
    const keys = ['a', 'b', 'c', 'd'].filter(() => random() < 0.4);
    const ops = keys.map((key): Op =>
      random() < 0.6 ? put(key, String(random.below(100)), this.#lease()) : del(key),
    );
    this.#both((driver) => void driver.txn(txn(ops)));
    if (random() < 0.05) {
      this.#both((driver) => void driver.try({ type: 'lease-revoke', id: leaseId(1), atMs: 0 }));
    }
  }

  #lease(): { lease?: ReturnType<typeof leaseId> } {
    if (this.#random() < 0.8) return {};
    this.#both((driver) => void driver.try({ type: 'lease-grant', id: leaseId(1), ttlMs: 1, atMs: 0 }));
    return { lease: leaseId(1) };
  }

  #both(apply: (driver: StoreDriver) => void): void {
    apply(this.#leader);
    this.#lag.push(() => apply(this.#driver));
  }

  #catchUp(): void {
    this.#lag.splice(0).forEach((apply) => apply());
    assert.deepEqual(this.#driver.store.hash(), this.#leader.store.hash());
  }

  #compact(): void {
    const { revision: head } = this.#leader.store;
    const at = Math.max(1, head - this.#random.below(8));
    this.#both((driver) => {
      if (!(driver.compact(at) instanceof KvError)) this.compactions++;
    });
  }

  #installSnapshot(): void {
    if (this.#lag.length === 0) return;
    this.#lag = [];
    this.#driver.restoreFrom(this.#leader);
  }

  #open(): void {
    const random = this.#random;
    const head = this.#driver.store.revision;
    const start = random() < 0.4 ? 0 : Math.max(1, head - 10 + random.below(14));
    const ranges = [{ key: 'b' }, { key: 'a', rangeEnd: 'c' }, { key: 'b', rangeEnd: '\0' }];
    const request = {
      ...random.pick(ranges),
      prevKv: random() < 0.6,
      noPut: random() < 0.15,
      noDelete: random() < 0.15,
      startRevision: revision(start),
    };
    const watcher = this.#hub.watch(request, () => undefined);
    this.#clients.push({
      request,
      watcher,
      start: watcher.startRevision,
      reached: watcher.startRevision - 1,
      seen: [],
      compacted: false,
    });
  }

  /** The connection breaks: the client watches again from the revision after the last batch. */
  #interrupt(client: Client): void {
    if (client.compacted) return;
    client.watcher.close();
    const startRevision = revision(client.reached + 1);
    client.watcher = this.#hub.watch({ ...client.request, startRevision }, () => undefined);
  }

  /** True while there was something. */
  #pull(client: Client, eventsMax: number): boolean {
    const { store } = this.#driver;
    const progress = client.watcher.progress();
    if (progress !== null) {
      this.#checkComplete(client, progress.revision);
      client.reached = Math.max(client.reached, progress.revision);
    }
    const step = client.watcher.next({ eventsMax, scanMax: 1 + this.#random.below(10) });
    if (step.type === 'compacted') {
      assert.equal(step.compactRevision, store.compactRevision);
      assert.ok(client.reached + 1 < step.compactRevision, 'a watch was ended that needed nothing compacted');
      client.compacted = true;
    }
    if (step.type !== 'batch') return false;
    const { events, revision: reached } = step.batch;
    for (const event of events) {
      assert.ok(event.kv.modRevision > client.reached, 'atomic: a revision was split, or went back in time');
      assert.ok(event.kv.modRevision <= reached, 'bookmarkable: the batch reaches less far than its events');
      this.#checkPrevious(client, event);
    }
    assert.ok(reached >= client.reached, 'bookmarkable: went back');
    client.reached = reached;
    client.seen.push(...events);
    this.#checkComplete(client, reached);
    return true;
  }

  #checkPrevious(client: Client, event: WatchEvent): void {
    const truth = this.#truth.find(
      ({ kv }) => kv.modRevision === event.kv.modRevision && kv.key === event.kv.key,
    );
    if (client.request.prevKv !== true) assert.equal(event.prevKv, undefined);
    else if (event.prevKv !== undefined) assert.deepEqual(event.prevKv, truth?.prev);
    else {
      const isCompacted = event.kv.modRevision <= this.#driver.store.compactRevision;
      assert.ok(truth?.prev === undefined || isCompacted, `no previous version with ${eventText(event)}`);
    }
  }

  /** Everything up to `reached` that the client asked for has been delivered: no more, no less, in order. */
  #checkComplete(client: Client, reached: number): void {
    const { request, start } = client;
    const owed = this.#truth.filter(
      ({ kv }) =>
        kv.modRevision >= start &&
        kv.modRevision <= reached &&
        inRange(request, kv.key) &&
        !(kv.version === 0 ? request.noDelete : request.noPut),
    );
    const text = (kv: KeyValue): string => eventText({ type: kv.version === 0 ? 'delete' : 'put', kv });
    assert.deepEqual(
      client.seen.map((event) => text(event.kv)),
      owed.map(({ kv }) => text(kv)),
    );
  }

  /** Once the store stands still, a client has everything, or was told that compaction overtook it. */
  #judge(client: Client): void {
    if (client.compacted || client.start > this.#driver.store.revision) return;
    this.#checkComplete(client, this.#driver.store.revision);
    assert.equal(client.watcher.progress()?.revision, this.#driver.store.revision);
  }
}

describe('watch validators', () => {
  const title = 'hold under writes, compaction, slow and interrupted consumers and installed snapshots';
  it(title, async () => {
    let compactions = 0;
    await forEachSeed(200, title, (random) => {
      const trial = new Trial(random);
      trial.run(250);
      compactions += trial.compactions;
    });
    assert.ok(compactions > 0);
  });

  it('compare stores by a hash that differs as soon as a value does', () => {
    const [one, two] = [new StoreDriver(), new StoreDriver()];
    one.do(put('a', '1'), put('a', '2'));
    two.do(put('a', '1'), put('a', '3'));
    const hash = (store: KvStore, at: number) => {
      const answer = store.hash(revision(at));
      return answer instanceof KvError ? answer.code : answer.hash;
    };
    assert.notEqual(hash(one.store, 3), hash(two.store, 3));
    assert.equal(hash(one.store, 2), hash(two.store, 2));
    assert.equal(hash(one.store, 4), 'FutureRevision');
    one.compact(3);
    assert.equal(hash(one.store, 2), 'Compacted');
  });
});
