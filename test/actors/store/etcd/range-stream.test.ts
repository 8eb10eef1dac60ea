import { strict as assert } from 'node:assert';
import {
  CompactionRequest,
  CompactionResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RangeStreamResponse,
} from '../../../../actors/store/etcd/kv-messages.js';
import { code } from '../../../../actors/store/etcd/status.js';
import { GrpcClient } from '../../../harness/grpc-client.js';
import { startStoreAlone, type StoreAlone } from '../../../harness/store-alone.js';

const kv = (method: string) => `/etcdserverpb.KV/${method}`;
const all = { key: 's/', rangeEnd: 's0' };
const valueBytes = 100_000;
const count = 120;

describe('a range in a stream', function () {
  this.timeout(60_000);
  let store: StoreAlone;
  let client: GrpcClient;
  before(async () => {
    store = await startStoreAlone({ members: 1 });
    client = new GrpcClient(`http://127.0.0.1:${store.ports[0]}`);
    for (let n = 0; n < count; n++) await put(`s/${String(n).padStart(3, '0')}`, valueBytes, n);
  });
  after(async () => {
    client?.close();
    await store?.remove();
  });

  const put = (key: string, bytes: number, fill: number) =>
    client.unary(kv('Put'), [PutRequest, PutResponse], { key, value: Buffer.alloc(bytes, fill) });
  const open = (request: Partial<RangeRequest>) => {
    const call = client.stream(kv('RangeStream'), [RangeRequest, RangeStreamResponse]);
    call.send(request);
    call.finish();
    return call;
  };
  const streamed = async (request: Partial<RangeRequest>) => {
    const call = open(request);
    assert.deepEqual(await call.status, { code: code.ok, message: '' });
    return call.received.map(({ rangeResponse }) => rangeResponse as RangeResponse);
  };
  const once = (request: Partial<RangeRequest>) =>
    client.unary(kv('Range'), [RangeRequest, RangeResponse], request);

  it('is what Range gives, in chunks of ten keys and then of about a request, head and count in the last', async () => {
    const chunks = await streamed(all);
    const whole = await once(all);
    assert.deepEqual(
      chunks.flatMap(({ kvs }) => kvs),
      whole.kvs,
    );
    assert.deepEqual(
      chunks.map(({ kvs }) => kvs.length),
      [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10],
    );
    const last = chunks.pop()!;
    assert.deepEqual([last.header, last.count, last.more], [whole.header, count, false]);
    for (const { header, count: of, more } of chunks)
      assert.deepEqual([header, of, more], [undefined, 0, false]);
    const keys = await streamed({ ...all, keysOnly: true });
    assert.deepEqual(
      keys.map(({ kvs }) => kvs.length),
      [10, 20, 40, 50],
    );
  });

  it('keeps to its limit, and counts all the same', async () => {
    for (const limit of [1, 10, 15, count - 1, count, count + 1]) {
      const chunks = await streamed({ ...all, limit, keysOnly: true });
      const { kvs, more, count: of } = await once({ ...all, limit, keysOnly: true });
      const last = chunks.at(-1)!;
      assert.deepEqual([last.more, last.count], [more, of], `limit ${limit}`);
      assert.deepEqual(
        chunks.flatMap((one) => one.kvs),
        kvs,
      );
    }
    const [counted, ...none] = await streamed({ ...all, countOnly: true });
    assert.deepEqual([counted?.kvs, counted?.count, none], [[], count, []]);
    assert.equal((await streamed({ key: 'nothing' })).at(-1)?.count, 0);
  });

  /** Reads nothing after the first chunk until `meanwhile` is over. */
  const interrupted = async (meanwhile: () => Promise<unknown>) => {
    const call = open(all);
    await new Promise<void>((resolve) => {
      call.onMessage = () => {
        call.onMessage = () => {};
        call.stream.pause();
        resolve();
      };
    });
    await meanwhile();
    call.stream.resume();
    return { call, status: await call.status };
  };

  it('is of one revision, whatever is written meanwhile', async () => {
    const before = await once(all);
    const { call, status } = await interrupted(async () => {
      await put('s/119', 1, 7);
      await put('s/1195', 1, 7);
    });
    assert.equal(status.code, code.ok);
    const chunks = call.received.map(({ rangeResponse }) => rangeResponse as RangeResponse);
    assert.deepEqual(
      chunks.flatMap(({ kvs }) => kvs),
      before.kvs,
    );
    assert.equal(chunks.at(-1)?.header?.revision, before.header?.revision);
  });

  it('ends when its revision is compacted, and says so', async () => {
    const { status } = await interrupted(async () => {
      const { header } = await put('other', 1, 1);
      const compact = [CompactionRequest, CompactionResponse] as const;
      await client.unary(kv('Compact'), compact, { revision: header?.revision ?? 0, physical: true });
    });
    assert.deepEqual(status, {
      code: code.outOfRange,
      message: 'etcdserver: mvcc: required revision has been compacted',
    });
  });

  it('refuses what Range refuses, and orders and filters, which it does not have', async () => {
    const orders = 'RangeStream does not support custom sort orders';
    const filters = 'RangeStream does not support revision filters';
    const refused: readonly [Partial<RangeRequest>, number, string][] = [
      [{}, code.invalidArgument, 'etcdserver: key is not provided'],
      [
        { ...all, revision: 1_000_000 },
        code.outOfRange,
        'etcdserver: mvcc: required revision is a future revision',
      ],
      [{ ...all, sortOrder: 2 }, code.unimplemented, orders],
      [{ ...all, sortOrder: 1, sortTarget: 3 }, code.unimplemented, orders],
      [{ ...all, sortTarget: 9 }, code.invalidArgument, 'etcdserver: invalid sort option'],
      [{ ...all, minModRevision: 2 }, code.unimplemented, filters],
      [{ ...all, maxCreateRevision: 2 }, code.unimplemented, filters],
    ];
    for (const [request, wanted, message] of refused) {
      assert.deepEqual(await open(request).status, { code: wanted, message });
    }
  });
});
