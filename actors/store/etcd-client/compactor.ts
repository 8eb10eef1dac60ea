/**
 * Who cuts the history of an etcd cluster: nobody there does it by itself. All apiservers, and kube-apiservers that share the
 * cluster, agree through one key without a prefix, whose version counts the rounds: who wins a round compacts to where the
 * store stood a round before (k8s.io/apiserver pkg/storage/etcd3/compact.go).
 */
import { KvError, revision, type RangeResult, type Revision, type TxnOp } from 'raft-consensus';
import type { Clock, Timer } from '../../../transport/index.js';
import { StoreError } from '../client.js';
import { CompactionRequest, CompactionResponse, TxnRequest, TxnResponse } from '../etcd/kv-messages.js';
import type { Calls } from './calls.js';
import type { EtcdClientLimits } from './limits.js';
import { Requests } from './requests.js';

export interface CompactorOptions {
  readonly calls: Calls;
  readonly clock: Clock;
  readonly limits: EtcdClientLimits;
  note(what: string, fields: Readonly<Record<string, string | number | boolean>>): void;
}

const txn = { path: '/etcdserverpb.KV/Txn', request: TxnRequest, response: TxnResponse };
const compact = {
  path: '/etcdserverpb.KV/Compact',
  request: CompactionRequest,
  response: CompactionResponse,
};
/** Of all apiservers, without a prefix. */
export const compactionKey = 'compact_rev_key';
const requests = new Requests('');

export class Compactor {
  readonly #options: CompactorOptions;
  /** The round and the revision that were seen last. */
  #round = 0;
  #seen: Revision = revision(0);
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: CompactorOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock, limits, note } = this.#options;
    this.#timer = clock.setTimer(limits.compactionIntervalMs, () => {
      this.#playRound()
        // The next round does what this one could not.
        .catch((error: unknown) => note('store not compacted', { why: (error as Error).message }))
        .finally(() => {
          if (!this.#isStopped) this.start();
        });
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #playRound(): Promise<void> {
    const { calls, note } = this.#options;
    const to = this.#seen;
    const { answer } = await calls.make(txn, requests.txn(roundOf(this.#round, to)), 'write');
    const { succeeded, results } = requests.txnResult(answer);
    this.#seen = revision(answer.header?.revision ?? 0);
    if (!succeeded) {
      // Somebody else has won.
      this.#round = (results[0] as RangeResult | undefined)?.kvs[0]?.version ?? 0;
      return;
    }
    this.#round += 1;
    if (to === 0) return;
    try {
      await calls.make(compact, { revision: to, physical: false }, 'write');
      note('store compacted', { revision: to });
    } catch (error) {
      const isDone =
        error instanceof StoreError && (error.cause as KvError | undefined)?.code === 'Compacted';
      if (!isDone) throw error;
    }
  }
}

function roundOf(round: number, to: Revision): TxnOp {
  return {
    type: 'txn',
    compare: [{ key: compactionKey, target: 'version', result: '=', operand: round }],
    success: [{ type: 'put', key: compactionKey, value: Buffer.from(String(to)) }],
    failure: [{ type: 'range', key: compactionKey }],
  };
}
