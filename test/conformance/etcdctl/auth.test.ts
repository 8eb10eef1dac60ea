import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '../../../deploy/certificates.js';
import { freePorts } from '../../../deploy/create-cluster.js';
import { waitFor } from '../../../deploy/wait.js';
import { kabukiPath } from '../../harness/process-cluster.js';
import { start as startProgram } from '../../harness/program.js';
import { hasEtcdctl, startStoreAlone, type StoreAlone } from '../../harness/store-alone.js';
import { testedStore } from './tested-store.js';

const deniedText = /etcdserver: permission denied/;

describe('etcdctl against the store alone: users, roles, rights', function () {
  this.timeout(120_000);
  const tested = testedStore();
  const { start, printed } = tested;
  const folders: string[] = [];
  const newFolder = () => {
    folders.push(mkdtempSync(join(tmpdir(), 'kabuki-joins-')));
    return join(folders.at(-1)!, 'data');
  };
  after(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  const root = (...args: string[]) => tested.store.etcdctl('--user=root:rootpw', ...args);
  const alice = (...args: string[]) => tested.store.etcdctl('--user=alice:alicepw', ...args);
  const refused = async (reason: RegExp, ...args: string[]) => {
    const outcome = await tested.store.tryEtcdctl(args);
    assert.notEqual(outcome.code, 0, args.join(' '));
    assert.match(outcome.stderr, reason, args.join(' '));
  };

  it('auth enable wants a user root, and gives it the role root', async () => {
    await refused(/root user does not exist/, 'auth', 'enable');
    assert.equal(await tested.store.etcdctl('user', 'add', 'root:rootpw'), 'User root created\n');
    await refused(/user name already exists/, 'user', 'add', 'root:again');
    assert.equal(await tested.store.etcdctl('auth', 'enable'), 'Authentication Enabled\n');
    await refused(/user name is empty/, 'put', 'a', '1');
    await refused(/user name is empty/, 'user', 'list');
    await refused(/invalid user ID or password/, '--user=root:wrong', 'put', 'a', '1');
    assert.equal(await root('put', 'a', '1'), 'OK\n');
  });

  it('user and role: add, get, list, grant, revoke, delete', async () => {
    assert.equal(await root('user', 'add', 'alice:alicepw'), 'User alice created\n');
    assert.equal(await root('user', 'add', 'cert', '--no-password'), 'User cert created\n');
    assert.equal(await root('role', 'add', 'some'), 'Role some created\n');
    assert.equal(await root('role', 'add', 'other'), 'Role other created\n');
    await refused(/role name already exists/, '--user=root:rootpw', 'role', 'add', 'some');
    await refused(/role name not found/, '--user=root:rootpw', 'user', 'grant-role', 'alice', 'none');
    const grant = (...args: string[]) => root('role', 'grant-permission', 'some', ...args);
    assert.equal(await grant('readwrite', 'key'), 'Role some updated\n');
    assert.equal(await grant('readwrite', 'own/', '--prefix=true'), 'Role some updated\n');
    assert.equal(await grant('read', 'from', '--from-key=true'), 'Role some updated\n');
    assert.equal(await grant('write', 'a', 'b'), 'Role some updated\n');
    assert.equal(
      await root('role', 'get', 'some'),
      'Role some\nKV Read:\n\t[from, <open ended>\n\tkey\n\t[own/, own0) (prefix own/)\n' +
        'KV Write:\n\t[a, b) (prefix a)\n\tkey\n\t[own/, own0) (prefix own/)\n',
    );
    const revoke = (...args: string[]) => root('role', 'revoke-permission', 'some', ...args);
    assert.match(
      await revoke('from', '--from-key=true'),
      /Permission of range \[from, <open ended> is revoked/,
    );
    assert.match(await revoke('a', 'b'), /Permission of range \[a, b\) .*is revoked from role some/);
    await refused(
      /permission is not granted to the role/,
      '--user=root:rootpw',
      'role',
      'revoke-permission',
      'some',
      'x',
    );
    assert.equal(await root('user', 'grant-role', 'alice', 'some'), 'Role some is granted to user alice\n');
    assert.equal(await root('user', 'grant-role', 'alice', 'other'), 'Role other is granted to user alice\n');
    assert.equal(await root('user', 'get', 'alice'), 'User: alice\nRoles: other some\n');
    assert.equal(await root('user', 'list'), 'alice\ncert\nroot\n');
    assert.equal(await root('role', 'list'), 'other\nroot\nsome\n');
    assert.equal(
      await root('user', 'revoke-role', 'alice', 'other'),
      'Role other is revoked from user alice\n',
    );
    await refused(
      /role is not granted to the user/,
      '--user=root:rootpw',
      'user',
      'revoke-role',
      'alice',
      'other',
    );
    assert.equal(await root('role', 'delete', 'other'), 'Role other deleted\n');
    assert.equal(await root('user', 'delete', 'cert'), 'User cert deleted\n');
    for (const forbidden of [
      ['user', 'delete', 'root'],
      ['user', 'revoke-role', 'root', 'root'],
      ['role', 'delete', 'root'],
    ]) {
      await refused(/invalid auth management/, '--user=root:rootpw', ...forbidden);
    }
  });

  it('put, get, del and txn of a user are those of his keys', async () => {
    assert.equal(await alice('put', 'own/1', 'x'), 'OK\n');
    assert.equal(await alice('get', 'own/', '--prefix'), 'own/1\nx\n');
    const txn = (input: string) => tested.store.tryEtcdctl(['--user=alice:alicepw', 'txn'], input);
    assert.match(
      (await txn('value("own/1") = "x"\n\nput own/2 y\n\nget own/1\n\n')).stdout,
      /^SUCCESS\n\nOK\n/,
    );
    assert.match((await txn('value("a") = "1"\n\nget own/1\n\n\n')).stderr, deniedText);
    assert.match((await txn('value("own/1") = "x"\n\nget own/1\n\nput a 2\n\n')).stderr, deniedText);
    assert.equal(await alice('del', 'own/2'), '1\n');
    for (const denied of [
      ['put', 'a', '2'],
      ['get', 'a'],
      ['get', '', '--prefix'],
      ['get', 'own/', '--from-key'],
      ['get', 'a', '--consistency=s'],
      ['del', 'own/', '--from-key'],
      ['compaction', '2'],
      ['user', 'list'],
      ['user', 'get', 'root'],
      ['role', 'get', 'root'],
      ['defrag'],
      ['auth', 'disable'],
    ]) {
      await refused(deniedText, '--user=alice:alicepw', ...denied);
    }
    assert.equal(await alice('user', 'get', 'alice'), 'User: alice\nRoles: some\n');
    assert.match(await alice('role', 'get', 'some'), /^Role some\n/);
    assert.equal(await root('get', 'a'), 'a\n1\n');
  });

  it('watch is of the keys that one may read', async () => {
    const allowed = start('--user=alice:alicepw', 'watch', 'own/', '--prefix', '--rev=1');
    await printed(allowed, /PUT\nown\/1\nx\n/);
    await alice('put', 'own/3', 'later');
    await printed(allowed, /PUT\nown\/3\nlater\n/);
    for (const more of [[], ['--prefix']]) {
      const denied = await tested.store.tryEtcdctl(['--user=alice:alicepw', 'watch', 'a', ...more]);
      assert.match(denied.stderr, /code = PermissionDenied desc = etcdserver: permission denied/);
    }
  });

  it('lease and lock are those of the keys', async () => {
    const granted = async (output: Promise<string>) =>
      /^lease ([0-9a-f]+) granted/.exec(await output)?.[1] ?? '';
    const theirs = await granted(root('lease', 'grant', '300'));
    const own = await granted(alice('lease', 'grant', '300'));
    await root('put', 'a', '1', `--lease=${theirs}`);
    await alice('put', 'own/1', 'x', `--lease=${own}`);
    for (const denied of [
      ['put', 'own/1', 'y', `--lease=${theirs}`],
      ['lease', 'timetolive', theirs, '--keys'],
      ['lease', 'revoke', theirs],
      ['lease', 'list'],
      ['lock', 'a'],
    ]) {
      await refused(deniedText, '--user=alice:alicepw', ...denied);
    }
    await refused(/user name is empty/, 'lease', 'grant', '10');
    assert.match(await alice('lease', 'timetolive', own, '--keys'), /attached keys\(\[own\/1\]\)/);
    assert.match(await alice('lease', 'keep-alive', '--once', own), /keepalived with TTL\(300\)/);
    assert.equal(await alice('lease', 'revoke', own), `lease ${own} revoked\n`);
    assert.equal(await root('get', 'a'), 'a\n1\n');
    const lock = start('--user=alice:alicepw', 'lock', 'own/lock');
    await printed(lock, /^own\/lock\/[0-9a-f]+\n/);
  });

  it('a member is added and joins on the behalf of root', async () => {
    const [peer = 0, client = 0] = await freePorts(2);
    const url = `http://127.0.0.1:${peer}`;
    await refused(deniedText, '--user=alice:alicepw', 'member', 'add', 'm4', `--peer-urls=${url}`);
    assert.match(await root('member', 'add', 'm4', '--learner', `--peer-urls=${url}`), /added to cluster/);
    const joining = (dataDir: string, ...user: string[]) => {
      const where = ['--peer-listen', `127.0.0.1:${peer}`, '--etcd-listen', `127.0.0.1:${client}`];
      const args = [
        'store',
        'run',
        '--join',
        `127.0.0.1:${tested.store.ports[1]}`,
        '--member',
        'm4',
        ...where,
      ];
      const all = [kabukiPath, ...args, '--data-dir', dataDir, ...user];
      return tested.endAfterTest(startProgram(process.execPath, all, { timeoutMs: 100_000 }));
    };
    const stranger = await joining(newFolder()).outcome;
    assert.match(stranger.stderr, /etcdserver: user name is empty/);
    assert.match((await joining(newFolder(), '--user=alice:alicepw').outcome).stderr, deniedText);
    const program = joining(newFolder(), '--user=root:rootpw');
    await waitFor('m4 to serve', 30_000, async () => {
      assert.equal(program.process.exitCode, null, program.stderr);
      return program.stdout.includes('member list');
    });
    const asked = await tested.store.tryEtcdctl([
      `--endpoints=127.0.0.1:${client}`,
      '--user=alice:alicepw',
      'get',
      'a',
      '--consistency=s',
    ]);
    assert.match(asked.stderr, deniedText);
    const id = /^([0-9a-f]+), started, m4,/m.exec(await root('member', 'list'))?.[1] ?? '';
    assert.match(await root('member', 'remove', id), /removed from cluster/);
  });

  it('user passwd and auth disable', async () => {
    const changed = await tested.store.tryEtcdctl(
      ['--user=root:rootpw', 'user', 'passwd', 'alice', '--interactive=false'],
      'newpw\n',
    );
    assert.equal(changed.stdout, 'Password updated\n');
    await refused(/invalid user ID or password/, '--user=alice:alicepw', 'get', 'own/1');
    assert.equal(await tested.store.etcdctl('--user=alice:newpw', 'put', 'own/1', 'z'), 'OK\n');
    assert.equal(await root('auth', 'disable'), 'Authentication Disabled\n');
    assert.equal(await tested.store.etcdctl('get', 'a'), 'a\n1\n');
    // A name without need of it is no mistake.
    assert.equal(await tested.store.etcdctl('--user=nobody:x', 'get', 'a'), 'a\n1\n');
  });
});

describe('etcdctl against the store alone: certificates as users', function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), 'kabuki-store-certificates-'));
  let store: StoreAlone;
  let ca: string;
  const pairs = new Map<string, readonly string[]>();

  before(async function () {
    if (!hasEtcdctl()) return this.skip();
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const authority = await createAuthority('store-ca');
    const server = await authority.issueServer('store', ['127.0.0.1', 'localhost']);
    ca = file('ca.crt', authority.cert);
    for (const name of ['root', 'alice', 'mallory', '']) {
      const { cert, key } = await authority.issueClient(name, []);
      const who = name || 'nameless';
      pairs.set(who, [
        `--cacert=${ca}`,
        `--cert=${file(`${who}.crt`, cert)}`,
        `--key=${file(`${who}.key`, key)}`,
      ]);
    }
    store = await startStoreAlone({
      members: 1,
      args: [
        `--cert-file=${file('server.crt', server.cert)}`,
        `--key-file=${file('server.key', server.key)}`,
        `--trusted-ca-file=${ca}`,
        '--client-cert-auth',
      ],
    });
  });
  after(async () => {
    await store?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const as = (who: string, ...args: string[]) => store.etcdctl(...(pairs.get(who) ?? []), ...args);
  const refused = async (reason: RegExp, who: string, ...args: string[]) => {
    const outcome = await store.tryEtcdctl([...(pairs.get(who) ?? []), ...args]);
    assert.notEqual(outcome.code, 0, args.join(' '));
    assert.match(outcome.stderr, reason, args.join(' '));
  };

  it('the common name is the user; a password goes before it; a name that nobody knows is nobody', async () => {
    await as('root', 'user', 'add', 'root:rootpw');
    await as('root', 'auth', 'enable');
    await as('root', 'user', 'add', 'alice', '--no-password');
    await as('root', 'user', 'add', 'bob:bobpw');
    await as('root', 'role', 'add', 'some');
    await as('root', 'role', 'grant-permission', 'some', 'readwrite', 'own/', '--prefix=true');
    await as('root', 'user', 'grant-role', 'alice', 'some');
    assert.equal(await as('root', 'put', 'a', '1'), 'OK\n');
    assert.equal(await as('alice', 'put', 'own/1', '1'), 'OK\n');
    await refused(deniedText, 'alice', 'put', 'a', '2');
    await refused(deniedText, 'mallory', 'put', 'own/1', '2');
    await refused(/user name not found/, 'mallory', 'user', 'list');
    await refused(/user name is empty/, 'nameless', 'put', 'own/1', '2');
    await refused(/user name is empty/, 'nameless', 'member', 'list');
    await refused(/password was given for no password user/, 'root', '--user=alice:x', 'get', 'a');
    await refused(deniedText, 'root', '--user=bob:bobpw', 'get', 'a');
  });

  it('rights of a certificate’s user are those of now, with no token to outdate', async () => {
    await as('root', 'role', 'revoke-permission', 'some', 'own/', '--prefix=true');
    await refused(deniedText, 'alice', 'put', 'own/1', '2');
    await as('root', 'role', 'grant-permission', 'some', 'readwrite', 'own/', '--prefix=true');
    assert.equal(await as('alice', 'put', 'own/1', '2'), 'OK\n');
    await as('root', 'user', 'delete', 'alice');
    await refused(deniedText, 'alice', 'get', 'own/1');
  });
});
