/**
 * A store with its watches, into which one bug can be planted: each regression test runs once as it is, and once with the bug
 * that etcd had, which must make it fail. Else the test proves nothing.
 */
import {
  KvStore,
  type WatchRequest,
  WatchHub,
  type WatcherLimits,
  type Watcher,
  revision,
} from 'raft-consensus';
import { StoreDriver, drain, eventsOf } from '../store-driver.js';

/** Changes a fresh member into one that has the bug. */
export type Plant = (member: Member) => void;

export class Member extends StoreDriver {
  readonly hub: WatchHub;

  constructor(plant: Plant | undefined, limits?: Partial<WatcherLimits>) {
    super(new KvStore());
    this.hub = new WatchHub(this.store, limits);
    plant?.(this);
  }

  watch(from = 0, more: Partial<WatchRequest> = {}): Watcher {
    const request = { key: '\0', rangeEnd: '\0', startRevision: revision(from), ...more };
    return this.hub.watch(request, () => undefined);
  }

  /** All events from a revision on, of a new watch. */
  events(from: number, more: Partial<WatchRequest> = {}): string {
    return eventsOf(drain(this.watch(from, more)));
  }

  /** Replaces what a watcher answers. */
  wrapWatchers(wrap: (watcher: Watcher) => void): void {
    const original = this.hub.watch.bind(this.hub);
    this.hub.watch = (request, onReady) => {
      const watcher = original(request, onReady);
      wrap(watcher);
      return watcher;
    };
  }
}
