/**
 * Whether the user whom an etcd was told of may do all that this client does there: with keys under the prefix and `/`, with the
 * key by which compaction is agreed on, and, where only such a one can be trusted, with a watch of all keys (watches.ts).
 * Without the last two rights everything would seem well, and history grow or watches stand still.
 */
import type { TxnOp } from 'raft-consensus';
import { RangeRequest, RangeResponse, TxnRequest, TxnResponse } from '../etcd/kv-messages.js';
import { StoreError } from '../client.js';
import type { Calls } from './calls.js';
import { compactionKey } from './compactor.js';
import { Requests } from './requests.js';
import { saysProgressInOrder } from './version.js';

const range = { path: '/etcdserverpb.KV/Range', request: RangeRequest, response: RangeResponse };
const txn = { path: '/etcdserverpb.KV/Txn', request: TxnRequest, response: TxnResponse };
const everywhere = new Requests('');

export interface RightsOptions {
  readonly calls: Calls;
  /** With the prefix. */
  readonly requests: Requests;
  /** Of etcd. */
  readonly version: string;
  readonly timeoutMs: number;
}

/** Rejects with a StoreError that says which right is missing. Writes nothing. */
export async function checkRights({ calls, requests, version, timeoutMs }: RightsOptions): Promise<void> {
  const { key, rangeEnd } = requests.outside({ key: '/', rangeEnd: '0' });
  await saying(`read and write the keys from ${key} to ${rangeEnd}`, async () => {
    await calls.make(range, { key, rangeEnd, countOnly: true }, 'read', timeoutMs);
    await calls.make(txn, requests.txn(neverPut('/')), 'read', timeoutMs);
  });
  await saying(`read and write ${compactionKey}, by which compaction is agreed on`, async () => {
    await calls.make(txn, everywhere.txn(neverPut(compactionKey)), 'read', timeoutMs);
  });
  if (saysProgressInOrder(version)) return;
  const why = `etcd ${version} can be trusted with the progress of a watch of all keys only (3.4.31 and 3.5.13 with any)`;
  await saying(`read all keys: ${why}`, async () => {
    await calls.make(range, { key: '\0', rangeEnd: '\0', countOnly: true }, 'read', timeoutMs);
  });
}

/** Rights are asked for both branches; no key has such a version. */
function neverPut(key: string): TxnOp {
  return {
    type: 'txn',
    compare: [{ key, target: 'version', result: '<', operand: 0 }],
    success: [{ type: 'put', key, value: Buffer.alloc(0) }],
    failure: [],
  };
}

async function saying(what: string, ask: () => Promise<void>): Promise<void> {
  try {
    await ask();
  } catch (cause) {
    if (!(cause instanceof StoreError) || !/permission denied/.test(cause.message)) throw cause;
    throw new StoreError('Refused', `it may not ${what}`, true, { cause });
  }
}
