/**
 * A cluster enters an etcd cluster, before anything of it starts: the endpoints answer and are of one cluster, and the keys are
 * this cluster's. A key says whose they are. A cluster that had a store of its own may move when its backup was restored there.
 */
import type { RangeResult } from 'raft-consensus';
import type { EtcdStore } from '../actors/store/etcd-client/index.js';
import { StoreError } from '../actors/store/index.js';
import type { ClusterSpec, ExternalStore } from './cluster-spec.js';
import { checkShape, type ClusterShape } from './cluster-shape.js';
import { createCluster } from './create-cluster.js';
import type { DataDir } from './data-dir.js';
import { ExternalStoreError, storeUrl, withClient } from './external-store.js';

type Say = (line: string) => void;

/** Holds the id and the name of the cluster whose keys these are. */
const markerKey = '/kabuki/cluster';
/** How long an endpoint may take to answer before a cluster starts. */
const answerTimeoutMs = 5_000;

/** A new cluster. Nothing is written, here or there, before the store is made sure of. */
export async function createWithStore(
  dir: DataDir,
  shape: ClusterShape,
  store: ExternalStore | undefined,
  say: Say,
): Promise<ClusterSpec> {
  if (!store) return createCluster(dir, shape);
  const whole = checkShape({ ...shape, externalStore: store });
  await examineEndpoints(store, say);
  const found = await withClient(store, holdings);
  if (found.marker) refuseForeign(store, found.marker, undefined);
  if (found.objects > 0) {
    throw new ExternalStoreError(
      'NotOurs',
      `${storeUrl(store)} holds ${found.objects} objects under ${store.prefix}/registry/ that are not of a new cluster: ` +
        'give it keys of its own with --store-prefix',
    );
  }
  const spec = await createCluster(dir, whole);
  await claim(store, spec);
  return spec;
}

/** A cluster that was started before, with the endpoints of this start if any were given. */
export async function enterStore(
  dir: DataDir,
  old: ClusterSpec,
  store: ExternalStore | undefined,
  say: Say,
): Promise<ClusterSpec> {
  const { externalStore: known } = old;
  if (!known) return store ? await move(dir, old, store, say) : old;
  if (store && store.prefix !== known.prefix) {
    throw new ExternalStoreError(
      'InvalidStore',
      `${dir.path} holds a cluster with the prefix ${JSON.stringify(known.prefix)}, not ${JSON.stringify(store.prefix)}`,
    );
  }
  const spec = { ...old, externalStore: store ?? known };
  await examineEndpoints(spec.externalStore, say);
  const found = await withClient(spec.externalStore, holdings);
  if (found.marker) refuseForeign(spec.externalStore, found.marker, spec);
  else if (found.objects === 0)
    say(`${storeUrl(spec.externalStore)} holds nothing of this cluster any more: it begins empty`);
  else await refuseUnlessRestored(dir, spec.externalStore);
  await claim(spec.externalStore, spec);
  if (store) dir.writeSpec(spec);
  return spec;
}

/** From the built-in store, once its backup lies in etcd. */
async function move(dir: DataDir, old: ClusterSpec, store: ExternalStore, say: Say): Promise<ClusterSpec> {
  await examineEndpoints(store, say);
  const found = await withClient(store, holdings);
  if (found.marker) refuseForeign(store, found.marker, old);
  else await refuseUnlessRestored(dir, store);
  const spec = { ...old, externalStore: store };
  await claim(store, spec);
  dir.writeSpec(spec);
  say(`the objects of cluster "${spec.name}" are in ${storeUrl(store)} now; the store in ${dir.path} rests`);
  return spec;
}

/** The objects there are this cluster's when the authority that its pods are told to trust is ours. */
async function refuseUnlessRestored(dir: DataDir, store: ExternalStore): Promise<void> {
  const key = '/registry/configmaps/kube-system/kube-root-ca.crt';
  const found = await withClient(store, (client) =>
    client.range({ type: 'range', key }, { timeoutMs: answerTimeoutMs }),
  );
  const { data } = parsed(found.result.kvs[0]?.value) as { data?: Record<string, unknown> };
  if (data?.['ca.crt'] === dir.readText('pki/ca.crt')) return;
  throw new ExternalStoreError(
    'NotOurs',
    `the objects of the cluster in ${dir.path} are not in ${storeUrl(store)}. To move them: "kabuki store snapshot save FILE" while ` +
      'it runs, "kabuki down", "etcdctl snapshot restore FILE" for each member of a new etcd, start that, then this again',
  );
}

interface Holdings {
  readonly marker: Uint8Array | undefined;
  readonly objects: number;
}

async function holdings(client: EtcdStore): Promise<Holdings> {
  const options = { timeoutMs: answerTimeoutMs };
  const marker = await client.range({ type: 'range', key: markerKey }, options);
  const all = { type: 'range', key: '/registry/', rangeEnd: '/registry0', countOnly: true } as const;
  const objects = await client.range(all, options);
  return { marker: marker.result.kvs[0]?.value, objects: objects.result.count };
}

/** From here on the keys are this cluster's. */
async function claim(store: ExternalStore, spec: ClusterSpec): Promise<void> {
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

function refuseForeign(store: ExternalStore, marker: Uint8Array, known: ClusterSpec | undefined): void {
  const { id, name } = parsed(marker) as { id?: unknown; name?: unknown };
  if (known && id === known.id) return;
  throw new ExternalStoreError(
    'NotOurs',
    `${storeUrl(store)} holds the cluster ${JSON.stringify(name ?? '')} (id ${String(id)}), which has another data directory` +
      `${known ? ` than the one with id ${known.id}` : ''}: give this one keys of its own with --store-prefix`,
  );
}

/** An empty object for what is none. */
function parsed(bytes: Uint8Array | undefined): object {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes ?? []).toString());
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

async function examineEndpoints(store: ExternalStore, say: Say): Promise<void> {
  const outcomes = await Promise.all(
    store.endpoints.map(async (address) => {
      try {
        const one = { ...store, endpoints: [address] };
        const status = await withClient(one, (client) => client.status({ timeoutMs: answerTimeoutMs }));
        return { address, status };
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
  await examineRights(store);
}

async function examineRights(store: ExternalStore): Promise<void> {
  try {
    await withClient(store, (client) => client.checkRights({ timeoutMs: answerTimeoutMs }));
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'Refused') throw error;
    const isNobody = /user name is empty/.test(error.message);
    const what = isNobody
      ? 'it asks who calls: --store-user and --store-password-file say so'
      : store.user
        ? `user ${JSON.stringify(store.user.name)}: ${error.message}`
        : error.message;
    throw new ExternalStoreError('NoRights', `${storeUrl(store)} cannot be used: ${what}`, { cause: error });
  }
}

function whyLost(address: string, { message }: Error): string {
  const why = message.replace(/^no endpoint of the store can be reached: /, '');
  return why.includes(address) ? why : `${address}: ${why}`;
}
