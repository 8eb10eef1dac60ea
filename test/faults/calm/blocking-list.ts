/** Loaded before a member: lists of one range stop its event loop, as no list may. To see that the test would see it. */
import { KvStore } from 'raft-consensus';

const blockingKey = 'blocking/';
/** Longer than followers have patience with their leader at least. */
const blockMs = 1_000;

const { openRange } = KvStore.prototype;
KvStore.prototype.openRange = function (op, ...more) {
  const until = performance.now() + blockMs;
  while (op.key === blockingKey && performance.now() < until);
  return openRange.call(this, op, ...more);
};
