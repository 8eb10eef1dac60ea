/** Bugs on purpose in what watchers are told (planted-bugs.ts). */
import { revision, type Watcher, type WatchBatch, type WatchEvent } from 'raft-consensus';
import type { MemberParts } from '../../../actors/store/index.js';
import type { PlantedBug } from './planted-bugs.js';

type Watches = MemberParts['watches'];

export const watchBugs: readonly PlantedBug[] = [
  {
    name: 'progress-ahead',
    what: 'a batch says how far the store is, though later events are still to come',
    after: 'etcd #15220',
    seed: 3,
    seedsMax: 40,
    finds: /without (put|delete)|ahead of the store/,
    member: ({ watches, store }) =>
      changeBatches(watches, (batch) => ({ ...batch, revision: store.revision })),
  },
  {
    name: 'resume-skips-one',
    what: 'a watch that resumes begins one revision too late',
    after: 'etcd #19179, #17529: events lost',
    seed: 2,
    seedsMax: 40,
    finds: /instead of|without (put|delete)/,
    member: ({ watches }) => startElsewhere(watches, (start) => (start > 1 ? start + 1 : start)),
  },
  {
    name: 'tombstone-compacted',
    faults: ['pause-client', 'fall-behind', 'client-loss'],
    what: 'a watch from the compact revision misses a delete at exactly that revision',
    after: 'etcd #18089, #19179',
    seed: 11,
    seedsMax: 40,
    finds: /instead of|without delete/,
    member: ({ watches, store }) =>
      changeBatches(watches, (batch) => {
        const isKept = ({ type, kv }: WatchEvent) =>
          type === 'put' || kv.modRevision !== store.compactRevision;
        return { ...batch, events: batch.events.filter(isKept) };
      }),
  },
  {
    name: 'future-watch-begins-now',
    what: 'a watch from a revision that its member has not reached begins with the next change',
    after: 'etcd #20221',
    seed: 3,
    seedsMax: 40,
    finds: /late or twice|went back|too many|in a batch up to/,
    member: ({ watches, store }) => startElsewhere(watches, (start) => (start > store.revision ? 0 : start)),
  },
  {
    name: 'restore-not-told',
    faults: ['isolate-one', 'split', 'crash', 'pause'],
    what: 'watchers are not told that a snapshot replaced the state under them',
    after: 'etcd #15271',
    seed: 21,
    seedsMax: 40,
    finds: /instead of|without (put|delete)/,
    member: ({ watches }) =>
      changeWatchers(watches, (watcher) => {
        watcher.restored = () => undefined;
      }),
  },
];

/** A watch begins at another revision than was asked for. */
function startElsewhere(watches: Watches, startOf: (asked: number) => number): void {
  const original = watches.watch.bind(watches);
  watches.watch = (request, onReady) => {
    const startRevision = revision(startOf(request.startRevision ?? 0));
    return original({ ...request, startRevision }, onReady);
  };
}

function changeWatchers(watches: Watches, change: (watcher: Watcher) => void): void {
  const original = watches.watch.bind(watches);
  watches.watch = (request, onReady) => {
    const watcher = original(request, onReady);
    change(watcher);
    return watcher;
  };
}

function changeBatches(watches: Watches, change: (batch: WatchBatch) => WatchBatch): void {
  changeWatchers(watches, (watcher) => {
    const next = watcher.next.bind(watcher);
    watcher.next = (budget) => {
      const step = next(budget);
      return step.type === 'batch' ? { ...step, batch: change(step.batch) } : step;
    };
  });
}
