import { strict as assert } from 'node:assert';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '../../deploy/certificates.js';
import { freePorts } from '../../deploy/create-cluster.js';
import { waitFor } from '../../deploy/wait.js';
import { kabukiPath } from '../harness/process-cluster.js';
import { rpc } from '../harness/etcd-calls.js';
import { GrpcClient } from '../harness/grpc-client.js';
import { type Outcome, run } from '../harness/program.js';
import { hasEtcdctl, startStoreAlone } from '../harness/store-alone.js';

describe('kabuki store run', function () {
  this.timeout(120_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-store-run-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const storeRun = (...args: readonly string[]): Promise<Outcome> =>
    run(process.execPath, [kabukiPath, 'store', 'run', '--data-dir', join(folder, 'data'), ...args]);

  for (const [what, args, text] of [
    ['an even number of members', ['--members', '2'], /--members must be 1, 3 or 5 .* not 2/],
    [
      'fewer addresses than members',
      ['--members', '3', '--etcd-listen', '127.0.0.1:1234,127.0.0.1:1235'],
      /--etcd-listen names 2 addresses for 3 members: give one for each/,
    ],
    [
      'one address for two members',
      ['--members', '3', '--etcd-listen', '127.0.0.1:1234,127.0.0.1:1234,127.0.0.1:1235'],
      /--etcd-listen names 127\.0\.0\.1:1234 twice/,
    ],
    [
      'what is no address',
      ['--members', '1', '--etcd-listen', '127.0.0.1:port'],
      /--etcd-listen takes host:port, .* not "127\.0\.0\.1:port"/,
    ],
    [
      'an address that others reach, without TLS',
      ['--members', '1', '--etcd-listen', '0.0.0.0:12399'],
      /can be reached from other machines: give --cert-file, --key-file and --trusted-ca-file/,
    ],
    ['a certificate without its key', ['--cert-file', 'x'], /--cert-file and --key-file belong together/],
    [
      'a certificate that is not there',
      ['--members', '1', '--etcd-listen', '12399', '--cert-file', '/none', '--key-file', '/none'],
      /--cert-file \/none cannot be read/,
    ],
  ] as const) {
    it(`refuses ${what}, and says what to do`, async () => {
      const outcome = await storeRun(...args);
      assert.equal(outcome.code, 1);
      assert.match(outcome.stderr, text);
      assert.doesNotMatch(outcome.stderr, /\n {4}at /, 'a stack trace is no message');
    });
  }

  it('refuses a port that is in use', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const outcome = await storeRun('--members', '1', '--etcd-listen', `127.0.0.1:${port}`);
    server.close();
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, new RegExp(`127\\.0\\.0\\.1:${port} cannot be listened at, it is in use`));
  });

  it('refuses a second start on the same data, another number of members, and a folder of the other kind', async () => {
    const store = await startStoreAlone({ members: 1 });
    const start = (...args: string[]) =>
      run(process.execPath, [kabukiPath, ...args, '--data-dir', store.dataDir]);
    try {
      const [port] = await freePorts(1);
      assert.match((await start('store', 'run', '--etcd-listen', String(port))).stderr, /already running/);
      await store.stop();
      assert.match(
        (await start('store', 'run', '--members', '3')).stderr,
        /holds a store of 1 members, not 3/,
      );
      assert.match((await start('up')).stderr, /holds a store that runs alone/);
    } finally {
      await store.remove();
    }
  });

  it('does not begin anew with an emptied folder: a member that forgets its votes must not vote again', async () => {
    const store = await startStoreAlone({ members: 1 });
    try {
      await store.stop();
      rmSync(join(store.dataDir, 'machines', 'store-1', 'store'), { recursive: true });
      const args = ['store', 'run', '--data-dir', store.dataDir];
      const { code, stderr } = await run(process.execPath, [kabukiPath, ...args]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /the log of member "store-1", which has run before, is gone/);
    } finally {
      await store.remove();
    }
  });

  it('starts without a member whose data are damaged, which is then removed; not without a majority', async () => {
    const store = await startStoreAlone();
    const again = () => startStoreAlone({ dataDir: store.dataDir, ports: store.ports });
    const damage = (name: string) => {
      const folder = join(store.dataDir, 'machines', name, 'store');
      const log = join(
        folder,
        readdirSync(folder).find((file) => file.startsWith('wal-'))!,
      );
      const bytes = readFileSync(log);
      // So many that some are of a record, and not of the room between two.
      for (let at = 110; at < 142; at++) bytes[at] = bytes[at]! ^ 0xff;
      writeFileSync(log, bytes);
    };
    const op = (...args: string[]) =>
      run(process.execPath, [kabukiPath, 'store', ...args, '--data-dir', store.dataDir]);
    try {
      // Each member's log has records behind the damaged one: the last one would be taken for torn by a crash.
      for (const port of store.ports) await putTimes(5, port);
      await store.stop();
      damage('store-2');
      const second = await again();
      assert.match(
        second.program.stdout + second.program.stderr,
        /store-2 does not run: StorageError: wal-\S+ at byte/,
      );
      const removed = await op('remove', 'store-2');
      assert.equal(removed.code, 0, removed.stderr);
      const status = await op('status');
      assert.equal(status.code, 0, status.stderr);
      assert.match(status.stdout, /store-1 +(?:leader|follower)[^]*store-3 +(?:leader|follower)/);
      const mark = join(store.dataDir, 'machines', 'store-2', 'removed');
      await waitFor('the next start to leave it out', 10_000, async () => existsSync(mark));
      await second.stop();
      damage('store-3');
      const third = await op('run');
      assert.equal(third.code, 1);
      assert.match(third.stderr, /store-3 ended while starting.*StorageError: wal-\S+ at byte/);
    } finally {
      await store.remove();
    }
  });

  it('starts without a member whose disk refuses, which joins the others when that is mended', async () => {
    let store = await startStoreAlone();
    const folder = join(store.dataDir, 'machines', 'store-2', 'store');
    const aside = `${folder}-kept`;
    const op = (...args: string[]) =>
      run(process.execPath, [kabukiPath, ...args, '--data-dir', store.dataDir]);
    try {
      await store.stop();
      renameSync(folder, aside);
      writeFileSync(folder, 'no folder');
      store = await startStoreAlone({ dataDir: store.dataDir, ports: store.ports });
      const { program } = store;
      // Its supervisor gives up before its machine has started, or after.
      await waitFor('it to be said', 20_000, async () =>
        /store-2 (does not run|ended unexpectedly).* cannot create the folder: EEXIST/.test(program.stdout),
      );
      if (program.stdout.includes('does not run')) {
        assert.match(program.stdout, /go on without it; when its disk is mended: kabuki fault start store-2/);
      }
      await putTimes(1, store.ports[0]!);
      rmSync(folder);
      renameSync(aside, folder);
      const started = await op('fault', 'start', 'store-2');
      assert.equal(started.code, 0, started.stderr);
      await waitFor('all to answer', 20_000, async () => (await op('store', 'status')).code === 0);
    } finally {
      await store.remove();
    }
  });

  it('stops in good order whatever it still waits for, such as the end of a fault', async () => {
    const store = await startStoreAlone();
    try {
      const fault = ['fault', 'isolate', 'store-3', '--for', '60', '--data-dir', store.dataDir];
      const { code, stderr } = await run(process.execPath, [kabukiPath, ...fault]);
      assert.equal(code, 0, stderr);
      assert.equal(await store.stop(), 0);
      assert.doesNotMatch(store.program.stdout, /it was killed/);
    } finally {
      await store.remove();
    }
  });

  it('serves clients with a certificate over TLS, and nobody else', async function () {
    if (!hasEtcdctl()) return this.skip();
    const authority = await createAuthority('store-ca');
    const server = await authority.issueServer('store', ['127.0.0.1', 'localhost']);
    const alice = await authority.issueClient('alice', []);
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const ca = file('ca.crt', authority.cert);
    const store = await startStoreAlone({
      members: 1,
      args: [
        `--cert-file=${file('server.crt', server.cert)}`,
        `--key-file=${file('server.key', server.key)}`,
        `--trusted-ca-file=${ca}`,
      ],
      clientArgs: [
        `--cacert=${ca}`,
        `--cert=${file('alice.crt', alice.cert)}`,
        `--key=${file('alice.key', alice.key)}`,
      ],
    });
    try {
      assert.equal(await store.etcdctl('put', 'a', '1'), 'OK\n');
      assert.match(await store.etcdctl('member', 'list'), /https:\/\/127\.0\.0\.1/);
      const health = (credentials: object) =>
        new Promise<string>((resolve, reject) => {
          request(
            { host: '127.0.0.1', port: store.ports[0], path: '/health', ca: authority.cert, ...credentials },
            (response) => {
              response.on('data', (chunk: Buffer) => resolve(chunk.toString()));
            },
          )
            .on('error', reject)
            .end();
        });
      assert.match(await health({ cert: alice.cert, key: alice.key }), /"health":"true"/);
      await assert.rejects(health({}));
    } finally {
      await store.remove();
    }
  });
});

/** Through the member that listens there. */
async function putTimes(times: number, port: number): Promise<void> {
  const client = new GrpcClient(`http://127.0.0.1:${port}`);
  for (let i = 0; i < times; i++) await client.unary(...rpc.put, { key: 'k', value: Buffer.from(String(i)) });
  client.close();
}
