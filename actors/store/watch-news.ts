/** Where a client hears of all its watches: members write to one address, and a letter may be for many of them. */
import type { Revision, WatchBatch } from 'raft-consensus';
import { type ActorRef, type ActorSystem, misshapen } from '../runtime/index.js';
import { watchReplies } from './letter-check.js';
import type { StoreWatchReply } from './messages.js';

/** What a letter says about one watch. */
export type WatchNewsItem =
  | { readonly type: 'batch'; readonly seq: number; readonly batch: WatchBatch }
  | {
      readonly type: 'alive';
      readonly seq: number;
      readonly reached: Revision;
      readonly wantsCredit: boolean;
    }
  | Extract<StoreWatchReply, { type: 'StoreWatchCompacted' | 'StoreWatchRefused' | 'StoreWatchLost' }>;

type Listener = (item: WatchNewsItem) => void;

export class WatchNews {
  readonly system: ActorSystem;
  readonly #listeners = new Map<string, Listener>();
  #address: { readonly ref: ActorRef<StoreWatchReply>; close(): void } | undefined;
  #seq = 0;

  constructor(system: ActorSystem) {
    this.system = system;
  }

  /** A watch under a new id. The address lives as long as anybody listens at it. */
  listen(listener: Listener): { readonly watchId: string; readonly replyTo: ActorRef<StoreWatchReply> } {
    this.#address ??= this.system.callback<StoreWatchReply>('store-watch', (reply) => this.#hear(reply));
    const { ref } = this.#address;
    this.#seq += 1;
    const watchId = `${ref.node}${ref.path.slice(ref.path.lastIndexOf('/'))}.${this.#seq}`;
    this.#listeners.set(watchId, listener);
    return { watchId, replyTo: ref };
  }

  forget(watchId: string): void {
    this.#listeners.delete(watchId);
    if (this.#listeners.size > 0) return;
    this.#address?.close();
    this.#address = undefined;
  }

  #hear(reply: StoreWatchReply): void {
    const why = misshapen(reply, watchReplies);
    if (why !== undefined) return this.system.refuse(why);
    switch (reply.type) {
      case 'StoreWatchBatch': {
        const { batch } = reply;
        for (const [watchId, seq] of reply.watches) this.#tell(watchId, { type: 'batch', seq, batch });
        return;
      }
      case 'StoreWatchAlive':
        for (const [watchId, seq, reached, wantsCredit] of reply.watches) {
          this.#tell(watchId, { type: 'alive', seq, reached, wantsCredit });
        }
        return;
      case 'StoreWatchCompacted':
      case 'StoreWatchRefused':
      case 'StoreWatchLost':
        return this.#tell(reply.watchId, reply);
      default:
        reply satisfies never;
    }
  }

  /** A handler that fails ends no watch but its own, which misses the member's words from now on and begins anew. */
  #tell(watchId: string, item: WatchNewsItem): void {
    try {
      this.#listeners.get(watchId)?.(item);
    } catch (error) {
      this.#listeners.delete(watchId);
      this.system.note('/store-watch', 'watch handler failed', { watchId, error: String(error) });
    }
  }
}
