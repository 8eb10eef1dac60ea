import { strict as assert } from 'node:assert';
import { type AuthChange, type Caller, type Command, KvError } from 'raft-consensus';
import { put, txn } from '../store-driver.js';
import { regression } from '../../planted-bug.js';
import { Member, type Plant } from './member.js';

const alice: Caller = { type: 'certificate', user: 'alice' };
const tokenKey = new Uint8Array(32).fill(7);

const beginnings: readonly AuthChange[] = [
  { type: 'user-add', user: 'root', passwordHash: 'h' },
  { type: 'user-grant', user: 'root', role: 'root' },
  { type: 'user-add', user: 'alice', passwordHash: 'h' },
  { type: 'role-add', role: 'writer' },
  { type: 'enable', tokenKey },
];

const change = (member: Member, ...changes: readonly AuthChange[]) => {
  for (const one of changes) {
    const applied = member.try({ type: 'auth', change: one, atMs: member.atMs });
    assert.ok(!(applied instanceof KvError), String(applied));
  }
};

/** alice writes: what comes of it on this member. */
const outcome = (member: Member): string => {
  const write = { type: 'txn', txn: txn([put('a', 'x')]), caller: alice, atMs: member.atMs } as Command;
  const applied = member.try(write);
  return applied instanceof KvError ? applied.code : 'done';
};

describe('auth regressions of etcd', () => {
  regression<Plant>(
    'a member that a snapshot brought up to date judges by the rights in it, as those do that have the log (#14571)',
    (plant) => {
      const [leader, behind] = [new Member(undefined), new Member(plant)];
      for (const member of [leader, behind]) change(member, ...beginnings);
      assert.deepEqual([outcome(leader), outcome(behind)], ['PermissionDenied', 'PermissionDenied']);
      // What only the leader hears of.
      change(
        leader,
        { type: 'role-grant', role: 'writer', permission: { access: 'readwrite', key: 'a' } },
        { type: 'user-grant', user: 'alice', role: 'writer' },
      );
      behind.restoreFrom(leader);
      assert.equal(behind.store.digest, leader.store.digest);
      assert.deepEqual([outcome(leader), outcome(behind)], ['done', 'done']);
      assert.deepEqual([behind.dump(), behind.store.hash()], [leader.dump(), leader.store.hash()]);
    },
    (member) => {
      // As etcd's cache of rights, which nobody filled anew.
      const restore = member.store.restore.bind(member.store);
      member.store.restore = (...args) => {
        const before = member.store.auth;
        restore(...args);
        member.store.auth.deniesKeys = before.deniesKeys.bind(before);
      };
    },
  );
});
