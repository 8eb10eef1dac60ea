import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '../../deploy/certificates.js';
import { freePorts } from '../../deploy/create-cluster.js';
import { joinAtApi, type JoinIdentity } from '../../deploy/store-join.js';
import { waitFor } from '../../deploy/wait.js';
import { kabukiPath } from '../harness/process-cluster.js';
import { run, start } from '../harness/program.js';

describe('a member that joins where it cannot', function () {
  this.timeout(60_000);
  const claim = { peerUrl: 'tcp://127.0.0.1:1', title: 'm4', publicKey: 'k', clientUrls: [] };
  /** Long enough to ask twice. */
  const timeoutMs = 700;
  let server: Server;
  let stranger: number;
  before((done) => {
    server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    }).listen(0, '127.0.0.1', () => {
      stranger = (server.address() as { port: number }).port;
      done();
    });
  });
  after(() => server.close());

  const failure = async (endpoints: readonly string[]) =>
    joinAtApi(
      endpoints,
      {},
      { timeoutMs, report: () => {} },
    )(claim).then(
      () => assert.fail('it joined'),
      ({ message }: Error) => message,
    );

  it('says whom it asked, why nobody took it in, and what to do', async () => {
    const [nobody = 0] = await freePorts(1);
    const message = await failure([`127.0.0.1:${nobody}`, `127.0.0.1:${stranger}`]);
    assert.match(message, /^no member of a store took this one in within 0\.7 s at /);
    assert(message.includes(`127.0.0.1:${nobody} (connect ECONNREFUSED 127.0.0.1:${nobody})`), message);
    assert(message.includes(`127.0.0.1:${stranger} (Protocol error)`), message);
    assert.match(message, /: give with --join where running members serve clients \(.*\), or their folder/);
  });

  it('says what is wrong with TLS without the call stack of OpenSSL', async () => {
    const message = await failure([`https://127.0.0.1:${stranger}`]);
    assert.match(message, /at https:\/\/127\.0\.0\.1:\d+ \(TLS: wrong version number\): /);
    assert.match(message, /^no member of a store takes this one in at /, 'at once');
    assert.match(message, /; --join-cacert says whom to trust, --join-cert and --join-key who this is$/);
  });

  it('does not wait for what is no store at all', async () => {
    const message = await failure([`127.0.0.1:${stranger}`]);
    assert.match(message, /^no member of a store takes this one in at 127\.0\.0\.1:\d+ \(Protocol error\): /);
  });

  it('says whom it asks, what the answer was and for how long it goes on, while it waits', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kabuki-join-'));
    const [nobody = 0, peer = 0, client = 0] = await freePorts(3);
    const member = ['--member', 'm4', '--peer-listen', `127.0.0.1:${peer}`];
    const where = ['--etcd-listen', `127.0.0.1:${client}`, '--data-dir', join(folder, 'm4')];
    const join4 = ['--join', `127.0.0.1:${nobody}`, ...member, ...where];
    const program = start(process.execPath, [kabukiPath, 'store', 'run', ...join4]);
    try {
      await waitFor('it to say so', 10_000, async () => program.stderr.includes('\n'));
    } finally {
      program.process.kill('SIGKILL');
      await program.outcome;
      rmSync(folder, { recursive: true, force: true });
    }
    const answer = `127.0.0.1:${nobody} (connect ECONNREFUSED 127.0.0.1:${nobody})`;
    assert.match(
      program.stderr,
      /^no member of the store has taken this one in yet, asking on for 1[1-4] s: .*\n$/,
    );
    assert(program.stderr.endsWith(`: ${answer}\n`), program.stderr);
  });

  it('is told at once by TLS: who it is, or whom it asks, is not trusted', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kabuki-join-'));
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const [authority, other] = [await createAuthority('store-ca'), await createAuthority('other-ca')];
    const { cert, key } = await authority.issueServer('store', ['127.0.0.1']);
    const mallory = await other.issueClient('mallory', []);
    const [caFile, otherFile] = [file('ca.crt', authority.cert), file('other.crt', other.cert)];
    const shown = {
      certFile: file('mallory.crt', mallory.cert),
      keyFile: file('mallory.key', mallory.key),
    };
    const door = createSecureServer({ cert, key, ca: authority.cert, requestCert: true }).listen(0);
    const { port } = door.address() as { port: number };
    const said: string[] = [];
    const why = async (identity: JoinIdentity, host = '127.0.0.1') => {
      const ask = joinAtApi([`https://${host}:${port}`], identity, { report: (line) => said.push(line) });
      const { message } = await ask(claim).then(
        () => assert.fail('it joined'),
        (error: Error) => error,
      );
      assert.match(message, /^no member of a store takes this one in at /);
      return message;
    };
    try {
      assert.match(await why({ caFile }), /\(TLS: .*certificate required\)/);
      // A server of Node's hangs up where others send an alert.
      assert.match(await why({ caFile, ...shown }), /\(TLS: it hung up after the handshake, it may not take/);
      assert.match(await why({ caFile: otherFile }), /\(self-signed certificate in certificate chain\)/);
      assert.match(await why({ caFile }, 'localhost'), /\(Hostname\/IP does not match .*\)/);
      assert.deepEqual(said, []);
    } finally {
      door.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('refuses what it cannot use before it asks anybody', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kabuki-join-'));
    const refused = async (text: RegExp, ...args: readonly string[]) => {
      const where = ['--data-dir', join(folder, 'member')];
      const { code, stderr } = await run(process.execPath, [kabukiPath, 'store', 'run', ...args, ...where]);
      assert.match(stderr, text);
      assert.notEqual(code, 0);
    };
    const member = ['--member', 'm4', '--peer-listen', '127.0.0.1:1'];
    try {
      await refused(/--join \S+: there is no store in that folder/, '--join', folder, ...member);
      await refused(/--join takes host:port, separated by commas, not ""/, '--join', '', ...member);
      await refused(
        /a member's name is a DNS label, .*, not "m_4"/,
        '--join',
        '127.0.0.1:1',
        '--member',
        'm_4',
      );
      await refused(/--join-cacert belongs to --join/, '--join-cacert', '/a');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
