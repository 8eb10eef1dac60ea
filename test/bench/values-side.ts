/**
 * Entry of one side of the measurement behind decision 14, in a process of its own: 2 GiB of values filled, read and written
 * over at random, in our files or in LMDB, which is no dependency (`npm install --no-save lmdb` before). Prints JSON.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { encodeCommand, type Entry, KvFsm, logIndex, RealDisk, term, ValueFiles } from 'raft-consensus';
import { keyOf, valueOf } from './registry-load.js';

/** Puts of one batch become durable together, or on their way to it. */
interface Side {
  put(from: number, to: number, numberOf: (at: number) => number): Promise<void>;
  get(n: number): Uint8Array | undefined;
  close(): Promise<void>;
}

const [side = '', folder = ''] = process.argv.slice(2);
const shape = { count: 400_000, valueBytes: 5 * 1024, batch: 100, reads: 100_000, overwrites: 20_000 };

async function ours(): Promise<Side> {
  const disk = await RealDisk.open(folder);
  const onFatal = (error: unknown) => {
    throw error;
  };
  const files = await ValueFiles.open({ disk, cluster: 'bench', member: 'bench', onFatal });
  const fsm = new KvFsm({ files });
  let index = 0;
  return {
    put: async (from, to, numberOf) => {
      const entries: Entry[] = [];
      for (let at = from; at < to; at++) {
        const n = numberOf(at);
        const put = { type: 'put', key: keyOf(n), value: valueOf(n, shape.valueBytes) } as const;
        const txn = { type: 'txn', compare: [], success: [put], failure: [] } as const;
        const data = encodeCommand({ type: 'txn', atMs: 0, txn });
        entries.push({ index: logIndex(++index), term: term(1), type: 'normal', data });
      }
      fsm.apply(entries);
      if (fsm.store.versions.values.residentBytes > 64 * 2 ** 20) await fsm.store.versions.values.settled();
    },
    get: (n) => {
      const answer = fsm.store.range({ type: 'range', key: keyOf(n) });
      return 'result' in answer ? answer.result.kvs[0]?.value : undefined;
    },
    close: async () => {
      await fsm.store.versions.values.settled();
      await files.close();
    },
  };
}

interface Lmdb {
  open(options: object): {
    transactionSync(work: () => void): void;
    putSync(key: Buffer, value: Uint8Array): void;
    getBinary(key: Buffer): Uint8Array | undefined;
    close(): Promise<void>;
  };
}

async function lmdb(): Promise<Side> {
  const name = 'lmdb';
  const { open } = (await import(name)) as Lmdb;
  const path = `${folder}/data.mdb`;
  const db = open({
    path,
    encoding: 'binary',
    keyEncoding: 'binary',
    mapSize: 8 * 2 ** 30,
    overlappingSync: false,
  });
  const key = (n: number) => Buffer.from(keyOf(n), 'latin1');
  return {
    put: async (from, to, numberOf) =>
      db.transactionSync(() => {
        for (let at = from; at < to; at++)
          db.putSync(key(numberOf(at)), valueOf(numberOf(at), shape.valueBytes));
      }),
    get: (n) => db.getBinary(key(n)),
    close: () => db.close(),
  };
}

const MIB = 2 ** 20;
const used = await (side === 'lmdb' ? lmdb() : ours());
/** Each number once, in an order that is none. */
const scattered = (at: number) => (at * 7919) % shape.count;
let worstMs = 0;

async function puts(count: number): Promise<number> {
  const begun = performance.now();
  for (let at = 0; at < count; at += shape.batch) {
    const before = performance.now();
    await used.put(at, at + shape.batch, scattered);
    worstMs = Math.max(worstMs, performance.now() - before);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return (performance.now() - begun) / 1000;
}

const resident = () => process.memoryUsage.rss() / MIB;
const written = () => Number(/\nwrite_bytes: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))![1]) / MIB;
const onDisk = () =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(`${folder}/${name}`).blocks * 512, 0) / MIB;

const fillS = await puts(shape.count);
const filled = {
  fillS,
  worstFillMs: worstMs,
  residentMiB: resident(),
  writtenMiB: written(),
  diskMiB: onDisk(),
};
const begun = performance.now();
for (let at = 0; at < shape.reads; at++) {
  const n = (at * 31_337) % shape.count;
  const value = used.get(n);
  if (value === undefined || Buffer.from(value).readUInt32LE() !== n)
    throw new Error(`key ${n} has a wrong value`);
}
const readUs = ((performance.now() - begun) * 1000) / shape.reads;
const residentReadMiB = resident();
const overwriteS = await puts(shape.overwrites);
const overwrittenMiB = written() - filled.writtenMiB;
console.log(JSON.stringify({ ...filled, readUs, residentReadMiB, overwriteS, overwrittenMiB }));
await used.close();
