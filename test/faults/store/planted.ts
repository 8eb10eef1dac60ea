/**
 * Bugs on purpose in the members' own processes, to see that the checkers find them there too: those of the simulator where
 * they wrap what Raft is started with, and some more. One for each checker.
 */
import { strict as assert } from 'node:assert';
import { type Applied, KvStore, Raft, revision, WatchHub } from 'raft-consensus';
import { realClock } from '../../../actors/runtime/index.js';
import type { MemberParts, MemberStorage } from '../../../actors/store/index.js';
import { bugNamed } from '../../sim/raft/planted-bugs.js';

const bugs = {
  'ack-before-fsync': fromSimulator('ack-before-fsync'),
  'follower-reads-at-once': fromSimulator('follower-reads-at-once'),
  'lease-cut-short': fromSimulator('lease-cut-short'),
  /** As the simulator's, but not of watches with previous versions: from those the truth is learned. */
  'resume-skips-one': () => {
    const { watch } = WatchHub.prototype;
    WatchHub.prototype.watch = function (request, onReady) {
      const start = request.prevKv ? 0 : (request.startRevision ?? 0);
      return watch.call(
        this,
        start > 1 ? { ...request, startRevision: revision(start + 1) } : request,
        onReady,
      );
    };
  },
  /** One member now and then writes something else than it was told. */
  'member-strays': (machine: string) => {
    if (machine !== 'store-2') return;
    const { apply } = KvStore.prototype;
    KvStore.prototype.apply = function (command, index) {
      if (command.type !== 'txn' || index % 7 !== 0) return apply.call(this, command, index);
      const success = command.txn.success.map((op) =>
        op.type === 'put' ? { ...op, value: Buffer.from('strayed') } : op,
      );
      return apply.call(this, { ...command, txn: { ...command.txn, success } }, index);
    };
  },
} as const satisfies Readonly<Record<string, (machine: string) => void>>;

export type PlantedName = keyof typeof bugs;

export const plantedNames = Object.keys(bugs) as readonly PlantedName[];

export function plant(name: PlantedName, machine: string): void {
  bugs[name](machine);
}

/** Wraps what Raft is started with, as the simulator does when it makes a member. */
function fromSimulator(name: string): () => void {
  return () => {
    const bug = bugNamed(name);
    if (!bug) throw new TypeError(`the simulator has no bug ${name}`);
    // The one of this process: whoever begins with it listens to it.
    let store: KvStore | undefined;
    const begins = (one: KvStore) => (store = one);
    const { listen } = KvStore.prototype;
    KvStore.prototype.listen = function (listener) {
      begins(this);
      listen.call(this, listener);
    };
    const start = Raft.start.bind(Raft);
    Raft.start = (async (options: Parameters<typeof Raft.start<Applied | null>>[0]) => {
      const { storage: log, snapshots } = options;
      const whole: MemberStorage = {
        log,
        snapshots,
        openValues: () => assert.fail('the member has opened them'),
        close: async () => {},
      };
      const wrapped = bug.storage?.(whole, realClock) ?? whole;
      const raft = await start({ ...options, storage: wrapped.log, snapshots: wrapped.snapshots });
      // Bugs of watches are planted in the class, above: the hub is not among what Raft is given.
      assert(store, 'nobody has listened to a store before its log was read');
      const parts = { raft, store } as MemberParts;
      bug.member?.(parts, realClock);
      return raft;
    }) as typeof Raft.start;
  };
}
