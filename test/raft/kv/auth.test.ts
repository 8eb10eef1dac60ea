import { strict as assert } from 'node:assert';
import {
  type AuthChange,
  type Caller,
  type Command,
  decodeCommand,
  encodeCommand,
  type KeyRange,
  KvError,
  leaseId,
  type Op,
  type Permission,
  revision,
  type TxnOp,
} from 'raft-consensus';
import { del, put, range, StoreDriver, txn } from './store-driver.js';

const tokenKey = new Uint8Array(32).fill(7);
const anonymous: Caller = { type: 'anonymous' };
const named = (user: string): Caller => ({ type: 'certificate', user });

/** Through the bytes of the log, as on a member. */
class AuthDriver extends StoreDriver {
  send(
    command: Omit<Extract<Command, { type: 'txn' }>, 'atMs'> | Omit<Command, 'atMs'>,
  ): KvError | undefined {
    const applied = this.try(decodeCommand(encodeCommand({ ...command, atMs: this.atMs } as Command)));
    return applied instanceof KvError ? applied : undefined;
  }

  change(change: AuthChange, caller?: Caller): string {
    return this.send({ type: 'auth', change, ...(caller && { caller }) } as never)?.code ?? 'done';
  }

  write(ops: readonly Op[] | TxnOp, caller?: Caller): string {
    const all = 'type' in ops ? ops : txn(ops);
    return this.send({ type: 'txn', txn: all, ...(caller && { caller }) } as never)?.code ?? 'done';
  }

  read(key: string, rangeEnd: string | undefined, caller: Caller | undefined): string {
    const answer = this.store.range(range(key, rangeEnd), caller);
    return answer instanceof KvError ? answer.code : 'done';
  }

  token(user: string): Caller {
    return { type: 'token', user, authRevision: this.store.auth.revision };
  }

  /** alice may do with the keys what `permissions` say; bob nothing; rights are enforced. */
  static withUsers(...permissions: readonly Permission[]): AuthDriver {
    const driver = new AuthDriver();
    for (const user of ['root', 'alice', 'bob']) driver.change({ type: 'user-add', user, passwordHash: 'h' });
    driver.change({ type: 'role-add', role: 'some' });
    for (const permission of permissions) driver.change({ type: 'role-grant', role: 'some', permission });
    driver.change({ type: 'user-grant', user: 'alice', role: 'some' });
    driver.change({ type: 'user-grant', user: 'root', role: 'root' });
    assert.equal(driver.change({ type: 'enable', tokenKey }), 'done');
    return driver;
  }
}

const may = (access: Permission['access'], key: string, rangeEnd?: string): Permission => ({
  access,
  key,
  ...(rangeEnd !== undefined && { rangeEnd }),
});

describe('users and roles', () => {
  it('are refused with the reasons of etcd', () => {
    const driver = new AuthDriver();
    const steps: readonly [AuthChange, string][] = [
      [{ type: 'enable', tokenKey }, 'RootUserNotExist'],
      [{ type: 'user-add', user: '' }, 'UserEmpty'],
      [{ type: 'user-add', user: 'root', passwordHash: 'h' }, 'done'],
      [{ type: 'user-add', user: 'root' }, 'UserAlreadyExist'],
      [{ type: 'enable', tokenKey }, 'RootRoleNotExist'],
      [{ type: 'user-grant', user: 'nobody', role: 'root' }, 'UserNotFound'],
      [{ type: 'user-grant', user: 'root', role: 'r' }, 'RoleNotFound'],
      [{ type: 'user-grant', user: 'root', role: 'root' }, 'done'],
      [{ type: 'role-add', role: '' }, 'RoleEmpty'],
      [{ type: 'role-add', role: 'r' }, 'done'],
      [{ type: 'role-add', role: 'r' }, 'RoleAlreadyExist'],
      [{ type: 'role-grant', role: 'none', permission: may('read', 'a') }, 'RoleNotFound'],
      [{ type: 'role-grant', role: 'r', permission: may('read', '') }, 'InvalidAuthMgmt'],
      [{ type: 'role-grant', role: 'r', permission: may('read', 'b', 'a') }, 'InvalidAuthMgmt'],
      [{ type: 'role-grant', role: 'r', permission: may('read', 'b', '\0') }, 'done'],
      [{ type: 'role-revoke', role: 'r', key: 'b' }, 'PermissionNotGranted'],
      [{ type: 'role-revoke', role: 'none', key: 'b' }, 'RoleNotFound'],
      [{ type: 'role-revoke', role: 'r', key: 'b', rangeEnd: '\0' }, 'done'],
      [{ type: 'user-revoke', user: 'root', role: 'r' }, 'RoleNotGranted'],
      [{ type: 'user-password', user: 'nobody', passwordHash: 'h' }, 'UserNotFound'],
      [{ type: 'enable', tokenKey: new Uint8Array(8) }, 'InvalidArgument'],
      [{ type: 'enable', tokenKey }, 'done'],
      [{ type: 'enable', tokenKey }, 'done'],
      [{ type: 'user-delete', user: 'root' }, 'InvalidAuthMgmt'],
      [{ type: 'user-revoke', user: 'root', role: 'root' }, 'InvalidAuthMgmt'],
      [{ type: 'role-delete', role: 'root' }, 'InvalidAuthMgmt'],
      [{ type: 'role-delete', role: 'none' }, 'RoleNotFound'],
      [{ type: 'user-delete', user: 'nobody' }, 'UserNotFound'],
      [{ type: 'disable' }, 'done'],
      [{ type: 'user-delete', user: 'root' }, 'done'],
    ];
    for (const [change, expected] of steps) {
      assert.equal(driver.change(change), expected, JSON.stringify(change));
    }
  });

  it('a change counts as a revision of theirs, one that changes nothing does not, and none is one of the keys', () => {
    const driver = new AuthDriver();
    const revisions = (change: AuthChange) => {
      driver.change(change);
      return driver.store.auth.revision;
    };
    assert.equal(driver.store.auth.revision, 1);
    assert.equal(revisions({ type: 'user-add', user: 'root', passwordHash: 'h' }), 2);
    assert.equal(revisions({ type: 'user-add', user: 'root' }), 2);
    assert.equal(revisions({ type: 'user-grant', user: 'root', role: 'root' }), 3);
    assert.equal(revisions({ type: 'user-grant', user: 'root', role: 'root' }), 3);
    assert.equal(revisions({ type: 'enable', tokenKey }), 3);
    assert.equal(revisions({ type: 'disable' }), 4);
    assert.equal(revisions({ type: 'disable' }), 4);
    assert.equal(driver.store.revision, 1);
  });

  it('a role that is deleted is taken from its users', () => {
    const driver = AuthDriver.withUsers(may('readwrite', 'a'));
    assert.equal(driver.write([put('a')], named('alice')), 'done');
    assert.equal(driver.change({ type: 'role-delete', role: 'some' }), 'done');
    assert.equal(driver.write([put('a')], named('alice')), 'PermissionDenied');
    assert.deepEqual(driver.store.auth.answer({ type: 'user', user: 'alice' }, undefined), {
      type: 'names',
      names: [],
    });
  });

  it('are told to root; a user is told of himself and of the roles that he has', () => {
    const { auth } = AuthDriver.withUsers(may('write', 'b'), may('read', 'a', 'c')).store;
    const ask = (query: Parameters<typeof auth.answer>[0], caller: Caller | undefined) => {
      const answer = auth.answer(query, caller);
      if (answer instanceof KvError) return answer.code;
      return answer.type === 'names' ? answer.names.join() : JSON.stringify(answer);
    };
    const some =
      '{"type":"permissions","permissions":[{"access":"read","key":"a","rangeEnd":"c"},{"access":"write","key":"b"}]}';
    assert.equal(ask({ type: 'users' }, named('root')), 'alice,bob,root');
    assert.equal(ask({ type: 'users' }, named('alice')), 'PermissionDenied');
    assert.equal(ask({ type: 'users' }, anonymous), 'UserEmpty');
    assert.equal(ask({ type: 'roles' }, named('root')), 'some');
    assert.equal(ask({ type: 'roles' }, named('alice')), 'PermissionDenied');
    assert.equal(ask({ type: 'user', user: 'alice' }, named('alice')), 'some');
    assert.equal(ask({ type: 'user', user: 'root' }, named('alice')), 'PermissionDenied');
    assert.equal(ask({ type: 'user', user: 'nobody' }, named('root')), 'UserNotFound');
    assert.equal(ask({ type: 'role', role: 'some' }, named('alice')), some);
    assert.equal(ask({ type: 'role', role: 'some' }, named('bob')), 'PermissionDenied');
    assert.equal(ask({ type: 'role', role: 'some' }, anonymous), 'UserEmpty');
    assert.equal(
      ask({ type: 'status' }, anonymous),
      `{"type":"status","enabled":true,"authRevision":${auth.revision}}`,
    );
  });

  it('bring the same into a snapshot as into the log, and count in the digest', () => {
    const driver = AuthDriver.withUsers(may('readwrite', 'a', 'b'), may('read', '\xff', '\0'));
    driver.change({ type: 'user-add', user: 'nobody' });
    driver.do(put('a', '1'));
    const restored = new AuthDriver();
    restored.restoreFrom(driver);
    assert.deepEqual(restored.store.auth.state, driver.store.auth.state);
    assert.equal(restored.store.digest, driver.store.digest);
    assert.equal(restored.read('a', undefined, named('bob')), 'PermissionDenied');
    assert.equal(restored.read('a', undefined, named('alice')), 'done');
    restored.change({ type: 'user-delete', user: 'bob' });
    assert.notEqual(restored.store.digest, driver.store.digest);
    driver.change({ type: 'user-delete', user: 'bob' });
    assert.equal(restored.store.digest, driver.store.digest);
  });
});

describe('rights', () => {
  it('are nobody’s concern before they are enforced, and never of the group itself', () => {
    const before = new AuthDriver();
    assert.equal(before.write([put('a')], anonymous), 'done');
    assert.equal(before.read('a', '\0', anonymous), 'done');
    const driver = AuthDriver.withUsers();
    assert.equal(driver.write([put('a')]), 'done');
    assert.equal(driver.read('a', '\0', undefined), 'done');
    assert.equal(driver.change({ type: 'role-add', role: 'more' }), 'done');
  });

  it('root has all; whoever is unknown, unproven or without a role has none', () => {
    const driver = AuthDriver.withUsers(may('readwrite', 'a'));
    for (const [caller, expected] of [
      [named('root'), 'done'],
      [driver.token('root'), 'done'],
      [named('alice'), 'done'],
      [named('bob'), 'PermissionDenied'],
      [named('mallory'), 'PermissionDenied'],
      [named(''), 'PermissionDenied'],
      [anonymous, 'UserEmpty'],
    ] as const) {
      assert.equal(driver.write([put('a')], caller), expected, JSON.stringify(caller));
      assert.equal(driver.read('a', undefined, caller), expected, JSON.stringify(caller));
    }
  });

  const cases: readonly [string, readonly Permission[], KeyRange, boolean][] = [
    ['the key', [may('read', 'b')], { key: 'b' }, true],
    ['the key after it', [may('read', 'b')], { key: 'b\0' }, false],
    ['from the key on', [may('read', 'b')], { key: 'b', rangeEnd: '\0' }, false],
    ['a range of one key', [may('read', 'b')], { key: 'b', rangeEnd: 'b\0' }, true],
    ['a range within', [may('read', 'b', 'f')], { key: 'c', rangeEnd: 'e' }, true],
    ['the same range', [may('read', 'b', 'f')], { key: 'b', rangeEnd: 'f' }, true],
    ['the end of a range', [may('read', 'b', 'f')], { key: 'f' }, false],
    ['a range that is longer', [may('read', 'b', 'f')], { key: 'b', rangeEnd: 'f\0' }, false],
    ['a range that begins earlier', [may('read', 'b', 'f')], { key: 'a', rangeEnd: 'f' }, false],
    ['two that touch', [may('read', 'b', 'd'), may('read', 'd', 'f')], { key: 'b', rangeEnd: 'f' }, true],
    ['two that overlap', [may('read', 'b', 'e'), may('read', 'd', 'f')], { key: 'b', rangeEnd: 'f' }, true],
    [
      'a long one and one within',
      [may('read', 'a', 'z'), may('read', 'b')],
      { key: 'c', rangeEnd: 'y' },
      true,
    ],
    ['two with a gap', [may('read', 'b', 'd'), may('read', 'e', 'f')], { key: 'b', rangeEnd: 'f' }, false],
    ['a gap between keys', [may('read', 'b'), may('read', 'c')], { key: 'b', rangeEnd: 'c\0' }, false],
    ['all from a key on', [may('read', 'b', '\0')], { key: 'c', rangeEnd: '\0' }, true],
    ['everything', [may('read', 'b', '\0')], { key: '\0', rangeEnd: '\0' }, false],
    ['everything, where all is allowed', [may('read', '\0', '\0')], { key: '\0', rangeEnd: '\0' }, true],
    ['what may only be written', [may('write', 'b')], { key: 'b' }, false],
    ['what may be read and written', [may('readwrite', 'b')], { key: 'b' }, true],
  ];
  for (const [what, permissions, asked, expected] of cases) {
    it(`of ranges: ${what} is ${expected ? 'allowed' : 'refused'}`, () => {
      const driver = AuthDriver.withUsers(...permissions);
      const answer = driver.read(asked.key, asked.rangeEnd, named('alice'));
      assert.equal(answer, expected ? 'done' : 'PermissionDenied');
    });
  }

  it('of transactions: compares, previous values, both branches, nested ones too (CVE-2026-33343, CVE-2026-44283)', () => {
    const driver = AuthDriver.withUsers(may('write', 'w'), may('read', 'r'), may('readwrite', 'b'));
    driver.do(put('secret', '1'));
    const alice = named('alice');
    const compare = { key: 'secret', target: 'version', result: '=', operand: 1 } as const;
    const bad: readonly TxnOp[] = [
      txn([], [compare]),
      txn([], [{ ...compare, key: 'b', rangeEnd: 'z' }]),
      txn([range('secret')]),
      txn([], [], [range('secret')]),
      txn([put('secret')]),
      txn([put('r')]),
      txn([put('w', '', { prevKv: true })]),
      txn([del('r')]),
      txn([del('w', undefined, { prevKv: true })]),
      txn([del('w', 'z')]),
    ];
    for (const one of bad) {
      const nested = [one, txn([one]), txn([txn([], [], [one])]), txn([], [], [txn([range('r'), one])])];
      for (const request of nested) {
        assert.equal(
          driver.write(txn([put('b'), request]), alice),
          'PermissionDenied',
          JSON.stringify(request),
        );
      }
    }
    assert.equal(driver.store.revision, 2);
    const good = txn([put('w'), put('b', '1', { prevKv: true }), txn([range('r'), del('w', 'w')])]);
    assert.equal(driver.write(good, alice), 'done');
    const reads = driver.store.readTxn(txn([txn([range('secret')])]), alice);
    assert.equal((reads as KvError).code, 'PermissionDenied');
  });

  it('of leases: nobody binds to, renews or ends one whose keys he may not write, or learns keys that he may not read', () => {
    const driver = AuthDriver.withUsers(may('readwrite', 'a'), may('write', 'w'));
    const alice = named('alice');
    driver.grant(1, 1000);
    driver.grant(2, 1000);
    driver.do(put('secret', '', { lease: leaseId(1) }), put('w', '', { lease: leaseId(2) }));
    const lease = (type: 'lease-renew' | 'lease-revoke', id: number, caller: Caller) =>
      driver.send({ type, id: leaseId(id), caller } as never)?.code ?? 'done';
    assert.equal(driver.write([put('a', '', { lease: leaseId(1) })], alice), 'PermissionDenied');
    assert.equal(driver.write(txn([txn([put('a', '', { lease: leaseId(1) })])]), alice), 'PermissionDenied');
    assert.equal(driver.write([put('a', '', { lease: leaseId(2) })], alice), 'done');
    assert.equal(lease('lease-renew', 1, alice), 'PermissionDenied');
    assert.equal(lease('lease-revoke', 1, alice), 'PermissionDenied');
    assert.equal(lease('lease-renew', 2, anonymous), 'UserEmpty');
    assert.equal(lease('lease-renew', 2, alice), 'done');
    assert.equal(driver.store.deniesLeaseKeys(leaseId(2), alice)?.code, 'PermissionDenied');
    assert.equal(driver.store.deniesLeaseKeys(leaseId(2), named('root')), undefined);
    assert.equal(lease('lease-revoke', 2, alice), 'done');
    const grant = (caller: Caller) =>
      driver.send({ type: 'lease-grant', id: leaseId(9), ttlMs: 1000, caller } as never)?.code ?? 'done';
    assert.equal(grant(anonymous), 'UserEmpty');
    assert.equal(grant(named('mallory')), 'PermissionDenied');
    assert.equal(grant(alice), 'done');
  });

  it('of compaction, alarms, users and roles: root’s (CVE-2026-33413)', () => {
    const driver = AuthDriver.withUsers(may('readwrite', '\0', '\0'));
    driver.do(put('a'), put('a'), put('a'));
    const commands: readonly object[] = [
      { type: 'compact', revision: revision(2) },
      { type: 'alarm', action: 'raise', alarm: { type: 'NoSpace', member: 'm' } },
      { type: 'alarm', action: 'disarm', alarm: { type: 'NoSpace', member: 'm' } },
      { type: 'auth', change: { type: 'user-add', user: 'carol' } },
      { type: 'auth', change: { type: 'disable' } },
    ];
    for (const command of commands) {
      const refused = (caller: Caller) => driver.send({ ...command, caller } as never)?.code;
      assert.equal(refused(anonymous), 'UserEmpty', JSON.stringify(command));
      assert.equal(refused(named('alice')), 'PermissionDenied', JSON.stringify(command));
      assert.equal(refused(named('mallory')), 'UserNotFound', JSON.stringify(command));
    }
    for (const command of commands) {
      assert.equal(
        driver.send({ ...command, caller: named('root') } as never),
        undefined,
        JSON.stringify(command),
      );
    }
  });

  it('a permission that is revoked between proposal and apply is not used', () => {
    const driver = AuthDriver.withUsers(may('readwrite', 'a'));
    const proposed = encodeCommand({
      type: 'txn',
      atMs: driver.atMs,
      caller: driver.token('alice'),
      txn: txn([put('a')]),
    });
    driver.change({ type: 'role-revoke', role: 'some', key: 'a' });
    assert.equal((driver.try(decodeCommand(proposed)) as KvError).code, 'AuthOldRevision');
    assert.equal(driver.write([put('a')], driver.token('alice')), 'PermissionDenied');
  });

  it('a token of before a change of users and roles opens no key; one of before the password, nothing at all', () => {
    const driver = AuthDriver.withUsers(may('readwrite', 'a'));
    const alice = driver.token('alice');
    const root = driver.token('root');
    assert.equal(driver.write([put('a')], alice), 'done');
    driver.change({ type: 'role-add', role: 'more' });
    assert.equal(driver.write([put('a')], alice), 'AuthOldRevision');
    assert.equal(driver.read('a', undefined, root), 'AuthOldRevision');
    // One token does for many steps of an administrator, as in etcd.
    assert.equal(driver.change({ type: 'role-add', role: 'and more' }, root), 'done');
    driver.change({ type: 'user-password', user: 'root', passwordHash: 'new' });
    assert.equal(driver.change({ type: 'role-add', role: 'last' }, root), 'InvalidAuthToken');
    assert.equal(driver.change({ type: 'role-add', role: 'last' }, driver.token('root')), 'done');
    driver.change({ type: 'user-delete', user: 'alice' });
    driver.change({ type: 'user-add', user: 'alice', passwordHash: 'other' });
    assert.equal(driver.store.auth.deniesUser(alice)?.code, 'InvalidAuthToken');
    const before = driver.token('root');
    driver.change({ type: 'disable' });
    driver.change({ type: 'enable', tokenKey });
    assert.equal(driver.change({ type: 'role-delete', role: 'last' }, before), 'InvalidAuthToken');
  });

  it('commands of every caller and every change come back from their bytes', () => {
    const changes: readonly AuthChange[] = [
      { type: 'enable', tokenKey },
      { type: 'disable' },
      { type: 'user-add', user: 'ü' },
      { type: 'user-add', user: 'a', passwordHash: '' },
      { type: 'user-delete', user: 'a' },
      { type: 'user-password', user: 'a', passwordHash: 'x' },
      { type: 'user-grant', user: 'a', role: 'r' },
      { type: 'user-revoke', user: 'a', role: 'r' },
      { type: 'role-add', role: 'r' },
      { type: 'role-delete', role: 'r' },
      { type: 'role-grant', role: 'r', permission: may('readwrite', '\xff', '\0') },
      { type: 'role-revoke', role: 'r', key: 'a', rangeEnd: 'b' },
      { type: 'role-revoke', role: 'r', key: 'a' },
    ];
    const callers: readonly Caller[] = [
      anonymous,
      named('alice'),
      { type: 'token', user: 'älice', authRevision: 2 ** 40 },
    ];
    for (const caller of callers) {
      for (const change of changes) {
        const command: Command = { type: 'auth', atMs: 1, context: 'trace', caller, change };
        assert.deepEqual(decodeCommand(encodeCommand(command)), command);
      }
      const write: Command = { type: 'txn', atMs: 1, caller, txn: txn([put('a', '1')]) };
      assert.deepEqual(decodeCommand(encodeCommand(write)), write);
    }
  });

  it('users that never were leave no mark in the digest', () => {
    const driver = new AuthDriver();
    const plain = new AuthDriver();
    driver.change({ type: 'user-delete', user: 'nobody' });
    plain.send({ type: 'clock' } as never);
    assert.equal(driver.store.digest, plain.store.digest);
    driver.change({ type: 'user-add', user: 'somebody' });
    assert.notEqual(driver.store.digest, plain.store.digest);
  });
});
