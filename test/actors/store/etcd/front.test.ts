import { strict as assert } from 'node:assert';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { HealthCheckRequest, HealthCheckResponse } from '../../../../actors/store/etcd/health-service.js';
import { PutRequest, RangeRequest } from '../../../../actors/store/etcd/kv-messages.js';
import { HeaderOnly, ProclaimRequest } from '../../../../actors/store/etcd/rpc-messages.js';
import { code } from '../../../../actors/store/etcd/status.js';
import { rpc } from '../../../harness/etcd-calls.js';
import { GrpcClient, type GrpcFailure } from '../../../harness/grpc-client.js';
import { startStoreAlone, type StoreAlone } from '../../../harness/store-alone.js';

const value = (text: string) => Buffer.from(text);

describe("etcd's API", function () {
  this.timeout(60_000);
  let store: StoreAlone;
  let client: GrpcClient;
  before(async () => {
    store = await startStoreAlone({ members: 1, args: ['--watch-progress-notify-interval=200ms'] });
    client = new GrpcClient(`http://127.0.0.1:${store.ports[0]}`);
  });
  after(async () => {
    client?.close();
    await store?.remove();
  });

  const kv = (method: string) => `/etcdserverpb.KV/${method}`;
  const doPut = (key: string, text: string) => client.unary(...rpc.put, { key, value: value(text) });
  const failure = async (promise: Promise<unknown>) => {
    const error = await promise.then(
      () => assert.fail('it went well'),
      (e: GrpcFailure) => e,
    );
    return [error.code, error.message];
  };
  const openWatch = () => client.stream(...rpc.watch);
  const lastRevision = async () => (await client.unary(...rpc.range, { key: 'x' })).header?.revision ?? 0;

  describe('speaks gRPC', () => {
    for (const [path, text] of [
      ['/etcdserverpb.KV/Nothing', 'unknown method Nothing for service etcdserverpb.KV'],
      ['/etcdserverpb.Cluster/Nothing', 'unknown method Nothing for service etcdserverpb.Cluster'],
      ['/no.Service/Nothing', 'unknown method Nothing for service no.Service'],
      ['/nothing', 'malformed method name: "/nothing"'],
      [
        '/etcdserverpb.Maintenance/Downgrade',
        'etcdserver: a downgrade is not supported: the format of this store is not that of a version of etcd',
      ],
    ] as const) {
      it(`${path} is UNIMPLEMENTED, and the text says what`, async () => {
        const status = await client.raw(path, Buffer.alloc(5));
        assert.deepEqual(status, { code: code.unimplemented, message: text });
      });
    }
    it('compressed messages are UNIMPLEMENTED, announced or not', async () => {
      const gzip = { 'grpc-encoding': 'gzip' };
      assert.equal((await client.raw(kv('Put'), Buffer.alloc(5), gzip)).code, code.unimplemented);
      assert.equal((await client.raw(kv('Put'), Buffer.from('0100000000', 'hex'))).code, code.unimplemented);
    });
    it('garbage, no message, half a message and two messages are INTERNAL', async () => {
      for (const bytes of ['0000000001ff', '', '00000000', '0000000000' + '0000000000']) {
        assert.equal((await client.raw(kv('Range'), Buffer.from(bytes, 'hex'))).code, code.internal, bytes);
      }
    });
    it('a message that is larger than the limit ends the call before it has arrived', async () => {
      const call = client.stream(...rpc.put);
      call.stream.write(Buffer.from('00ffffffff', 'hex'));
      assert.equal((await call.status).code, code.resourceExhausted);
    });
    it('a deadline ends a stream, and a malformed one is refused', async () => {
      const headers = { 'grpc-timeout': '50m' };
      const call = client.stream(...rpc.watch, headers);
      assert.equal((await call.status).code, code.deadlineExceeded);
      assert.equal(
        (await client.raw(kv('Put'), Buffer.alloc(5), { 'grpc-timeout': 'soon' })).code,
        code.internal,
      );
    });
    it('a connection that sends rubbish is closed, and others go on', async () => {
      const ended = await new Promise<string>((resolve) => {
        const socket = connect(store.ports[0] as number, '127.0.0.1');
        let text = '';
        socket.on('data', (chunk) => (text += chunk.toString()));
        socket.on('close', () => resolve(text));
        socket.end('PRX rubbish\r\n\r\n');
      });
      assert.match(ended, /400 Bad Request/);
      await doPut('after rubbish', '');
    });
    it('calls that are cancelled in every state hurt nobody', async () => {
      for (let i = 0; i < 20; i += 1) {
        const call = client.stream(...rpc.put);
        if (i % 4 > 0) call.stream.write(Buffer.from('00000000', 'hex'));
        if (i % 4 > 1) call.send({ key: 'x' });
        if (i % 4 > 2) call.finish();
        call.cancel();
      }
      await doPut('after cancels', '');
    });
  });

  it('takes requests as large as etcd takes, and none larger', async () => {
    // A key of 4 bytes takes 6, the length of the value 3 and its tag 1.
    const bytesMax = 1536 * 1024 - 18 - 10;
    await doPut('size', 'x'.repeat(bytesMax));
    const tooLarge = [code.invalidArgument, 'etcdserver: request is too large'];
    assert.deepEqual(await failure(doPut('size', 'x'.repeat(bytesMax + 1))), tooLarge);
    await doPut('size', '');
  });

  it('answers whom gRPC sends to look after its health', async () => {
    const health = [HealthCheckRequest, HealthCheckResponse] as const;
    const check = (service: string) => client.unary('/grpc.health.v1.Health/Check', health, { service });
    assert.deepEqual(await check(''), { status: 1 });
    assert.deepEqual(await failure(check('etcdserverpb.KV')), [code.notFound, 'unknown service']);
    for (const [service, status] of [
      ['', 1],
      ['other', 3],
    ] as const) {
      const watched = client.stream('/grpc.health.v1.Health/Watch', health);
      watched.send({ service });
      await watched.until('the answer', (received) => received.length > 0);
      assert.deepEqual(watched.received, [{ status }]);
      watched.cancel();
    }
  });

  it('serves health, version and metrics over HTTP/1.1 on the same port', async () => {
    const get = (path: string) =>
      new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
        httpRequest({ port: store.ports[0], host: '127.0.0.1', path }, (response) => {
          let body = '';
          response.on('data', (chunk: Buffer) => (body += chunk.toString()));
          response.on('end', () => resolve({ status: response.statusCode, body }));
        })
          .on('error', reject)
          .end();
      });
    assert.deepEqual(JSON.parse((await get('/health')).body), { health: 'true', reason: '' });
    assert.match(JSON.parse((await get('/version')).body).etcdserver, /^3\.6\.\d+$/);
    assert.equal((await get('/livez')).body, 'ok\n');
    const ready = await get('/readyz?verbose&exclude=non_learner&exclude=unknown');
    assert.equal(ready.body, '[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\nok\n');
    assert.match((await get('/metrics')).body, /^etcd_server_has_leader 1$/m);
    assert.equal((await get('/nothing')).status, 404);
  });

  it('counts under the names of etcd, in the format of Prometheus', async () => {
    const metrics = async () => {
      const answer = await fetch(`http://127.0.0.1:${store.ports[0]}/metrics`);
      assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
      const samples = new Map<string, number>();
      const types = new Map<string, string>();
      for (const line of (await answer.text()).trimEnd().split('\n')) {
        const type = /^# TYPE (\w+) (gauge|counter|histogram)$/.exec(line);
        if (type) types.set(type[1]!, type[2]!);
        if (line.startsWith('# ')) continue;
        const sample = /^(\w+(?:\{\w+="[^"]*"(?:,\w+="[^"]*")*\})?) (\S+)$/.exec(line);
        assert.ok(sample, line);
        const family = sample[1]!.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, '');
        assert.ok(types.has(family) || types.has(sample[1]!.replace(/\{.*/, '')), line);
        assert.ok(!samples.has(sample[1]!), line);
        samples.set(sample[1]!, Number(sample[2]));
      }
      return (name: string) => samples.get(name) ?? Number.NaN;
    };
    await doPut('counted', '');
    const before = await metrics();
    const watch = openWatch();
    watch.send({ create: { key: 'counted' } });
    await watch.until('the watch to stand', (received) => received.length > 0);
    await doPut('counted/1', '1');
    await doPut('counted/2', '1');
    await client.unary(...rpc.deleteRange, {
      key: 'counted/',
      rangeEnd: 'counted0',
    });
    await failure(doPut('', 'v'));
    const after = await metrics();
    const grew = (name: string) => after(name) - before(name);
    assert.equal(grew('etcd_mvcc_put_total'), 2);
    assert.equal(grew('etcd_mvcc_delete_total'), 2);
    assert.equal(grew('etcd_mvcc_txn_total'), 1);
    assert.equal(grew('etcd_debugging_mvcc_current_revision'), 3);
    assert.equal(grew('etcd_debugging_mvcc_keys_total'), 0);
    assert.equal(grew('etcd_debugging_mvcc_watcher_total'), 1);
    assert.equal(grew('etcd_debugging_mvcc_watch_stream_total'), 1);
    assert.ok(grew('etcd_disk_wal_fsync_duration_seconds_count') >= 3);
    const last = 'etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"}';
    assert.equal(after(last), after('etcd_disk_wal_fsync_duration_seconds_count'));
    const puts = 'grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put"';
    assert.equal(grew(`grpc_server_started_total{${puts}}`), 3);
    assert.equal(grew(`grpc_server_handled_total{${puts},grpc_code="OK"}`), 2);
    assert.equal(after(`grpc_server_handled_total{${puts},grpc_code="InvalidArgument"}`) >= 1, true);
    for (const [name, value] of [
      ['etcd_server_has_leader', 1],
      ['etcd_server_is_leader', 1],
      ['etcd_server_is_learner', 0],
      ['etcd_server_proposals_pending', 0],
      ['etcd_server_slow_read_indexes_total', 0],
      ['etcd_server_read_indexes_failed_total', 0],
      ['etcd_debugging_mvcc_pending_events_total', 0],
      ['etcd_cluster_version{cluster_version="3.6"}', 1],
      ['etcd_debugging_auth_revision', 1],
    ] as const) {
      assert.equal(after(name), value, name);
    }
    // How many there are depends on the machine.
    assert.ok(after('etcd_server_slow_apply_total') >= 0);
    for (const name of ['etcd_mvcc_db_total_size_in_bytes', 'process_resident_memory_bytes']) {
      assert.ok(after(name) > 0, name);
    }
    watch.cancel();
  });

  it('says what it is: a version that a kube-apiserver takes for able to request progress', async () => {
    const status = await client.unary(...rpc.status, {});
    assert.match(status.version, /^3\.6\.\d+$/);
    assert.equal(status.leader, status.header?.memberId);
    assert.deepEqual(status.errors, []);
  });

  it('a list of more keys than are encoded in one turn is whole and in order', async () => {
    const count = 10_000;
    for (let from = 0; from < count; from += 100) {
      const success = Array.from({ length: 100 }, (_, n) => ({
        put: {
          key: `long/${String(from + n).padStart(5, '0')}`,
          value: value(`v${from + n}`),
          lease: 0,
          prevKv: false,
          ignoreValue: false,
          ignoreLease: false,
        },
      }));
      await client.unary(...rpc.txn, { success });
    }
    const all = { key: 'long/', rangeEnd: 'long0' };
    const list = await client.unary(...rpc.range, { ...all, limit: count - 1 });
    assert.deepEqual([list.count, list.more, list.kvs.length], [count, true, count - 1]);
    assert.ok((list.header?.revision ?? 0) > 1 && list.header?.memberId !== 0);
    for (const [n, { key, value: of }] of list.kvs.entries()) {
      assert.equal(key, `long/${String(n).padStart(5, '0')}`);
      assert.equal(Buffer.from(of ?? []).toString(), `v${n}`);
    }
    await client.unary(...rpc.deleteRange, all);
  });

  it('each answer in a transaction says the revision of its moment', async () => {
    const before = await lastRevision();
    const read = { ...RangeRequest.decode(Buffer.alloc(0)), key: 'tx' };
    const write = { ...PutRequest.decode(Buffer.alloc(0)), key: 'tx' };
    const txn = await client.unary(...rpc.txn, {
      success: [{ range: read }, { put: write }, { range: read }],
    });
    assert.deepEqual(
      txn.responses.map((one) => (one.range ?? one.put)?.header?.revision),
      [before, before + 1, before + 1],
    );
    assert.equal(txn.header?.revision, before + 1);
  });

  describe('watches', () => {
    it('many on one stream, with ids of the server and of the client, are told apart', async () => {
      const call = openWatch();
      call.send({ create: { key: 'm/a' } });
      call.send({ create: { key: 'm/b', watchId: 7 } });
      call.send({ create: { key: 'm/c', watchId: 7 } });
      call.send({ create: { key: 'm/', rangeEnd: 'm0' } });
      await call.until('four answers', (all) => all.length === 4);
      assert.deepEqual(
        call.received.map((answer) => [answer.watchId, answer.created, answer.canceled]),
        [
          [0, true, false],
          [7, true, false],
          [-1, true, true],
          [1, true, false],
        ],
      );
      assert.match(call.received[2]?.cancelReason ?? '', /duplicate watch ID/);
      await doPut('m/b', '1');
      await call.until('both events', (all) => all.length === 6);
      const ids = call.received.slice(4).map((answer) => [answer.watchId, answer.events[0]?.kv?.key]);
      assert.deepEqual(ids.toSorted(), [
        [1, 'm/b'],
        [7, 'm/b'],
      ]);
      call.send({ cancel: { watchId: 7 } });
      call.send({ cancel: { watchId: 99 } });
      await call.until('the cancellation', (all) => all.length === 7);
      assert.deepEqual([call.received[6]?.watchId, call.received[6]?.canceled], [7, true]);
      call.cancel();
    });

    it('filters and previous values', async () => {
      const call = openWatch();
      call.send({ create: { key: 'f', filters: [0], prevKv: true } });
      await call.until('the watch', (all) => all.length === 1);
      await doPut('f', 'old');
      await client.unary(...rpc.txn, {
        success: [{ deleteRange: { key: 'f', rangeEnd: '', prevKv: false } }],
      });
      await call.until('the delete', (all) => all.length === 2);
      const [event] = call.received[1]?.events ?? [];
      assert.equal(event?.type, 1);
      assert.equal(Buffer.from(event?.prevKv?.value ?? []).toString(), 'old');
      assert.equal(event?.kv?.modRevision, (event?.prevKv?.modRevision ?? 0) + 1);
      call.cancel();
    });

    it('progress is reported when all watchers have everything, and never for one that begins in the future', async () => {
      const call = openWatch();
      call.send({ create: { key: 'p' } });
      await doPut('p', '1');
      const { header } = await doPut('elsewhere', '1');
      call.send({ progress: {} });
      await call.until('progress', (all) => all.some(({ watchId }) => watchId === -1));
      const progress = call.received.at(-1);
      assert.ok((progress?.header?.revision ?? 0) >= (header?.revision ?? Infinity));
      assert.equal(
        call.received.findIndex(({ events }) => events.length > 0),
        1,
      );
      const future = (await lastRevision()) + 3;
      call.send({ create: { key: 'future', startRevision: future } });
      call.send({ progress: {} });
      await doPut('p', '2');
      await call.until('the event', (all) => all.at(-1)?.events.length === 1);
      assert.equal(call.received.filter(({ watchId }) => watchId === -1).length, 1);
      for (let i = 0; i < 3; i += 1) await doPut('more', '');
      await call.until(
        'progress after all',
        (all) => all.filter(({ watchId }) => watchId === -1).length === 2,
      );
      assert.ok((call.received.at(-1)?.header?.revision ?? 0) >= future);
      call.cancel();
    });

    it('those who asked for it hear of progress when nothing happens', async () => {
      const call = openWatch();
      call.send({ create: { key: 'n', progressNotify: true } });
      call.send({ create: { key: 'n' } });
      const { header } = await doPut('elsewhere', '2');
      await call.until('progress', (all) =>
        all.slice(2).some((one) => (one.header?.revision ?? 0) >= (header?.revision ?? Infinity)),
      );
      const told = call.received.slice(2);
      assert.deepEqual(new Set(told.map(({ watchId }) => watchId)), new Set([0]));
      assert.ok(told.every(({ events, created, canceled }) => events.length === 0 && !created && !canceled));
      call.cancel();
    });

    it('a reader that is too slow gets every event once, when it reads again', async () => {
      const big = 'x'.repeat(512 * 1024);
      const call = openWatch();
      call.send({ create: { key: 'slow' } });
      await call.until('the watch', (all) => all.length === 1);
      call.stream.pause();
      for (let i = 0; i < 40; i += 1) await doPut('slow', big);
      call.stream.resume();
      await call.until(
        'forty events',
        (all) => all.reduce((sum, { events }) => sum + events.length, 0) >= 40,
      );
      const revisions = call.received.flatMap(({ events }) => events.map(({ kv }) => kv?.version));
      assert.deepEqual(
        revisions,
        Array.from({ length: 40 }, (_, i) => i + 1),
      );
      call.cancel();
    });

    it('an answer that would be too large comes in fragments to those who asked', async () => {
      const from = (await lastRevision()) + 1;
      await client.unary(...rpc.txn, {
        success: ['a', 'b', 'c'].map((key) => ({
          put: {
            ...PutRequest.decode(Buffer.alloc(0)),
            key: `frag/${key}`,
            value: value('x'.repeat(400 * 1024)),
          },
        })),
      });
      await client.unary(...rpc.txn, {
        success: ['a', 'b', 'c'].map((key) => ({
          put: {
            ...PutRequest.decode(Buffer.alloc(0)),
            key: `frag/${key}`,
            value: value('y'.repeat(400 * 1024)),
          },
        })),
      });
      const call = openWatch();
      call.send({
        create: { key: 'frag/', rangeEnd: 'frag0', startRevision: from, prevKv: true, fragment: true },
      });
      await call.until('six events', (all) => all.reduce((sum, { events }) => sum + events.length, 0) === 6);
      const parts = call.received.filter(({ events }) => events.length > 0);
      assert.ok(parts.some(({ fragment }) => fragment));
      assert.equal(parts.at(-1)?.fragment, false);
      call.cancel();
    });
  });

  describe('locks and elections', () => {
    const lock = (name: string) => {
      const call = client.stream(...rpc.lock);
      call.send({ name });
      call.finish();
      return call;
    };
    const unlock = (key: string) => client.unary(...rpc.unlock, { key });

    it('the second waits until the first unlocks, and the third that gave up is not waited for', async () => {
      const first = lock('l');
      await first.until('the first lock', (all) => all.length === 1);
      const third = lock('l');
      const second = lock('l');
      const waiting = async () =>
        (await client.unary(...rpc.range, { key: 'l/', rangeEnd: 'l0', countOnly: true })).count;
      while ((await waiting()) < 3) await doPut('tick', '');
      third.cancel();
      while ((await waiting()) > 2) await doPut('tick', '');
      assert.equal(second.received.length, 0);
      await unlock(first.received[0]?.key ?? '');
      await second.until('the second lock', (all) => all.length === 1);
      await unlock(second.received[0]?.key ?? '');
    });

    it('what etcd has no code for has none', async () => {
      const proclaim = [ProclaimRequest, HeaderOnly] as const;
      const election = (method: string, request: object) =>
        failure(client.unary(`/v3electionpb.Election/${method}`, proclaim, request));
      const missing = [code.unknown, '"leader" field must be provided'];
      assert.deepEqual(await election('Proclaim', {}), missing);
      assert.deepEqual(await election('Resign', {}), missing);
      const leader = { name: 'nobodys', key: 'nobodys/1', rev: 3, lease: 4 };
      assert.deepEqual(await election('Proclaim', { leader }), [code.unknown, 'election: not leader']);
    });

    it('a leader is elected, seen, and replaced when he resigns', async () => {
      const campaign = (text: string) =>
        client.unary(...rpc.campaign, {
          name: 'e',
          value: value(text),
        });
      const observer = client.stream(...rpc.observe);
      observer.send({ name: 'e' });
      const one = await campaign('one');
      await observer.until('the first leader', (all) => all.length >= 1);
      const two = campaign('two');
      const leader = await client.unary(...rpc.electionLeader, {
        name: 'e',
      });
      assert.equal(Buffer.from(leader.kv?.value ?? []).toString(), 'one');
      await unlock(one.leader?.key ?? '');
      assert.equal((await two).leader?.name, 'e');
      await observer.until(
        'the second leader',
        (all) => Buffer.from(all.at(-1)?.kv?.value ?? []).toString() === 'two',
      );
      observer.cancel();
    });
  });
});
