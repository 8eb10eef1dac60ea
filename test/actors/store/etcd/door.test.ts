/** How long the door of the etcd front holds connections of those who do not call. Its clock stands still until it is moved. */
import { strict as assert } from 'node:assert';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type EtcdDoor, type EtcdTls, openEtcdDoor } from '../../../../actors/store/etcd/door.js';
import { etcdLimits } from '../../../../actors/store/etcd/limits.js';
import { service, unary } from '../../../../actors/store/etcd/method.js';
import { RpcCounts } from '../../../../actors/store/etcd/rpc-counts.js';
import { Empty } from '../../../../actors/store/etcd/rpc-messages.js';
import { type CertificateAuthority, createAuthority } from '../../../../deploy/certificates.js';
import { GrpcClient } from '../../../harness/grpc-client.js';
import { ManualClock } from '../../client/manual-env.js';

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const ack = Buffer.from([0, 0, 0, 4, 1, 0, 0, 0, 0]);
const ping = Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const limitMs = etcdLimits.firstCallTimeoutMs;

describe('the door of the etcd front', () => {
  let clock: ManualClock;
  let door: EtcdDoor;
  let authority: CertificateAuthority;
  const clients: { destroy(): void }[] = [];
  const open = async (tls?: EtcdTls) => {
    clock = new ManualClock();
    door = await openEtcdDoor({
      host: '127.0.0.1',
      port: 0,
      ...(tls && { tls }),
      methods: new Map(service('test.Door', { Call: unary(Empty, Empty, async () => ({})) })),
      calls: {
        clock,
        requestBytesMax: 1024,
        messageBytesMax: 1024,
        requestTimeoutMs: 1_000,
        hasLeader: () => true,
        leaderStreams: new Set(),
        longCalls: new Set(),
        storesOf: () => assert.fail('nobody asks for a store'),
        counts: new RpcCounts(),
        onError: () => {},
      },
      page: async () => ({ status: 200, type: 'text/plain', body: 'well' }),
      // The time of a handshake is node's own.
      limits: { ...etcdLimits, firstBytesTimeoutMs: 500 },
    });
  };
  const serverTls = async (): Promise<EtcdTls> => {
    authority = await createAuthority('door-ca');
    const { cert, key } = await authority.issueServer('door', ['127.0.0.1', 'localhost']);
    return { certificate: cert, key };
  };
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await door.close();
  });

  const held = <T extends { destroy(): void }>(client: T): T => {
    clients.push(client);
    return client;
  };
  const tcp = async (...said: readonly (string | Buffer)[]): Promise<Socket> => {
    const socket = held(connect(door.port, '127.0.0.1'));
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('connect', resolve));
    for (const part of said) socket.write(part);
    return socket;
  };
  /** The door has had a turn to read what was sent before. */
  const seen = async () => {
    const probe = new GrpcClient(`http://127.0.0.1:${door.port}`);
    await probe.unary('/test.Door/Call', [Empty, Empty], {});
    probe.close();
  };
  const closed = (socket: Socket) =>
    new Promise<true>((resolve) => {
      if (socket.closed) resolve(true);
      socket.resume();
      socket.once('close', () => resolve(true));
    });

  for (const [what, ...said] of [
    ['says HTTP/2 and waits', preface, settings],
    ['has taken our settings and waits', preface, settings, ack],
    ['only pings', preface, settings, ack, ping],
    ['has begun to ask for a page', 'GET /health HT'],
  ] as const) {
    it(`closes a connection that ${what}, when its time for a first call is over, not before`, async () => {
      await open();
      const socket = await tcp(...said);
      await seen();
      await clock.advance(limitMs - 1);
      await seen();
      assert.equal(socket.closed, false);
      await clock.advance(1);
      assert.equal(await closed(socket), true);
    });
  }

  it('lets those live on that have called once, however long they are idle', async () => {
    await open();
    const session = held(connectHttp2(`http://127.0.0.1:${door.port}`));
    const client = new GrpcClient(`http://127.0.0.1:${door.port}`);
    held({ destroy: () => client.close() });
    await page(session);
    await client.unary('/test.Door/Call', [Empty, Empty], {});
    const timers = clock.timerCount;
    await clock.advance(100 * limitMs);
    assert.equal(timers, 0, 'nothing waits for them');
    await page(session);
    await client.unary('/test.Door/Call', [Empty, Empty], {});
  });

  it('does the same over TLS, and asks for the end of handshakes', async () => {
    await open(await serverTls());
    const options = { port: door.port, host: '127.0.0.1', ca: authority.cert, servername: 'localhost' };
    const secure = (protocol: string) =>
      new Promise<Socket>((resolve) => {
        const socket = held(connectTls({ ...options, ALPNProtocols: [protocol] }, () => resolve(socket)));
        socket.on('error', () => {});
      });
    const idle = await Promise.all(['h2', 'http/1.1'].map(secure));
    const used = held(connectHttp2(`https://localhost:${door.port}`, { ...options, ALPNProtocols: ['h2'] }));
    await page(used);
    await clock.advance(limitMs);
    for (const socket of idle) assert.equal(await closed(socket), true);
    await page(used);
    assert.equal(await closed(await tcp()), true);
    // Who has not ended the handshake is not waited for when the door closes.
    const silent = await tcp();
    await page(used);
    const closing = door.close();
    await clock.advance(etcdLimits.closeGraceMs);
    assert.equal(await closed(silent), true);
    await closing;
  });
});

async function page(session: ClientHttp2Session): Promise<void> {
  const stream = session.request({ ':path': '/health' });
  const status = await new Promise((resolve, reject) => {
    stream.once('response', (headers) => resolve(headers[':status']));
    stream.once('error', reject);
  });
  assert.equal(status, 200);
  stream.resume();
  await new Promise((resolve) => stream.once('close', resolve));
}
