/**
 * A cluster whose store is a real etcd: what `--store` says, the client that each master opens, and what is made sure of before
 * anything starts: that it answers, that its endpoints are one cluster, and that its keys are this cluster's.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { RangeResult } from 'raft-consensus';
import { realClock, realRandom } from '../actors/runtime/index.js';
import { EtcdStore, etcdClientLimits, http2Connect } from '../actors/store/etcd-client/index.js';
import type { ClusterSpec, ExternalStore } from './cluster-spec.js';
import { checkShape, type ClusterShape, createCluster } from './create-cluster.js';
import type { DataDir } from './data-dir.js';

export interface StoreOptions {
  /** `etcd://host:port,host:port`; `etcds://` for TLS. */
  readonly url: string;
  /** Before every key, `/team-a`. */
  readonly prefix?: string;
  /** PEM files: the authority of the servers; what we show to them. Any of them means TLS. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

export class ExternalStoreError extends Error {
  readonly code: 'InvalidStore' | 'Unreachable' | 'NotOurs';

  constructor(code: ExternalStoreError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ExternalStoreError';
    this.code = code;
  }
}

/** How long an endpoint may take to answer before a cluster starts. */
const answerTimeoutMs = 5_000;
const endpointsMax = 32;

export function parseStore({ url, prefix = '', caFile, certFile, keyFile }: StoreOptions): ExternalStore {
  const wrong = (what: string) => new ExternalStoreError('InvalidStore', what);
  const match = /^(etcds?):\/\/([^/]+)\/?$/.exec(url.trim());
  if (!match)
    throw wrong(`--store takes etcd://host:port,host:port (etcds:// for TLS), not ${JSON.stringify(url)}`);
  const endpoints = (match[2] as string).split(',').map((text) => endpointOf(text).address);
  const twice = endpoints.find((address, i) => endpoints.indexOf(address) !== i);
  if (twice !== undefined) throw wrong(`--store names ${twice} twice`);
  if (endpoints.length > endpointsMax) throw wrong(`--store takes at most ${endpointsMax} endpoints`);
  if (!/^(\/[A-Za-z0-9._-]+)*$/.test(prefix)) {
    throw wrong(`--store-prefix must be like /team-a, not ${JSON.stringify(prefix)}`);
  }
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw wrong('--store-cert and --store-key belong together');
  }
  const hasFiles = caFile !== undefined || certFile !== undefined;
  if (match[1] === 'etcd' && !hasFiles) return { endpoints, prefix };
  const tls = {
    ...(caFile !== undefined && { caFile: resolve(caFile) }),
    ...(certFile !== undefined &&
      keyFile !== undefined && { certFile: resolve(certFile), keyFile: resolve(keyFile) }),
  };
  const store = { endpoints, prefix, tls };
  tlsOf(store);
  return store;
}

/** `etcds://a:2379,b:2379/team-a`, for people. */
export function storeUrl({ endpoints, prefix, tls }: ExternalStore): string {
  return `${tls ? 'etcds' : 'etcd'}://${endpoints.join(',')}${prefix}`;
}

/** The client of one master: masters begin at different endpoints. */
export function openExternalStore(
  store: ExternalStore,
  first: number,
  note?: (what: string, fields: Readonly<Record<string, string | number | boolean>>) => void,
): EtcdStore {
  const start = first % store.endpoints.length;
  const tls = tlsOf(store);
  return new EtcdStore({
    endpoints: [...store.endpoints.slice(start), ...store.endpoints.slice(0, start)].map(endpointOf),
    connect: http2Connect({ clock: realClock, limits: etcdClientLimits, ...(tls && { tls }) }),
    clock: realClock,
    random: realRandom,
    prefix: store.prefix,
    ...(note && { note }),
  });
}

/**
 * Makes sure that the store can be used by this cluster, `known` when it has been started before. Rejects, within seconds, with
 * an ExternalStoreError that says what is wrong; lesser matters go to `say`.
 */
export async function examineStore(
  store: ExternalStore,
  known: ClusterSpec | undefined,
  say: (line: string) => void,
): Promise<void> {
  await examineEndpoints(store, say);
  const holder = await withClient(store, async (client) => {
    const marker = await client.range({ type: 'range', key: markerKey }, { timeoutMs: answerTimeoutMs });
    const [kv] = marker.result.kvs;
    if (kv) return kv.value;
    const any = {
      type: 'range',
      key: '/registry/',
      rangeEnd: '/registry0',
      limit: 1,
      keysOnly: true,
    } as const;
    const objects = await client.range(any, { timeoutMs: answerTimeoutMs });
    return objects.result.count;
  });
  if (holder instanceof Uint8Array) return refuseForeign(store, holder, known);
  if (holder > 0) {
    throw new ExternalStoreError(
      'NotOurs',
      `${storeUrl(store)} holds ${holder} keys under ${store.prefix}/registry/ that Kabuki did not write: ` +
        'give the cluster keys of its own with --store-prefix',
    );
  }
  if (known) say(`${storeUrl(store)} holds nothing of this cluster any more: it begins empty`);
}

/** From here on the keys are this cluster's. */
export async function claimStore(store: ExternalStore, spec: ClusterSpec): Promise<void> {
  const value = Buffer.from(JSON.stringify({ id: spec.id, name: spec.name }));
  const { result } = await withClient(store, (client) =>
    client.txn(
      {
        type: 'txn',
        compare: [{ key: markerKey, target: 'create', result: '=', operand: 0 }],
        success: [{ type: 'put', key: markerKey, value }],
        failure: [{ type: 'range', key: markerKey }],
      },
      { timeoutMs: answerTimeoutMs },
    ),
  );
  if (result.succeeded) return;
  const [found] = (result.results[0] as RangeResult).kvs;
  refuseForeign(store, found?.value ?? new Uint8Array(0), spec);
}

/** A new cluster, whose store is made sure of before anything is written. */
export async function createWithStore(
  dir: DataDir,
  shape: ClusterShape,
  store: ExternalStore | undefined,
  say: (line: string) => void,
): Promise<ClusterSpec> {
  if (!store) return createCluster(dir, shape);
  const whole = checkShape({ ...shape, externalStore: store });
  await examineStore(store, undefined, say);
  const spec = await createCluster(dir, whole);
  await claimStore(store, spec);
  return spec;
}

/** A cluster that was started before, with the endpoints of this start if any were given. */
export async function enterStore(
  dir: DataDir,
  old: ClusterSpec,
  store: ExternalStore | undefined,
  say: (line: string) => void,
): Promise<ClusterSpec> {
  if (store && !old.externalStore) {
    throw new ExternalStoreError(
      'InvalidStore',
      `${dir.path} holds a cluster with a store of its own, which --store does not move: leave --store out, or begin anew in another folder`,
    );
  }
  if (!old.externalStore) return old;
  if (store && store.prefix !== old.externalStore.prefix) {
    throw new ExternalStoreError(
      'InvalidStore',
      `${dir.path} holds a cluster with the prefix ${JSON.stringify(old.externalStore.prefix)}, not ${JSON.stringify(store.prefix)}`,
    );
  }
  const spec = { ...old, externalStore: store ?? old.externalStore };
  await examineStore(spec.externalStore, spec, say);
  await claimStore(spec.externalStore, spec);
  if (store) dir.writeSpec(spec);
  return spec;
}

/** For what only the built-in store has. */
export function refuseExternalStore(spec: ClusterSpec): void {
  if (!spec.externalStore) return;
  throw new ExternalStoreError(
    'InvalidStore',
    `the store of this cluster is ${storeUrl(spec.externalStore)}: none of its machines leads it or has a part of it; use etcdctl`,
  );
}

/** Says whose the keys are. */
const markerKey = '/kabuki/cluster';

function refuseForeign(store: ExternalStore, marker: Uint8Array, known: ClusterSpec | undefined): void {
  const text = Buffer.from(marker).toString();
  const { id, name } = ((): { id?: unknown; name?: unknown } => {
    try {
      return JSON.parse(text) as object;
    } catch {
      return { name: text };
    }
  })();
  if (known && id === known.id) return;
  throw new ExternalStoreError(
    'NotOurs',
    `${storeUrl(store)} holds the cluster ${JSON.stringify(name ?? '')} (id ${String(id)}), which has another data directory: ` +
      'give this one keys of its own with --store-prefix' +
      (known ? ` (its id is ${known.id})` : ''),
  );
}

async function examineEndpoints(store: ExternalStore, say: (line: string) => void): Promise<void> {
  const outcomes = await Promise.all(
    store.endpoints.map(async (address) => {
      try {
        const one = { ...store, endpoints: [address] };
        return {
          address,
          status: await withClient(one, (client) => client.status({ timeoutMs: answerTimeoutMs })),
        };
      } catch (error) {
        return { address, error: error as Error };
      }
    }),
  );
  const well = outcomes.flatMap(({ address, status }) => (status ? [{ address, ...status }] : []));
  const lost = outcomes.flatMap(({ address, error }) => (error ? [whyLost(address, error)] : []));
  if (well.length === 0) {
    throw new ExternalStoreError('Unreachable', `${storeUrl(store)} cannot be used: ${lost.join('; ')}`);
  }
  for (const line of lost) say(`one endpoint of the store does not answer: ${line}`);
  const clusters = new Set(well.map(({ clusterId }) => clusterId));
  if (clusters.size > 1) {
    const each = well.map(({ address, clusterId }) => `${address} of ${clusterId.toString(16)}`).join(', ');
    throw new ExternalStoreError('InvalidStore', `--store names members of different etcd clusters: ${each}`);
  }
  for (const { address, errors } of well) for (const error of errors) say(`store ${address}: ${error}`);
}

function whyLost(address: string, { message }: Error): string {
  const why = message.replace(/^no endpoint of the store can be reached: /, '');
  return why.includes(address) ? why : `${address}: ${why}`;
}

async function withClient<T>(store: ExternalStore, use: (client: EtcdStore) => Promise<T>): Promise<T> {
  const client = openExternalStore(store, 0);
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

function endpointOf(text: string): { address: string; host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const port = Number(match?.[3] ?? 2379);
  if (!match || port < 1 || port > 65_535) {
    throw new ExternalStoreError('InvalidStore', `--store: ${JSON.stringify(text)} is not host:port`);
  }
  const host = (match[1] ?? match[2]) as string;
  return { address: `${match[1] === undefined ? host : `[${host}]`}:${port}`, host, port };
}

/** Undefined: plaintext. */
function tlsOf({ tls }: ExternalStore) {
  if (!tls) return undefined;
  const read = (option: string, path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch (cause) {
      const what = `${option} ${path} cannot be read: ${(cause as Error).message}`;
      throw new ExternalStoreError('InvalidStore', what, { cause });
    }
  };
  return {
    ...(tls.caFile !== undefined && { ca: read('--store-cacert', tls.caFile) }),
    ...(tls.certFile !== undefined && { certificate: read('--store-cert', tls.certFile) }),
    ...(tls.keyFile !== undefined && { key: read('--store-key', tls.keyFile) }),
  };
}
