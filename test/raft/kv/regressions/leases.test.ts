import { strict as assert } from 'node:assert';
import { KvError, leaseId } from 'raft-consensus';
import { put } from '../store-driver.js';
import { regression } from '../../planted-bug.js';
import { Member, type Plant } from './member.js';

const renew = (member: Member, id: number | bigint, atMs: number) =>
  member.try({ type: 'lease-renew', id: leaseId(id), atMs });
const expire = (member: Member, id: number, atMs: number) =>
  member.try({ type: 'lease-revoke', id: leaseId(id), reason: 'expired', atMs });

describe('lease regressions of etcd', () => {
  regression<Plant>(
    'a leader that stood still ends no lease that others renewed before its word came into the log (#15247, #12528)',
    (plant) => {
      const member = new Member(plant);
      for (const id of [1, 2, 3]) {
        member.do(put(`k${id}`, 'x', { lease: member.grant(id, 5_000) }));
        renew(member, id, 10_000);
        expire(member, id, 9_999);
      }
      assert.equal(member.dump(), 'k1=x k2=x k3=x');
      expire(member, 2, 15_000);
      assert.equal(member.dump(), 'k1=x k3=x');
    },
    (member) => {
      const apply = member.store.apply.bind(member.store);
      member.store.apply = (command, index) => {
        if (command.type !== 'lease-revoke') return apply(command, index);
        return apply({ type: 'lease-revoke', id: command.id, atMs: command.atMs }, index);
      };
    },
  );

  regression<Plant>(
    'a lease keeps its deadline over a change of leader and over a snapshot (#9395, #13294)',
    (plant) => {
      const first = new Member(undefined);
      first.do(put('k', 'x', { lease: first.grant(7, 5_000) }));
      first.try({ type: 'clock', atMs: 4_000 });
      const next = new Member(plant);
      next.restoreFrom(first);
      assert.equal(next.store.clockMs, 4_000);
      assert.deepEqual([next.store.leaseExpired(5_999), next.store.leaseExpired(6_000)], [[], [7]]);
    },
    (member) => {
      const restore = member.store.restore.bind(member.store);
      member.store.restore = (...args) => {
        const done = restore(...args);
        const { store } = member;
        for (const id of store.leases()) {
          store.apply({ type: 'lease-renew', id, atMs: store.clockMs }, store.appliedIndex + 1);
        }
        return done;
      };
    },
  );

  regression<Plant>(
    'a renewal of a revoked lease is refused, in whatever order they come (#20813)',
    (plant) => {
      const member = new Member(plant);
      member.grant(7, 5_000);
      assert.ok(!(renew(member, 7, 2_000) instanceof KvError));
      member.try({ type: 'lease-revoke', id: leaseId(7), atMs: 3_000 });
      const late = renew(member, 7, 3_000);
      assert.ok(late instanceof KvError && late.code === 'LeaseNotFound');
      assert.deepEqual(member.store.leases(), []);
    },
    (member) => {
      const apply = member.store.apply.bind(member.store);
      member.store.apply = (command, index) => {
        const applied = apply(command, index);
        if (command.type !== 'lease-renew' || !(applied instanceof KvError)) return applied;
        const result = { type: 'lease', id: command.id, ttlMs: 1, deadlineMs: 1 } as const;
        return { revision: member.store.revision, result };
      };
    },
  );

  regression<Plant>(
    'a lease that is granted and renewed at once has one deadline on every member (PR 14177)',
    (plant) => {
      const members = [new Member(undefined), new Member(plant)];
      for (const member of members) {
        member.grant(7, 5_000);
        renew(member, 7, 1_000);
        renew(member, 7, 900);
      }
      const deadlines = members.map(({ store }) => [store.leaseStatus(leaseId(7)), store.digest]);
      assert.deepEqual(deadlines[1], deadlines[0]);
      assert.deepEqual(members[1]!.store.leaseExpired(5_999), []);
    },
    (member) => {
      const apply = member.store.apply.bind(member.store);
      member.store.apply = (command, index) =>
        apply(command.type === 'batch' ? command : { ...command, atMs: command.atMs - 1 }, index);
    },
  );

  regression<Plant>(
    'a lease with a negative id is there after a snapshot, too, on every member (PR 14239)',
    (plant) => {
      const first = new Member(undefined);
      first.do(put('k', 'x', { lease: first.grant(-7, 5_000) }));
      const next = new Member(plant);
      next.restoreFrom(first);
      assert.deepEqual(next.store.leases(), [-7]);
      assert.equal(next.store.digest, first.store.digest);
      expire(next, -7, 6_000);
      assert.equal(next.dump(), '');
    },
    (member) => {
      const restore = member.store.restore.bind(member.store);
      member.store.restore = (...args) => {
        const done = restore(...args);
        const { store } = member;
        for (const id of store.leases()) {
          if (id < 0) store.apply({ type: 'lease-revoke', id, atMs: store.clockMs }, store.appliedIndex + 1);
        }
        return done;
      };
    },
  );
});
