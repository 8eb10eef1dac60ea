/**
 * Who comes first among keys under a prefix, the way etcd's locks and elections decide it: everyone writes a key of his own,
 * bound to his lease, and it is the turn of the one that was created first. The key's create revision fences: whoever writes
 * elsewhere under `create revision of my key = mine` cannot do so after he lost his turn.
 */
import { type KeyValue, type LeaseId, leaseId, type Revision, revision } from 'raft-consensus';
import type { CallerStore } from '../caller-store.js';
import type { StoreClient } from '../client.js';
import { etcdLimits } from './limits.js';
import type { Call } from './method.js';
import { code, errors, GrpcError } from './status.js';

/** Whoever watches keys under a prefix has read them all first, on the behalf of the caller. */
export type Watches = Pick<StoreClient, 'watch'>;

interface Place {
  readonly key: string;
  readonly lease: LeaseId;
  /** The create revision of the key: it stays as long as the key does. */
  readonly rev: Revision;
}

interface Entered {
  readonly place: Place;
  /** What the key says. */
  readonly said: Uint8Array;
}

const noBytes = new Uint8Array(0);

/** Enters and waits; whoever gives up or fails on the way leaves no key behind. Without a lease a session of 60 s is opened. */
export async function takeTurn(
  client: CallerStore,
  watches: Watches,
  name: string,
  lease: number | bigint,
  value: Uint8Array | undefined,
  call: Call,
) {
  const own = lease === 0 ? await client.leaseGrant(etcdLimits.sessionTtlMs) : leaseId(lease);
  const { place, said } = await enter(client, name, own, value);
  try {
    return { place, said, at: await waitForTurn(client, watches, name, place, call) };
  } catch (error) {
    await leaveIfOwn(client, place.key, place.rev);
    throw error;
  }
}

/** Takes a place; the one that it has already when the lease stood in this queue before. */
async function enter(
  client: CallerStore,
  name: string,
  lease: LeaseId,
  value: Uint8Array = noBytes,
): Promise<Entered> {
  const prefix = `${name}/`;
  const key = prefix + lease.toString(16);
  const { revision: at, result } = await client.txn({
    type: 'txn',
    compare: [{ key, target: 'create', result: '=', operand: 0 }],
    success: [{ type: 'put', key, value, lease }],
    failure: [{ type: 'range', key }],
  });
  if (result.succeeded) return { place: { key, lease, rev: at }, said: value };
  const there = result.results[0];
  const kv = there?.type === 'range' ? there.kvs[0] : undefined;
  if (kv === undefined) throw new GrpcError(code.internal, 'etcdserver: a key was there and was not');
  return { place: { key, lease, rev: kv.createRevision }, said: kv.value };
}

/** Resolves when nobody is before it any more; the revision is that of the proof. Rejects when its key is gone. */
async function waitForTurn(
  client: CallerStore,
  watches: Watches,
  name: string,
  place: Place,
  call: Call,
): Promise<Revision> {
  for (;;) {
    if (call.isGone) throw errors.canceled();
    const before = await lastBefore(client, name, place.rev);
    if (!before.kv) break;
    await gone(watches, before.kv.key, before.at, call);
  }
  // The lease may have ended while others were waited for (etcd-io/etcd #11456).
  const { revision: at, result } = await client.range({ type: 'range', key: place.key });
  if (result.kvs[0]?.createRevision !== place.rev) {
    throw new GrpcError(code.unknown, 'etcdserver: session is expired');
  }
  return at;
}

export async function leave(client: CallerStore, key: string): Promise<Revision> {
  const success = [{ type: 'delete' as const, key }];
  return (await client.txn({ type: 'txn', compare: [], success, failure: [] })).revision;
}

/** Deletes a key unless it is somebody else's by now. */
export async function leaveIfOwn(client: CallerStore, key: string, rev: number): Promise<Revision> {
  const { revision: at } = await client.txn({
    type: 'txn',
    compare: [{ key, target: 'create', result: '=', operand: rev }],
    success: [{ type: 'delete', key }],
    failure: [],
  });
  return at;
}

/** The first under the prefix: who holds the lock, who leads. */
export async function firstOf(
  client: CallerStore,
  name: string,
): Promise<{ readonly at: Revision; readonly kv: KeyValue | undefined }> {
  const { revision: at, result } = await client.range({
    type: 'range',
    key: `${name}/`,
    rangeEnd: endOfPrefix(`${name}/`),
    sort: { target: 'create', order: 'ascend' },
    limit: 1,
  });
  return { at, kv: result.kvs[0] };
}

/** The first key after all keys that begin with the prefix. */
export function endOfPrefix(prefix: string): string {
  let length = prefix.length;
  while (length > 0 && prefix.charCodeAt(length - 1) === 0xff) length -= 1;
  if (length === 0) return '\0';
  return prefix.slice(0, length - 1) + String.fromCharCode(prefix.charCodeAt(length - 1) + 1);
}

async function lastBefore(client: CallerStore, name: string, rev: Revision) {
  const { revision: at, result } = await client.range({
    type: 'range',
    key: `${name}/`,
    rangeEnd: endOfPrefix(`${name}/`),
    sort: { target: 'create', order: 'descend' },
    maxCreateRevision: revision(rev - 1),
    limit: 1,
  });
  return { at, kv: result.kvs[0] };
}

/** Resolves when the key was deleted after `at`. */
function gone(watches: Watches, key: string, at: Revision, call: Call): Promise<void> {
  return new Promise((resolve) => {
    const watch = watches.watch(
      { key, startRevision: revision(at + 1), noPut: true },
      {
        onBatch: ({ events }) => {
          if (events.length === 0) return;
          watch.close();
          resolve();
        },
        // History is gone: look again.
        onEnd: () => resolve(),
      },
    );
    call.onGone(() => {
      watch.close();
      resolve();
    });
  });
}
