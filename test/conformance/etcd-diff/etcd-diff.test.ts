import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { RangeRequest, RangeResponse } from '../../../actors/store/etcd/kv-messages.js';
import { seededRandom } from '../../../actors/runtime/index.js';
import { freePorts } from '../../../deploy/create-cluster.js';
import { waitFor } from '../../../deploy/wait.js';
import { OwnProcess } from '../../bench/own-process.js';
import { GrpcClient, GrpcFailure } from '../../harness/grpc-client.js';
import { isInstalled, startStoreAlone, type StoreAlone } from '../../harness/store-alone.js';
import { Script, type Step } from './script.js';

/**
 * The same script to Debian's etcd and to ours, replies compared field by field. More on demand:
 * `KABUKI_DIFF_SEED=7 KABUKI_DIFF_STEPS=20000 npx mocha --no-config 'dist/test/conformance/etcd-diff/*.test.js'`
 */
const seeds =
  process.env['KABUKI_DIFF_SEED'] === undefined ? [1, 2, 3] : [Number(process.env['KABUKI_DIFF_SEED'])];
const steps = Number(process.env['KABUKI_DIFF_STEPS'] ?? 700);

describe('random scripts give the same replies from our store and from etcd', function () {
  this.timeout(600_000);
  let etcd: Etcd;
  let ours: StoreAlone;
  beforeEach(async function () {
    if (!isInstalled('etcd', '--version')) return this.skip();
    [etcd, ours] = await Promise.all([startEtcd(), startStoreAlone({ members: 1 })]);
  });
  afterEach(async () => {
    await Promise.all([etcd?.stop(), ours?.remove()]);
  });

  for (const seed of seeds) {
    it(`seed ${seed}, ${steps} steps`, async () => {
      const script = new Script(seededRandom(seed, 'etcd-diff'));
      const theirs = new GrpcClient(`http://127.0.0.1:${etcd.port}`);
      const own = new GrpcClient(`http://127.0.0.1:${ours.ports[0]}`);
      let head = 1;
      try {
        for (let i = 0; i < steps; i += 1) {
          const step = script.next(head);
          const [expected, actual] = await Promise.all([outcome(theirs, step), outcome(own, step)]);
          assert.deepEqual(actual, expected, told(seed, i, step, expected, actual));
          head = (expected as { header?: { revision: number } }).header?.revision ?? head;
        }
      } finally {
        theirs.close();
        own.close();
      }
    });
  }
});

function told(seed: number, at: number, step: Step, expected: unknown, actual: unknown): string {
  const show = (value: unknown) => inspect(value, { depth: 12, breakLength: 160 });
  return [
    `seed ${seed}, step ${at}: ${step.path} ${show(step.request)}`,
    `etcd answered ${show(expected)}`,
    `ours answered ${show(actual)}`,
    `KABUKI_DIFF_SEED=${seed} KABUKI_DIFF_STEPS=${at + 1} npx mocha --no-config 'dist/test/conformance/etcd-diff/*.test.js'`,
  ].join('\n');
}

/** The reply without what must differ: ids, terms, seconds that passed. */
async function outcome(client: GrpcClient, { path, schemas, request }: Step): Promise<unknown> {
  try {
    const reply = (await client.unary(path, schemas, request)) as {
      header?: { revision: number };
      ttl?: number;
    };
    const { header, ttl, ...rest } = plain(reply) as typeof reply;
    // etcd lists leases in the order in which they end, and their keys in any.
    const { leases, keys } = rest as { leases?: { id: number }[]; keys?: string[] };
    keys?.sort();
    leases?.sort((a, b) => a.id - b.id);
    const isGranted = path.endsWith('LeaseGrant');
    const lives = ttl === undefined || isGranted ? ttl : Math.sign(ttl);
    return { ...rest, ttl: lives, ...(header && { header: { revision: header.revision } }) };
  } catch (error) {
    if (error instanceof GrpcFailure) return { code: error.code, message: error.message };
    throw error;
  }
}

/** Byte fields that are equal, whatever class they have. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('latin1')}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}

interface Etcd {
  readonly port: number;
  stop(): Promise<void>;
}

async function startEtcd(): Promise<Etcd> {
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
      await probe.unary('/etcdserverpb.KV/Range', [RangeRequest, RangeResponse], { key: 'x' });
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
