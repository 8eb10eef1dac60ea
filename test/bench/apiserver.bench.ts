/**
 * Requests per second of the whole path, HTTPS through the front address to three apiservers and back, with
 * connections kept alive, and the time from a write to the event at each of many watchers. One Node process is the
 * client, so that its own cost (TLS, HTTP) is in every figure.
 */
import { BenchCluster, type HttpsClient } from './cluster.js';
import { cpuMs, cpuMsOf } from './figures.js';
import type { Bench } from './suite.js';
import type { BenchRow } from './table.js';

const connections = 16;
const listed = 500;
const watchers = 50;
const watchedWrites = 100;
const namespaces = ['bench-list', 'bench-write', 'bench-watch'] as const;

export const apiserverBench: Bench = async ({ folder, seconds, say }) => {
  const cluster = await BenchCluster.up(`${folder}/cluster`);
  const client = cluster.client(connections);
  const watching = cluster.client(watchers);
  try {
    const pids = await cluster.pids();
    for (const name of namespaces) {
      await client.expect(201, 'POST', '/api/v1/namespaces', objectOf('Namespace', name));
    }
    let made = 0;
    await concurrently(connections, async () => {
      for (let i = made++; i < listed; i = made++) {
        await client.expect(201, 'POST', path('bench-list'), objectOf('ConfigMap', `object-${i}`));
      }
    });
    const measure = (name: string, request: (i: number) => Promise<unknown>) =>
      measureRequests(name, pids, seconds * 1000, request, say);
    return [
      ...(await measure('GET one object', () => client.expect(200, 'GET', `${path('bench-list')}/object-7`))),
      ...(await measure(`LIST ${listed} objects`, () => client.expect(200, 'GET', path('bench-list')))),
      ...(await measure('POST a config map', (i) =>
        client.expect(201, 'POST', path('bench-write'), objectOf('ConfigMap', `object-${i}`)),
      )),
      ...(await watchRows(client, watching)),
    ];
  } finally {
    client.close();
    watching.close();
    await cluster.down();
  }
};

async function measureRequests(
  name: string,
  pids: readonly number[],
  durationMs: number,
  request: (i: number) => Promise<unknown>,
  say: (line: string) => void,
): Promise<BenchRow[]> {
  let count = 0;
  let next = 0;
  const warm = performance.now() + 500;
  await concurrently(connections, async () => {
    while (performance.now() < warm) await request(next++);
  });
  const before = cpuMsOf(pids);
  const clientBefore = cpuMs(process.pid);
  const begun = performance.now();
  const end = begun + durationMs;
  await concurrently(connections, async () => {
    while (performance.now() < end) {
      await request(next++);
      count += 1;
    }
  });
  const seconds = (performance.now() - begun) / 1000;
  const serverMs = ((cpuMsOf(pids) - before) / count) * 1000;
  const clientMs = ((cpuMs(process.pid) - clientBefore) / count) * 1000;
  say(
    `${name}: ${(count / seconds).toFixed(0)}/s, CPU per 1,000: cluster ${serverMs.toFixed(0)} ms, client ${clientMs.toFixed(0)} ms`,
  );
  return [
    { name: `apiserver: ${name}, ${connections} connections`, ours: count / seconds, unit: 'requests/s' },
    { name: `apiserver: ${name}, CPU of the cluster`, ours: serverMs, unit: 'ms/1000 requests' },
  ];
}

/** One writer, many watchers: time from the start of a POST to the event at each watcher. */
async function watchRows(client: HttpsClient, watching: HttpsClient): Promise<BenchRow[]> {
  const sentAt = new Map<string, number>();
  const latencies: number[] = [];
  let failure: Error | undefined;
  let arrived = () => {};
  const seen = (line: string) => {
    const name = /"name":"(event-\d+)"/.exec(line)?.[1];
    const sent = name === undefined ? undefined : sentAt.get(name);
    if (sent === undefined) return;
    latencies.push(performance.now() - sent);
    arrived();
  };
  const ends = Array.from({ length: watchers }, () =>
    watching.watch(`${path('bench-watch')}?watch=1`, seen, (error) => {
      failure = error;
      arrived();
    }),
  );
  try {
    for (let i = 0; i < watchedWrites; i++) {
      const name = `event-${i}`;
      const all = new Promise<void>((resolve) => {
        // Watchers that were not open yet at the first writes get them as the state at their start.
        arrived = () => {
          if (failure !== undefined || latencies.length >= watchers * (i + 1)) resolve();
        };
      });
      sentAt.set(name, performance.now());
      await client.expect(201, 'POST', path('bench-watch'), objectOf('ConfigMap', name));
      await bounded(all, `event ${i} at ${watchers} watchers`);
      if (failure !== undefined) throw failure;
    }
  } finally {
    for (const end of ends) end();
  }
  const steady = latencies.slice(watchers * 10).sort((a, b) => a - b);
  const at = (part: number) => steady[Math.floor(steady.length * part)] ?? Number.NaN;
  return [
    { name: `apiserver: POST to event at ${watchers} watchers, p50`, ours: at(0.5), unit: 'ms' },
    { name: `apiserver: POST to event at ${watchers} watchers, p99`, ours: at(0.99), unit: 'ms' },
  ];
}

function bounded(promise: Promise<void>, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within 10 s`)), 10_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function concurrently(count: number, work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, work));
}

function path(namespace: (typeof namespaces)[number]): string {
  return `/api/v1/namespaces/${namespace}/configmaps`;
}

function objectOf(kind: 'ConfigMap' | 'Namespace', name: string): string {
  const data = kind === 'ConfigMap' ? { data: { key: 'v'.repeat(256) } } : {};
  return JSON.stringify({ apiVersion: 'v1', kind, metadata: { name }, ...data });
}
