import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../deploy/create-cluster.js';
import { joinAtApi } from '../../deploy/store-join.js';
import { kabukiPath } from '../harness/process-cluster.js';
import { run } from '../harness/program.js';

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
      timeoutMs,
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
