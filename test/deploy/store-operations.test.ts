import { strict as assert } from 'node:assert';
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '../../deploy/certificates.js';
import { freePorts } from '../../deploy/create-cluster.js';
import { DataDir } from '../../deploy/data-dir.js';
import { waitFor } from '../../deploy/wait.js';
import { rpc } from '../harness/etcd-calls.js';
import { GrpcClient } from '../harness/grpc-client.js';
import { kabukiPath } from '../harness/process-cluster.js';
import { type Outcome, type Program, run, start } from '../harness/program.js';
import { startStoreAlone, type StoreAlone } from '../harness/store-alone.js';

describe('kabuki store: its operators', function () {
  this.timeout(180_000);
  let folder: string;
  const programs: Program[] = [];
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-operators-'));
  });
  after(async () => {
    for (const program of programs) program.process.kill('SIGINT');
    for (const program of programs) await program.outcome;
    rmSync(folder, { recursive: true, force: true });
  });

  const kabuki = (...args: readonly string[]): Promise<Outcome> =>
    run(process.execPath, [kabukiPath, ...args]);
  /** Starts `kabuki store run` with a folder of its own. */
  const storeRun = async (dir: string, ...args: readonly string[]): Promise<Program> => {
    const program = start(process.execPath, [kabukiPath, 'store', 'run', ...args, '--data-dir', dir], {
      timeoutMs: 170_000,
    });
    programs.push(program);
    await waitFor('it to serve', 30_000, async () => {
      assert.equal(program.process.exitCode, null, program.stderr);
      return program.stdout.includes('member list');
    });
    return program;
  };
  const put = async (port: number, key: string) => {
    const client = new GrpcClient(`http://127.0.0.1:${port}`);
    const request = { key, value: Buffer.from('v') };
    await client.unary(...rpc.put, request);
    client.close();
  };
  const has = async (port: number, key: string): Promise<boolean> => {
    const client = new GrpcClient(`http://127.0.0.1:${port}`);
    const found = await client.unary(...rpc.range, {
      key,
    });
    client.close();
    return found.count === 1;
  };

  describe('of a store that runs', () => {
    let store: StoreAlone;
    before(async () => {
      store = await startStoreAlone();
    });
    after(() => store?.remove());

    const op = (...args: readonly string[]) => kabuki('store', ...args, '--data-dir', store.dataDir);
    const well = async (...args: readonly string[]): Promise<string> => {
      const outcome = await op(...args);
      assert.equal(outcome.code, 0, outcome.stderr);
      return outcome.stdout;
    };
    const json = async <T>(...args: readonly string[]): Promise<T> =>
      JSON.parse(await well(...args, '-o', 'json')) as T;
    interface Status {
      readonly member: string;
      readonly role: string;
      readonly leader: string;
    }
    interface Listed {
      readonly name: string;
      readonly title?: string;
      readonly voter: boolean;
      readonly publicKey?: string;
    }

    it('status and members say how and who they are, for people and as JSON', async () => {
      const text = await well('status');
      assert.match(text, /^MEMBER +ROLE +TERM +LEADER +COMMITTED +APPLIED +REVISION +SIZE/);
      assert.equal(text.match(/ leader /g)?.length, 1);
      const statuses = await json<Status[]>('status');
      assert.deepEqual(
        statuses.map(({ member }) => member),
        ['store-1', 'store-2', 'store-3'],
      );
      const [, second = ''] = (await well('members')).split('\n');
      assert.match(second, /^store-1 +store-1 +started +voter +tcp:\/\/127[0-9.:]+ +http:\/\/127[0-9.:]+$/);
      assert.equal((await json<Listed[]>('members')).length, 3);
    });

    it('status fails when a member does not answer, and shows the others', async () => {
      const socket = new DataDir(store.dataDir).peekSocketPath('store-2');
      renameSync(socket, `${socket}.aside`);
      try {
        const { code, stdout, stderr } = await op('status', '-o', 'json');
        assert.equal(code, 1, stderr);
        assert.match(
          stderr,
          /^store-2 does not answer \(.*\)\nkabuki: 1 of 3 members did not answer: store-2\n$/,
        );
        const members = (JSON.parse(stdout) as Status[]).map(({ member }) => member);
        assert.deepEqual(members, ['store-1', 'store-3']);
      } finally {
        renameSync(`${socket}.aside`, socket);
      }
    });

    it('moves the leader, compacts, and compares what the members hold', async () => {
      const target = (await json<Status[]>('status')).find(({ role }) => role !== 'leader')?.member ?? '';
      assert.equal(await well('move-leader', target), `${target} leads now\n`);
      assert.equal((await json<Status[]>('status'))[0]?.leader, target);
      assert.equal(await well('move-leader', target), `${target} leads now\n`, 'to itself, as in etcd');
      for (let i = 0; i < 3; i++) await put(store.ports[0] as number, 'compacted');
      const compacted = await well('compact', '3');
      assert.match(compacted, /^compacted at revision 3; members free the room .* in the background\n$/);
      assert.match((await op('compact', '3')).stderr, /required revision has been compacted/);
      await waitFor('all to have compacted', 10_000, async () => {
        const hashes = await json<{ hash: number; compactRevision: number }[]>('hash', '4');
        return hashes.length === 3 && hashes.every(({ compactRevision }) => compactRevision === 3);
      });
      const hashes = await json<{ hash: number }[]>('hash');
      assert.equal(new Set(hashes.map(({ hash }) => hash)).size, 1);
    });

    it('hash says who is waited for, and that a member cannot be compared', async () => {
      const statuses = await json<Status[]>('status');
      const slow = statuses.findLast(({ role }) => role !== 'leader')?.member ?? '';
      const pid = Number(readFileSync(join(store.dataDir, 'machines', slow, 'pid'), 'utf8'));
      process.kill(pid, 'SIGSTOP');
      let program: Program;
      try {
        const args = [kabukiPath, 'store', 'hash', '--data-dir', store.dataDir];
        program = start(process.execPath, args, { timeoutMs: 60_000 });
        const said = `2 of 3 members answered, waiting for ${slow}\n`;
        await waitFor('progress', 20_000, async () => program.stderr.includes(said));
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      const { code, stdout, stderr } = await program.outcome;
      assert.equal(code, 0, stderr);
      assert.equal(stdout.trim().split('\n').length, 4);

      const socket = new DataDir(store.dataDir).peekSocketPath(slow);
      renameSync(socket, `${socket}.aside`);
      const partly = await op('hash');
      renameSync(`${socket}.aside`, socket);
      assert.equal(partly.code, 1);
      assert.equal(partly.stdout.trim().split('\n').length, 3);
      assert.equal(partly.stderr, `kabuki: not all members were compared: ${slow}: ${slow} is not running\n`);
    });

    it('shows alarms and disarms them, also where no client of etcd can', async () => {
      assert.equal(await well('alarms'), 'no alarm\n');
      const client = new GrpcClient(`http://127.0.0.1:${store.ports[0]}`);
      const raised = { action: 1, memberId: 0, alarm: 1 };
      await client.unary(...rpc.alarm, raised);
      client.close();
      await assert.rejects(put(store.ports[0] as number, 'full'), /database space exceeded/);
      assert.equal(await well('alarms'), 'NoSpace of the group\n');
      assert.equal(await well('alarms', '--disarm'), 'NoSpace of the group was disarmed\n');
      assert.deepEqual(await json('alarms'), []);
      await put(store.ports[0] as number, 'room');
    });

    it('shows the settings of the members, and changes them while they run', async () => {
      type Shown = readonly { readonly member: string; readonly settings: Record<string, number> }[];
      const before = await json<Shown>('tune');
      assert.deepEqual(
        before.map(({ member }) => member),
        ['store-1', 'store-2', 'store-3'],
      );
      const options = ['--quota-backend-bytes', '100000000', '--election-timeout', '1200'];
      const after = await json<Shown>('tune', ...options, '--auto-compaction-retention', '90s');
      for (const [i, { settings }] of after.entries()) {
        const changed = { quotaBytes: 100_000_000, electionTimeoutMs: 1_200, retentionMs: 90_000 };
        assert.deepEqual(settings, { ...before[i]?.settings, ...changed });
      }
      assert.match(await well('tune'), /store-1 +200ms +1200ms +10000 entries +95 MiB +90s/);
      for (const [wrong, why] of [
        [['--election-timeout', '150'], /--election-timeout <ms>' .* must be a multiple of 100/],
        [['--election-timeout', '50100'], /must not be above 50000/],
        [['--auto-compaction-mode', 'revision'], /belongs to --auto-compaction-retention/],
        [
          ['--auto-compaction-mode', 'revision', '--auto-compaction-retention', '5m'],
          /takes a number of revisions, not "5m"/,
        ],
      ] as const) {
        const refused = await op('tune', ...wrong);
        assert.notEqual(refused.code, 0);
        assert.match(refused.stderr, why);
      }
      assert.deepEqual(await json('tune'), after);
    });

    it('refuses what must not be, and says why', async () => {
      for (const [args, code, text] of [
        [['remove', 'nobody'], 1, /the store has no member nobody; it has store-1, store-2, store-3/],
        [['promote', 'store-1'], 1, /can only promote a learner member/],
        [['add', 'm4'], 2, /required option '--peer-url <url>' not specified/],
        [
          ['add', 'Not a name', '--peer-url', 'tcp://127.0.0.1:1'],
          2,
          /a member's name is a DNS label, at most 63 lower-case letters, digits and hyphens, .*, not "Not a name"/,
        ],
        [['add', 'm4', '--peer-url', 'here'], 1, /a peer URL is tcp:\/\/host:port, not "here"/],
        [['add', 'store-1', '--peer-url', 'tcp://127.0.0.1:1'], 1, /the store has a member store-1 already/],
        [['move-leader', 'nobody'], 1, /the store has no member nobody/],
        [['compact', '0'], 1, /"revision" must be a whole number above 0/],
        [['compact', '1000000'], 1, /required revision is a future revision/],
        [['compact', 'x'], 2, /it must be a whole number/],
        [['recover', 'store-1'], 1, /already running/],
        [['status', '-o', 'yaml'], 2, /Allowed choices are json/],
      ] as const) {
        const outcome = await op(...args);
        assert.equal(outcome.code, code, `${args.join(' ')}: ${outcome.stderr}`);
        assert.match(outcome.stderr, text);
        assert.doesNotMatch(outcome.stderr, /\n {4}at /, 'a stack trace is no message');
      }
      const nothing = await kabuki('store', 'members', '--data-dir', join(folder, 'nothing'));
      assert.match(
        nothing.stderr,
        /there is no store in .*: start one with "kabuki store run" or "kabuki up"/,
      );
    });

    it('adds a member of another folder, and takes it out again: its process ends', async () => {
      const [peer = 0, client = 0] = await freePorts(2);
      const added = await well('add', 'm4', '--peer-url', `tcp://127.0.0.1:${peer}`);
      assert.match(added, new RegExp(`--member m4 --peer-listen 127\\.0\\.0\\.1:${peer}`));
      const dir = join(folder, 'm4');
      const where = ['--peer-listen', `127.0.0.1:${peer}`, '--etcd-listen', `127.0.0.1:${client}`];
      // The folder of the store will do where its socket can be asked.
      const program = await storeRun(dir, '--join', store.dataDir, '--member', 'm4', ...where);
      await waitFor('m4 to vote', 15_000, async () =>
        (await json<Listed[]>('members')).some(({ title, voter }) => title === 'm4' && voter),
      );
      await put(client, 'by-m4');
      assert.match(await well('remove', 'm4'), /m4 was removed; 3 members are left/);
      await waitFor('its process to end', 15_000, async () =>
        /member-\w+ was removed from the store/.test(program.stdout),
      );
      program.process.kill('SIGINT');
      await program.outcome;
      const again = await kabuki('store', 'run', '--data-dir', dir);
      assert.equal(again.code, 1);
      assert.match(
        again.stderr,
        /was removed from its store and holds nothing that counts: remove the folder/,
      );
    });

    it('refuses a second start in the folder, also from where its socket is not seen', async () => {
      const before = readFileSync(join(store.dataDir, 'cluster.json'), 'utf8');
      const ports = await freePorts(3);
      const listen = ports.map((port) => `127.0.0.1:${port}`).join(',');
      const args = ['store', 'run', '--data-dir', store.dataDir, '--etcd-listen', listen];
      const outcome = await run(process.execPath, [kabukiPath, ...args], {
        env: { ...process.env, TMPDIR: folder },
      });
      assert.equal(outcome.code, 1);
      assert.match(outcome.stderr, /is in use by process \d+: stop it first/);
      assert.equal(readFileSync(join(store.dataDir, 'cluster.json'), 'utf8'), before);
    });

    it('says which members do not run, and what is missing when those are too many', async () => {
      const pidOf = (name: string) => readFileSync(join(store.dataDir, 'machines', name, 'pid'), 'utf8');
      for (const name of ['store-2', 'store-3']) process.kill(Number(pidOf(name)), 'SIGKILL');
      await waitFor('both to be missed', 10_000, async () => {
        const { code, stdout, stderr } = await op('status');
        const said =
          /^store-2 is not running \(.*\)\nstore-3 is not running \(.*\)\nkabuki: 2 of 3 members did not answer: store-2, store-3\n$/;
        return code === 1 && said.test(stderr) && stdout.trim().split('\n').length === 2;
      });
      const refused = await Promise.all(
        [['members'], ['remove', 'store-3'], ['compact']].map((args) => op(...args)),
      );
      for (const { code, stderr } of refused) {
        assert.equal(code, 1);
        assert.match(
          stderr,
          /the store has no leader that can be reached: a majority of its members must run/,
        );
      }
    });
  });

  it('a store of one grows over TLS: its second member counts once it runs', async () => {
    const authority = await createAuthority('store-ca');
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const server = await authority.issueServer('store', ['127.0.0.1']);
    const alice = await authority.issueClient('alice', []);
    const ca = file('ca.crt', authority.cert);
    const served = [
      `--cert-file=${file('server.crt', server.cert)}`,
      `--key-file=${file('server.key', server.key)}`,
      `--trusted-ca-file=${ca}`,
    ];
    const store = await startStoreAlone({ members: 1, args: served });
    try {
      const op = (...args: readonly string[]) => kabuki('store', ...args, '--data-dir', store.dataDir);
      const [peer = 0, client = 0] = await freePorts(2);
      const add = await op('add', 'second', '--peer-url', `tcp://127.0.0.1:${peer}`);
      assert.equal(add.code, 0, add.stderr);
      // It does not run: the first one still decides alone.
      assert.equal((await op('compact')).code, 0);
      const where = ['--peer-listen', `127.0.0.1:${peer}`, '--etcd-listen', `127.0.0.1:${client}`];
      const join2 = [
        '--join',
        `https://127.0.0.1:${store.ports[0]}`,
        '--member',
        'second',
        ...where,
        ...served,
      ];
      const dir = join(folder, 'second');
      const trusting = ['--join-cacert', ca];
      const stranger = await kabuki('store', 'run', '--data-dir', dir, ...join2, ...trusting);
      assert.equal(stranger.code, 1, 'without a certificate nobody is served');
      assert.match(stranger.stderr, /takes this one in at https:\S+ \(TLS: .*certificate required\)/);
      const [cert, certKey] = [file('alice.crt', alice.cert), file('alice.key', alice.key)];
      const shown = ['--join-cert', cert, '--join-key', certKey];
      const program = await storeRun(dir, ...join2, ...trusting, ...shown);
      await waitFor('the second to vote', 15_000, async () =>
        /second .* started +voter/.test((await op('members')).stdout),
      );
      program.process.kill('SIGINT');
      assert.equal((await program.outcome).code, 0);
    } finally {
      await store.remove();
    }
  });

  it('makes a store of one of a survivor, and other data than its own is refused', async () => {
    const store = await startStoreAlone();
    const [port = 0, other = 0] = await freePorts(2);
    try {
      await put(store.ports[0] as number, 'kept');
      await store.stop();
      const recover = (...args: readonly string[]) =>
        kabuki('store', 'recover', ...args, '--data-dir', store.dataDir);
      assert.match((await recover('store-2')).stderr, /if a majority can still be started, start it instead/);
      assert.match((await recover('store-9', '--lose-the-others')).stderr, /has no machine store-9/);
      const outcome = await recover('store-2', '--lose-the-others');
      assert.equal(outcome.code, 0, outcome.stderr);
      assert.match(outcome.stdout, /store-2 is now a group of one\. store-1, store-3 must never be started/);
      const program = await storeRun(store.dataDir, '--etcd-listen', `127.0.0.1:${port}`);
      assert.match(program.stdout, /store of 1 member in/);
      assert.equal(await has(port, 'kept'), true);
      await put(port, 'more');
      program.process.kill('SIGINT');
      assert.equal((await program.outcome).code, 0);
      // Another store's folder, with the data of this one in it.
      const foreign = join(folder, 'foreign');
      const made = await storeRun(foreign, '--members', '1', '--etcd-listen', `127.0.0.1:${other}`);
      made.process.kill('SIGINT');
      await made.outcome;
      const data = join(foreign, 'machines', 'store-1', 'store');
      rmSync(data, { recursive: true });
      cpSync(join(store.dataDir, 'machines', 'store-2', 'store'), data, { recursive: true });
      const refused = await kabuki('store', 'run', '--data-dir', foreign);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /the log belongs to cluster "\w+", this member to "\w+"/);
      assert.doesNotMatch(refused.stderr, /gives up/);
    } finally {
      await store.remove();
    }
  });
});
