import { strict as assert } from 'node:assert';
import { waitFor } from '../../../deploy/wait.js';
import { testedStore } from './tested-store.js';

describe('etcdctl against the store alone: leases, locks, members, maintenance', function () {
  this.timeout(120_000);
  const tested = testedStore();
  const { etcdctl, start, printed } = tested;
  const grant = async (seconds: number) =>
    /^lease ([0-9a-f]+) granted with TTL\((\d+)s\)/.exec(
      await etcdctl('lease', 'grant', String(seconds)),
    )?.[1] ?? '';

  it('lease grant, timetolive, list, revoke: the keys go with it', async () => {
    const id = await grant(100);
    await etcdctl('put', 'leased/a', '1', `--lease=${id}`);
    await etcdctl('put', 'leased/b', '2', `--lease=${id}`);
    const status = await etcdctl('lease', 'timetolive', id, '--keys');
    assert.match(
      status,
      new RegExp(
        `^lease ${id} granted with TTL\\(100s\\), remaining\\((99|100)s\\), attached keys\\(\\[leased/a leased/b\\]\\)`,
      ),
    );
    assert.match(await etcdctl('lease', 'list'), new RegExp(`found \\d+ leases\\n(.*\\n)*${id}\\n`));
    assert.equal(await etcdctl('lease', 'revoke', id), `lease ${id} revoked\n`);
    assert.equal(await etcdctl('get', 'leased/', '--prefix'), '');
    assert.equal(await etcdctl('lease', 'timetolive', id), `lease ${id} already expired\n`);
    const again = await tested.store.tryEtcdctl(['lease', 'revoke', id]);
    assert.match(again.stderr, /etcdserver: requested lease not found/);
    const once = await tested.store.tryEtcdctl(['lease', 'keep-alive', '--once', id]);
    assert.match(`${once.stdout}${once.stderr}`, /expired or revoked|requested lease not found/);
  });

  it('a lease that is not kept alive ends, and a watch sees its keys go; one that is kept alive stays', async () => {
    const short = await grant(2);
    const kept = await grant(2);
    await etcdctl('put', 'ends', '1', `--lease=${short}`);
    await etcdctl('put', 'stays', '1', `--lease=${kept}`);
    const watch = start('watch', 'ends', '--rev=1');
    const alive = start('lease', 'keep-alive', kept);
    await printed(watch, /DELETE\nends\n/);
    await printed(alive, new RegExp(`^(lease ${kept} keepalived with TTL\\(2\\)\\n){2}`));
    assert.equal(await etcdctl('get', 'stays'), 'stays\n1\n');
    assert.match(await etcdctl('lease', 'keep-alive', '--once', kept), /keepalived with TTL\(2\)/);
  });

  it('lock: the second waits for the first', async () => {
    const first = start('lock', 'l');
    await printed(first, /^l\/[0-9a-f]+\n/);
    const second = start('lock', 'l');
    const waiting = async () =>
      (await etcdctl('get', 'l/', '--prefix', '--keys-only')).trim().split('\n\n').length;
    await waitFor('both to stand in line', 10_000, async () => (await waiting()) === 2);
    assert.equal(second.stdout, '');
    first.process.kill('SIGINT');
    await printed(second, /^l\/[0-9a-f]+\n/);
  });

  it('elect: a leader is proclaimed and listened to', async () => {
    const leader = start('elect', 'e', 'first');
    await printed(leader, /first\n/);
    const listener = start('elect', '-l', 'e');
    await printed(listener, /first\n/);
    const next = start('elect', 'e', 'second');
    const waiting = async () =>
      (await etcdctl('get', 'e/', '--prefix', '--keys-only')).trim().split('\n\n').length;
    await waitFor('both to stand in line', 10_000, async () => (await waiting()) === 2);
    leader.process.kill('SIGINT');
    await printed(next, /second\n/);
    await printed(listener, /second\n/);
  });

  it('member list, endpoint health, endpoint status', async () => {
    const members = (await etcdctl('member', 'list')).trim().split('\n');
    assert.equal(members.length, 3);
    for (const [i, line] of members.entries()) {
      assert.match(
        line,
        new RegExp(`^[0-9a-f]+, started, store-${i + 1}, http://[0-9.:]+, http://[0-9.:]+, false$`),
      );
    }
    assert.equal((await tested.store.tryEtcdctl(['endpoint', 'health'])).code, 0);
    const statuses = JSON.parse(await etcdctl('endpoint', 'status', '-w', 'json')) as {
      Status: { version: string; dbSize: number; leader: number; header: { member_id: number } };
    }[];
    assert.equal(statuses.length, 3);
    assert.equal(new Set(statuses.map(({ Status }) => Status.leader)).size, 1);
    assert.ok(statuses.every(({ Status }) => Status.dbSize > 0 && Status.version.startsWith('3.6.')));
    assert.ok(statuses.some(({ Status }) => Status.leader === Status.header.member_id));
  });

  it('endpoints with a scheme, as the member list has them, are as good as those without', async () => {
    for (const command of ['status', 'health', 'hashkv']) {
      const { code, stdout, stderr } = await tested.store.tryEtcdctl(['endpoint', command, '--cluster']);
      assert.equal(code, 0, stderr);
      // What is healthy is told on stderr.
      const said = stdout + stderr;
      for (const port of tested.store.ports) assert.match(said, new RegExp(`http://127.0.0.1:${port}\\b`));
    }
  });

  it('endpoint hashkv is the same on all members', async () => {
    const { revision } = (
      JSON.parse(await etcdctl('put', 'hashed', '1', '-w', 'json')) as {
        header: { revision: number };
      }
    ).header;
    const hashes = async () =>
      JSON.parse(await etcdctl('endpoint', 'hashkv', `--rev=${revision}`, '-w', 'json')) as {
        HashKV: { hash: number };
      }[];
    await waitFor('all members to have the revision', 10_000, async () => (await hashes()).length === 3);
    assert.equal(new Set((await hashes()).map(({ HashKV }) => HashKV.hash)).size, 1);
  });

  it('move-leader moves it, and only from the leader', async () => {
    const all = JSON.parse(await etcdctl('endpoint', 'status', '-w', 'json')) as {
      Endpoint: string;
      Status: { leader: number; header: { member_id: number } };
    }[];
    const target = all.find(({ Status }) => Status.leader !== Status.header.member_id);
    const id = target?.Status.header.member_id.toString(16) ?? '';
    assert.match(
      await etcdctl('move-leader', id),
      new RegExp(`Leadership transferred from [0-9a-f]+ to ${id}`),
    );
    await waitFor('the new leader', 10_000, async () => {
      const now = JSON.parse(await etcdctl('endpoint', 'status', '-w', 'json')) as typeof all;
      return now.every(({ Status }) => Status.leader === target?.Status.header.member_id);
    });
  });

  it('alarm list, alarm disarm, defrag', async () => {
    assert.equal(await etcdctl('alarm', 'list'), '');
    assert.equal(await etcdctl('alarm', 'disarm'), '');
    assert.equal((await etcdctl('defrag')).match(/Finished defragmenting etcd member/g)?.length, 3);
  });

  it('data and ids survive a stop by Ctrl-C and a start', async () => {
    await etcdctl('put', 'survives', '1');
    const members = await etcdctl('member', 'list');
    await tested.restart();
    assert.equal(await etcdctl('get', 'survives'), 'survives\n1\n');
    const ids = (text: string) => text.split('\n').map((line) => line.split(',')[0]);
    assert.deepEqual(ids(await etcdctl('member', 'list')), ids(members));
  });
});
