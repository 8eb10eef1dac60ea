/** Bugs on purpose in how leases are timed and renewed (planted-bugs.ts). */
import { type Command, decodeCommand, encodeCommand, KvError } from 'raft-consensus';
import type { PlantedBug } from './planted-bugs.js';

export const leaseBugs: readonly PlantedBug[] = [
  {
    name: 'lease-cut-short',
    what: 'leases are revoked half a second early, whatever the replicated deadline says',
    after: 'etcd #15247, #12528',
    seed: 1,
    seedsMax: 40,
    finds: /before its lease ended/,
    member: ({ store }) => {
      const expired = store.leaseExpired.bind(store);
      store.leaseExpired = (nowMs) => expired(nowMs + 500);
      const apply = store.apply.bind(store);
      store.apply = (command, index) => apply(withoutReason(command), index);
    },
  },
  {
    name: 'lease-by-wall-clock',
    faults: ['clock-jump', 'coup', 'transfer'],
    what: 'lease time is the wall clock of whoever leads',
    after: 'etcd #9395, #13294; Jepsen: clock skew',
    seed: 1,
    seedsMax: 40,
    finds: /before its lease ended/,
    member: ({ raft, store }, clock) => {
      const apply = raft.apply.bind(raft);
      raft.apply = (bytes, timeoutMs) =>
        apply(encodeCommand(stamped(decodeCommand(bytes), clock.nowMs())), timeoutMs);
      const expired = store.leaseExpired.bind(store);
      store.leaseExpired = () => expired(clock.nowMs());
    },
  },
  {
    name: 'lease-renewed-when-gone',
    what: 'a renewal of a lease that was revoked is answered as done',
    after: 'etcd #20813',
    seed: 1,
    seedsMax: 40,
    finds: /renewed after it had been revoked/,
    member: ({ store }) => {
      const apply = store.apply.bind(store);
      store.apply = (command, index) => {
        const applied = apply(command, index);
        if (command.type !== 'lease-renew' || !(applied instanceof KvError)) return applied;
        const { id } = command;
        return { revision: store.revision, result: { type: 'lease', id, ttlMs: 1_000, deadlineMs: 0 } };
      };
    },
  },
];

function stamped(command: Command, atMs: number): Command {
  if (command.type !== 'batch') return { ...command, atMs };
  return { ...command, commands: command.commands.map((one) => ({ ...one, atMs })) };
}

function withoutReason(command: Command): Command {
  if (command.type !== 'lease-revoke') return command;
  const { type, id, atMs } = command;
  return { type, id, atMs };
}
