/** The same script to Debian's etcd and to our store, replies compared field by field. Ends at the first difference. */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { seededRandom } from '../../../actors/runtime/index.js';
import { freePorts } from '../../../deploy/create-cluster.js';
import { waitFor } from '../../../deploy/wait.js';
import { OwnProcess } from '../../bench/own-process.js';
import { rpc } from '../../harness/etcd-calls.js';
import { GrpcClient, GrpcFailure } from '../../harness/grpc-client.js';
import { startStoreAlone, type StoreAlone } from '../../harness/store-alone.js';
import { plain } from './plain.js';
import { type Call, Script, type Step } from './script.js';
import { WatchPair } from './watch-pair.js';

export interface BothStores {
  readonly etcd: string;
  readonly ours: string;
  stop(): Promise<void>;
}

/** One member each, empty. */
export async function startBoth(): Promise<BothStores> {
  const [etcd, ours] = await Promise.all([startEtcd(), startStoreAlone({ members: 1 })]);
  return {
    etcd: `http://127.0.0.1:${etcd.port}`,
    ours: `http://127.0.0.1:${(ours as StoreAlone).ports[0]}`,
    stop: async () => {
      await Promise.all([etcd.stop(), ours.remove()]);
    },
  };
}

/** How many steps there were of each kind. Rejects at the first difference, with a line that replays it. */
export async function compare(
  stores: BothStores,
  seed: number,
  steps: number,
): Promise<ReadonlyMap<string, number>> {
  const clients = [new GrpcClient(stores.etcd), new GrpcClient(stores.ours)] as const;
  const comparison = new Comparison(clients, seed);
  try {
    await comparison.run(steps);
    return comparison.counts;
  } finally {
    for (const client of clients) client.close();
  }
}

class Comparison {
  readonly #clients: readonly [GrpcClient, GrpcClient];
  readonly #seed: number;
  readonly #script: Script;
  readonly #watches: WatchPair;
  readonly counts = new Map<string, number>();
  #head = 1;
  #compactRevision = 0;

  constructor(clients: readonly [GrpcClient, GrpcClient], seed: number) {
    this.#clients = clients;
    this.#seed = seed;
    this.#script = new Script(seededRandom(seed, 'etcd-diff'));
    this.#watches = new WatchPair(clients);
  }

  async run(steps: number): Promise<void> {
    await this.#watches.begin(this.#head);
    for (let at = 0; at < steps; at += 1) {
      const step = this.#script.next(this.#head);
      const kind = step.type === 'call' ? step.path : step.type;
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
      try {
        await this.#take(step);
        if (at === steps - 1) await this.#watches.settle(this.#head);
      } catch (error) {
        const replay = `npm run etcd-diff -- --seed ${this.#seed} --steps ${at + 1}`;
        const what = `seed ${this.#seed}, step ${at}: ${show(step)}\n${(error as Error).message}\n${replay}`;
        throw new Error(what, { cause: error });
      }
    }
  }

  async #take(step: Step): Promise<void> {
    switch (step.type) {
      case 'call':
        return this.#call(step);
      case 'watch':
        return this.#watches.create(step.request, this.#head, this.#compactRevision);
      case 'cancel':
        return this.#watches.cancel(step.which, this.#head);
      case 'progress':
        return this.#watches.progress(this.#head);
      default:
        step satisfies never;
    }
  }

  async #call(call: Call): Promise<void> {
    const isCompaction = call.path.endsWith('Compact');
    // Whether a watcher that lags is overtaken by compaction is a matter of time.
    if (isCompaction) await this.#watches.settle(this.#head);
    const [theirs, ours] = this.#clients;
    const [expected, actual] = await Promise.all([outcome(theirs, call), outcome(ours, call)]);
    assert.deepEqual(actual, expected, `etcd answered ${show(expected)}\nours answered ${show(actual)}`);
    const { header } = expected as { header?: { revision: number } };
    this.#head = header?.revision ?? this.#head;
    if (isCompaction && header) this.#compactRevision = (call.request as { revision: number }).revision;
  }
}

function show(value: unknown): string {
  return inspect(value, { depth: 12, breakLength: 160, maxStringLength: 200 });
}

/** The reply without what must differ: ids, terms, seconds that passed. */
async function outcome(client: GrpcClient, { path, schemas, request }: Call): Promise<unknown> {
  try {
    const reply = (await client.unary(path, schemas, request)) as {
      header?: { revision: number };
      ttl?: number;
    };
    const { header, ttl, ...rest } = plain(reply) as typeof reply;
    // etcd lists leases in the order in which they end, and their keys in any.
    const { leases, keys } = rest as { leases?: { id: number | bigint }[]; keys?: string[] };
    keys?.sort();
    leases?.sort((a, b) => (a.id < b.id ? -1 : 1));
    const isGranted = path.endsWith('LeaseGrant');
    const lives = ttl === undefined || isGranted ? ttl : Math.sign(ttl);
    return { ...rest, ttl: lives, ...(header && { header: { revision: header.revision } }) };
  } catch (error) {
    if (error instanceof GrpcFailure) return { code: error.code, message: error.message };
    throw error;
  }
}

async function startEtcd(): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'kabuki-etcd-'));
  const [port, peer] = (await freePorts(2)) as [number, number];
  const client = `http://127.0.0.1:${port}`;
  const server = new OwnProcess(
    'etcd',
    [
      `--data-dir=${folder}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-cluster=default=http://127.0.0.1:${peer}`,
    ],
    '/dev/null',
  );
  await waitFor('etcd to answer', 20_000, async () => {
    const probe = new GrpcClient(client);
    try {
      await probe.unary(...rpc.range, { key: 'x' });
      return true;
    } finally {
      probe.close();
    }
  });
  return {
    port,
    stop: async () => {
      await server.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
