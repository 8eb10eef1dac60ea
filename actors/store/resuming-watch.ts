/** One watch that outlives the member that serves it: it resumes elsewhere from the last revision + 1. */
import { type Revision, revision, type WatchRequest } from 'raft-consensus';
import type { ActorRef } from '../runtime/index.js';
import type { StoreWatch, WatchHandler } from './client.js';
import type { KnownMembers } from './known-members.js';
import { storeLimits } from './limits.js';
import type { StoreMessage, StoreWatchReply } from './messages.js';
import type { WatchNews, WatchNewsItem } from './watch-news.js';
import { bytesOf } from './watchers.js';

type WatchLost = Extract<StoreWatchReply, { type: 'StoreWatchLost' }>;

export class ResumingWatch implements StoreWatch {
  readonly #news: WatchNews;
  readonly #members: KnownMembers;
  readonly #request: WatchRequest;
  readonly #handler: WatchHandler;
  readonly #onLost: (reply: WatchLost) => void;
  #next: Revision;
  /** Of the member that is asked, or is to be next. */
  #place: number;
  /** What members that cannot read the request have said since one that could. */
  #refusals: string[] = [];
  #closed = false;
  /** Who serves the watch, and under which name. */
  #serving: { readonly member?: ActorRef<StoreMessage>; readonly watchId: string } = { watchId: '' };
  #detach: () => void = () => {};

  constructor(
    news: WatchNews,
    members: KnownMembers,
    request: WatchRequest,
    handler: WatchHandler,
    onLost: (reply: WatchLost) => void,
  ) {
    this.#news = news;
    this.#onLost = onLost;
    this.#members = members;
    this.#place = members.nearest;
    this.#request = request;
    this.#handler = handler;
    this.#next = request.startRevision ?? revision(0);
    this.#open();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#detach();
  }

  requestProgress(): void {
    const { member, watchId } = this.#serving;
    if (member) this.#news.system.tell<StoreMessage>(member, { type: 'StoreWatchProgress', watchId });
  }

  #open(): void {
    const { system } = this.#news;
    const member = this.#members.at(this.#place);
    let expected = 0;
    let told = 0;
    let untoldBytes = 0;
    let open = true;
    let silence = system.env.clock.setTimer(storeLimits.watchOpenTimeoutMs, () => lost());
    const lost = () => {
      if (!open) return;
      this.#detach();
      system.env.clock.setTimer(storeLimits.watchResumeDelayMs, () => this.#again());
    };
    const acknowledge = () => {
      told = expected;
      untoldBytes = 0;
      system.tell<StoreMessage>(member.ref, { type: 'StoreWatchCredit', watchId, batches: expected });
    };
    const hear = (item: WatchNewsItem) => {
      silence.cancel();
      silence = system.env.clock.setTimer(storeLimits.watchSilenceMs, lost);
      switch (item.type) {
        case 'alive':
          if (item.seq !== expected) return lost();
          // What it was told may have got lost.
          if (item.wantsCredit) acknowledge();
          // A letter from before the last one comes late or twice, and no batch between them tells it from a new one.
          if (item.reached > 0 && item.reached + 1 >= this.#next) this.#deliver(item.reached, []);
          return;
        case 'batch':
          // A gap means that the link lost a batch: what was missed is asked for again.
          if (item.seq !== expected) return lost();
          expected += 1;
          this.#deliver(item.batch.revision, item.batch.events);
          untoldBytes += bytesOf(item.batch);
          if (!open) return;
          if (untoldBytes >= storeLimits.watchBytesInFlightMax / 4) return acknowledge();
          if (expected - told >= storeLimits.watchCreditBatches / 2) acknowledge();
          return;
        case 'StoreWatchCompacted':
          this.close();
          return this.#handler.onEnd({ type: 'compacted', compactRevision: item.compactRevision });
        case 'StoreWatchRefused':
        case 'StoreWatchLost':
          if (item.type === 'StoreWatchLost') this.#onLost(item);
          else this.#refusals.push(item.message);
          return lost();
        default:
          item satisfies never;
      }
    };
    const { watchId, replyTo } = this.#news.listen(hear);
    this.#serving = { member: member.ref, watchId };
    const stopListening = system.onNodeDown(member.ref.node, lost);
    this.#detach = () => {
      open = false;
      silence.cancel();
      stopListening();
      this.#news.forget(watchId);
      system.tell<StoreMessage>(member.ref, { type: 'StoreWatchCancel', watchId });
    };
    system.tell<StoreMessage>(member.ref, {
      type: 'StoreWatch',
      watchId,
      request: { ...this.#request, ...(this.#next > 0 && { startRevision: this.#next }) },
      replyTo,
      credit: storeLimits.watchCreditBatches,
    });
  }

  /** Elsewhere, unless all have said that they cannot read it: as many answers as there are members. */
  #again(): void {
    if (this.#closed) return;
    const [message] = this.#refusals;
    if (message === undefined || this.#refusals.length < this.#members.count) {
      this.#place = this.#members.after(this.#place);
      return this.#open();
    }
    this.#closed = true;
    this.#handler.onEnd({ type: 'refused', message });
  }

  #deliver(reached: Revision, events: Parameters<WatchHandler['onBatch']>[0]['events']): void {
    this.#refusals = [];
    this.#next = revision(reached + 1);
    this.#handler.onBatch({ revision: reached, events });
  }
}
