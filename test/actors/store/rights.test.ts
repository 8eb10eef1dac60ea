import { strict as assert } from 'node:assert';
import type { AuthChange, Caller } from 'raft-consensus';
import { StoreError } from '../../../actors/store/index.js';
import { put, SmallGroup } from './small-group.js';

const tokenKey = new Uint8Array(32).fill(1);
const alice: Caller = { type: 'certificate', user: 'alice' };
const anonymous: Caller = { type: 'anonymous' };

const users: readonly AuthChange[] = [
  { type: 'user-add', user: 'root', passwordHash: 'h' },
  { type: 'user-grant', user: 'root', role: 'root' },
  { type: 'user-add', user: 'alice' },
  { type: 'role-add', role: 'some' },
  { type: 'role-grant', role: 'some', permission: { access: 'readwrite', key: 'a' } },
  { type: 'user-grant', user: 'alice', role: 'some' },
  { type: 'enable', tokenKey },
];

async function groupWithUsers(seed: string): Promise<SmallGroup> {
  const group = new SmallGroup(seed);
  await group.leader();
  for (const change of users) await group.do(group.client.as({ type: 'anonymous' }).authChange(change));
  return group;
}

describe('rights at a store of three', () => {
  it('every member judges alike, and the group itself is not asked', async () => {
    const group = await groupWithUsers('rights-alike');
    for (const name of group.names) {
      const client = group.clientOf(name);
      const serializable = { serializable: true };
      await group.do(client.authQuery({ type: 'status' }));
      await group.do(client.as(alice).range({ type: 'range', key: 'a' }, serializable));
      const read = client.as(alice).range({ type: 'range', key: 'b' }, serializable);
      assert.equal(await group.refusal(read), 'PermissionDenied', name);
      assert.equal(
        await group.refusal(client.as(anonymous).range({ type: 'range', key: 'a' })),
        'UserEmpty',
        name,
      );
      assert.equal(await group.refusal(client.as(alice).txn(put('b'))), 'PermissionDenied', name);
      await group.do(client.as(alice).txn(put('a')));
      await group.do(client.txn(put('b')));
      assert.equal(await group.refusal(client.as(anonymous).hashKv()), 'UserEmpty', name);
      assert.equal(await group.refusal(client.as(alice).hashKv()), 'PermissionDenied', name);
      assert.equal(await group.refusal(client.as(alice).memberRemove('m1')), 'PermissionDenied', name);
      assert.equal(await group.refusal(client.as(alice).transfer('m1')), 'PermissionDenied', name);
    }
    await group.wait(2_000);
    assert.equal(new Set([...group.parts.values()].map(({ store }) => store.digest)).size, 1);
  });

  it('what proves who somebody is, hashes and the key of tokens, is told to the group alone', async () => {
    const group = await groupWithUsers('rights-secrets');
    const secrets = await group.do(group.client.authSecrets('root'));
    assert.deepEqual(secrets, { enabled: true, authRevision: 7, tokenKey, user: { passwordHash: 'h' } });
    for (const user of ['root', 'alice']) {
      const asked = group.client.as({ type: 'certificate', user }) as unknown as typeof group.client;
      assert.equal(await group.refusal(asked.authSecrets('root')), 'PermissionDenied');
    }
    await group.do(group.client.authChange({ type: 'disable' }));
    const asked = group.client.as(anonymous) as unknown as typeof group.client;
    assert.equal(await group.refusal(asked.authSecrets('root')), 'PermissionDenied');
  });

  it('a member that has not heard of the rights yet tells nothing to who was proven by them', async () => {
    const group = new SmallGroup('rights-behind');
    const leader = await group.leader();
    await group.put('b', 'secret');
    const away = group.names.find((name) => name !== leader)!;
    await group.world.run(() => group.parts.get(away)!.store.keyCount === 1);
    const others = group.names.filter((name) => name !== away);
    const cut = (id: string, from: readonly string[], to: readonly string[]) =>
      group.world.network.faults.add({ id, from, to, action: { type: 'cut' } });
    cut('there', [away], others);
    cut('back', others, [away]);
    for (const change of users) await group.do(group.client.authChange(change));
    const proven = group.clientOf(away).as({ type: 'token', user: 'alice', authRevision: 7 });
    const read = () => proven.range({ type: 'range', key: 'b' }, { serializable: true, timeoutMs: 1_000 });
    await assert.rejects(
      group.do(read()),
      (error) => error instanceof StoreError && error.code !== 'Refused',
    );
    group.world.network.faults.clear();
    await group.world.run(() => group.parts.get(away)!.store.auth.enabled);
    assert.equal(await group.refusal(read()), 'PermissionDenied');
  });

  it('a member that was down while users and roles changed judges by the new ones when it is back', async () => {
    const group = await groupWithUsers('rights-after-restart');
    const leader = await group.leader();
    const away = group.names.find((name) => name !== leader)!;
    group.kill(away);
    await group.do(group.client.authChange({ type: 'role-revoke', role: 'some', key: 'a' }));
    group.start(away);
    const read = group.clientOf(away).as(alice).range({ type: 'range', key: 'a' });
    assert.equal(await group.refusal(read), 'PermissionDenied');
    const watch = group
      .clientOf(away)
      .as(alice)
      .authorize({ type: 'read', range: { key: 'a' } });
    assert.equal(await group.refusal(watch), 'PermissionDenied');
  });

  it('a token is good at a member that has not heard of its user yet', async () => {
    const group = await groupWithUsers('rights-ahead');
    const leader = await group.leader();
    const slow = group.names.find((name) => name !== leader)!;
    group.kill(slow);
    await group.do(group.client.authChange({ type: 'user-add', user: 'carol', passwordHash: 'h' }));
    const { authRevision } = await group.do(group.client.authSecrets('carol'));
    group.start(slow);
    const carol = group.clientOf(slow).as({ type: 'token', user: 'carol', authRevision });
    await group.do(carol.authorize({ type: 'user' }));
  });
});
