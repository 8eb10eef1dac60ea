import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../../deploy/create-cluster.js';
import { waitFor } from '../../../deploy/wait.js';
import { kabukiPath } from '../../harness/process-cluster.js';
import { type Program, run, start } from '../../harness/program.js';
import { testedStore } from './tested-store.js';

describe('etcdctl against the store alone: its members', function () {
  this.timeout(180_000);
  let folder: string;
  const programs: Program[] = [];
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-members-'));
  });
  after(async () => {
    for (const program of programs) program.process.kill('SIGINT');
    for (const program of programs) await program.outcome;
    rmSync(folder, { recursive: true, force: true });
  });

  const tested = testedStore();
  const { etcdctl, refusal } = tested;
  interface Listed {
    readonly id: string;
    readonly status: string;
    readonly name: string;
    readonly peer: string;
    readonly client: string;
    readonly learner: string;
  }
  const list = async (): Promise<Listed[]> =>
    (await etcdctl('member', 'list'))
      .trim()
      .split('\n')
      .map((line) => {
        const [id = '', status = '', name = '', peer = '', client = '', learner = ''] = line.split(', ');
        return { id, status, name, peer, client, learner };
      });
  const named = async (name: string): Promise<Listed> => {
    const found = (await list()).find((member) => member.name === name);
    assert.ok(found, `there is no member ${name}`);
    return found;
  };
  /** One `kabuki store run --join`. Resolves when it serves. */
  const joinStore = async (name: string, peer: number, client: number): Promise<Program> => {
    const args = ['store', 'run', '--join', `127.0.0.1:${tested.store.ports[1]}`, '--member', name];
    const where = ['--peer-listen', `127.0.0.1:${peer}`, '--etcd-listen', `127.0.0.1:${client}`];
    return started(name, [...args, ...where]);
  };
  const started = async (name: string, args: readonly string[]): Promise<Program> => {
    const program = start(process.execPath, [kabukiPath, ...args, '--data-dir', join(folder, name)], {
      timeoutMs: 170_000,
    });
    programs.push(program);
    await waitFor(`${name} to serve`, 30_000, async () => {
      assert.equal(program.process.exitCode, null, program.stderr);
      return program.stdout.includes('member list');
    });
    return program;
  };
  const at = (port: number, ...args: string[]) =>
    run('etcdctl', [`--endpoints=127.0.0.1:${port}`, ...args], { env: { ...process.env, ETCDCTL_API: '3' } });

  it('refuses what must not be, in the words of etcd', async () => {
    const [peer = 0] = await freePorts(1);
    assert.equal(await refusal('member', 'remove', '123abc'), 'Error: etcdserver: member not found');
    assert.equal(await refusal('member', 'promote', '123abc'), 'Error: etcdserver: member not found');
    const first = await named('store-1');
    assert.equal(
      await refusal('member', 'promote', first.id),
      'Error: etcdserver: can only promote a learner member',
    );
    assert.equal(
      await refusal('member', 'add', 'x', '--peer-urls=http://127.0.0.1:0'),
      'Error: etcdserver: given member URLs are invalid',
    );
    assert.equal(
      await refusal('member', 'add', 'x', `--peer-urls=${first.peer}`),
      'Error: etcdserver: Peer URLs already exists',
    );
    assert.equal(
      await refusal('member', 'update', '123abc', `--peer-urls=http://127.0.0.1:${peer}`),
      'Error: etcdserver: member not found',
    );
    assert.equal((await list()).length, 3);
  });

  it('a learner is added, is unstarted until it runs, has the data, and is promoted', async () => {
    const [peer = 0, other = 0, client = 0] = await freePorts(3);
    await etcdctl('put', 'members/a', '1');
    const url = `http://127.0.0.1:${peer}`;
    const added = await etcdctl('member', 'add', 'm4', '--learner', `--peer-urls=http://127.0.0.1:${other}`);
    assert.match(added, /^Member +[0-9a-f]+ added to cluster/);
    // One is enough for etcd.
    assert.equal(
      await refusal('member', 'add', 'm5', '--learner', '--peer-urls=http://127.0.0.1:9'),
      'Error: etcdserver: too many learner members in cluster',
    );
    assert.equal(
      await refusal('member', 'add', 'm5', '--learner', `--peer-urls=http://127.0.0.1:${other}`),
      'Error: etcdserver: Peer URLs already exists',
    );
    const [unstarted] = (await list()).slice(-1);
    assert.deepEqual(
      { ...unstarted, id: '' },
      {
        id: '',
        status: 'unstarted',
        name: '',
        peer: `http://127.0.0.1:${other}`,
        client: '',
        learner: 'true',
      },
    );
    assert.match(
      await etcdctl('member', 'update', unstarted?.id as string, `--peer-urls=${url}`),
      /^Member +[0-9a-f]+ updated in cluster/,
    );
    assert.equal(
      await refusal('member', 'promote', unstarted?.id as string),
      'Error: etcdserver: can only promote a learner member which is in sync with leader',
    );
    await joinStore('m4', peer, client);
    const m4 = await named('m4');
    assert.deepEqual(m4, {
      ...unstarted,
      status: 'started',
      name: 'm4',
      peer: url,
      client: `http://127.0.0.1:${client}`,
    });
    await waitFor('the learner to have the data', 10_000, async () => {
      return (await at(client, 'get', 'members/a', '--consistency=s')).stdout === 'members/a\n1\n';
    });
    await waitFor('the learner to be promoted', 10_000, async () => {
      return (await tested.store.tryEtcdctl(['member', 'promote', m4.id])).code === 0;
    });
    assert.equal((await named('m4')).learner, 'false');
    // Its front serves writes by whoever leads.
    assert.equal((await at(client, 'put', 'members/b', '2')).stdout, 'OK\n');
  });

  it('a voter is added, joins and leads, while a founder is removed and its process ends', async () => {
    const [peer = 0, client = 0] = await freePorts(2);
    const url = `http://127.0.0.1:${peer}`;
    assert.match(await etcdctl('member', 'add', 'm5', `--peer-urls=${url}`), /ETCD_NAME="m5"/);
    const program = await joinStore('m5', peer, client);
    const m5 = await named('m5');
    await waitFor('m5 to vote and lead', 20_000, async () => {
      const status = JSON.parse((await etcdctl('endpoint', 'status', '-w', 'json')).trim());
      const at0 = status.find((one: { Status: { leader: number; header: { member_id: number } } }) => {
        return one.Status.leader === one.Status.header.member_id;
      });
      const leader = at0 === undefined ? client : Number(at0.Endpoint.split(':')[1]);
      if (leader === client) return true;
      await at(leader, 'move-leader', m5.id);
      return false;
    });
    assert.match(await etcdctl('member', 'remove', (await named('store-3')).id), /removed from cluster/);
    await waitFor('the process of store-3 to end', 20_000, async () =>
      tested.store.program.stdout.includes('store-3 was removed from the store'),
    );
    const names = (await list()).map(({ name }) => name);
    assert.deepEqual(names, ['store-1', 'store-2', 'm4', 'm5']);
    assert.equal((await at(client, 'put', 'members/c', '3')).stdout, 'OK\n');
    // All that is needed to start it again is in its folder.
    program.process.kill('SIGINT');
    assert.equal((await program.outcome).code, 0);
    await started('m5', ['store', 'run']);
    assert.equal((await at(client, 'get', 'members/c')).stdout, 'members/c\n3\n');
    assert.deepEqual(await named('m5'), m5);
  });

  it('a member that nobody added is refused, and so is a second one with the address of another', async () => {
    const [peer = 0, client = 0] = await freePorts(2);
    const join9 = (dir: string, peerPort: number) =>
      run(process.execPath, [
        kabukiPath,
        'store',
        'run',
        '--join',
        `127.0.0.1:${tested.store.ports[0]}`,
        '--member',
        'm9',
        '--peer-listen',
        `127.0.0.1:${peerPort}`,
        '--etcd-listen',
        `127.0.0.1:${client}`,
        '--data-dir',
        join(folder, dir),
      ]);
    const stranger = await join9('stranger', peer);
    assert.equal(stranger.code, 1);
    assert.match(stranger.stderr, /no member with the peer URL tcp:\S+ was added: add it first/);
    // Added, started with one key, and then another comes and says that it is that one.
    await etcdctl('member', 'add', 'm9', '--learner', `--peer-urls=http://127.0.0.1:${peer}`);
    const first = await joinStore('m9', peer, client);
    first.process.kill('SIGINT');
    await first.outcome;
    const second = await join9('impostor', peer);
    assert.equal(second.code, 1);
    assert.match(second.stderr, /has started already, with another key: remove it and add it anew/);
  });
});
