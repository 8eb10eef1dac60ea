import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { KeyValue, PutRequest, RangeRequest, TxnRequest } from '../../../../actors/store/etcd/kv-messages.js';
import { WatchRequest, WatchResponse } from '../../../../actors/store/etcd/rpc-messages.js';
import { WireError } from '../../../../actors/store/etcd/wire.js';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('messages of protocol buffers', () => {
  it('are written as protoc writes them', () => {
    const put = PutRequest.encode({ key: 'ab', value: Buffer.from('c'), lease: 300, prevKv: true });
    assert.equal(put.toString('hex'), '0a026162' + '120163' + '18ac02' + '2001');
    const kv = KeyValue.encode({ key: 'k', modRevision: 2 ** 53 - 1, version: 1 });
    assert.equal(kv.toString('hex'), '0a016b' + '18ffffffffffffff0f' + '2001');
    const canceled = WatchResponse.encode({ watchId: -1, canceled: true });
    assert.equal(canceled.toString('hex'), '10ffffffffffffffffff01' + '2001');
  });

  it('have the defaults of proto3 for what is absent, and say what is not there of a oneof', () => {
    const range = RangeRequest.decode(hex('0a0161'));
    assert.deepEqual(
      [range.key, range.rangeEnd, range.limit, range.serializable, range.sortOrder],
      ['a', '', 0, false, 0],
    );
    const txn = TxnRequest.decode(hex('0a07 0800 1a016b 3800'.replace('3800', '2000')));
    assert.equal(txn.compare[0]?.version, 0);
    assert.equal(txn.compare[0]?.modRevision, undefined);
    assert.deepEqual(txn.success, []);
  });

  it('skip fields that they do not know', () => {
    const put = PutRequest.decode(hex('0a0161' + 'f80101' + 'fa0103616263' + 'f9010000000000000000'));
    assert.equal(put.key, 'a');
  });

  it('read negative numbers and the largest ones', () => {
    assert.equal(RangeRequest.decode(hex('18ffffffffffffffffff01')).limit, -1);
    assert.equal(RangeRequest.decode(hex('18ffffffffffffffff7f')).limit, 2 ** 63);
    assert.equal(RangeRequest.decode(hex('1880808080808080808001')).limit, -(2 ** 63));
  });

  it('read and write ids of leases to the last bit, as numbers where they are', () => {
    const ids: readonly (readonly [number | bigint, string])[] = [
      [-1, 'ffffffffffffffffff01'],
      [2 ** 53 - 1, 'ffffffffffffff0f'],
      [-(2 ** 53) + 1, '81808080808080f0ff01'],
      [2n ** 53n, '8080808080808010'],
      [2n ** 53n + 1n, '8180808080808010'],
      [2n ** 63n - 1n, 'ffffffffffffffff7f'],
      [-(2n ** 63n), '80808080808080808001'],
    ];
    for (const [lease, varint] of ids) {
      assert.equal(PutRequest.encode({ lease }).toString('hex'), `18${varint}`);
      assert.equal(PutRequest.decode(hex(`18${varint}`)).lease, lease);
    }
  });

  it('take repeated numbers packed and one by one', () => {
    const packed = WatchRequest.decode(hex('0a04 2a020001'));
    const single = WatchRequest.decode(hex('0a04 28002801'));
    assert.deepEqual(packed.create?.filters, [0, 1]);
    assert.deepEqual(single.create?.filters, [0, 1]);
  });

  for (const [what, bytes] of [
    ['a field that ends too early', '0a056162'],
    ['a length beyond the end', '0affffffff0f'],
    ['a varint without an end', '18ffffffffffffffffffffff01'],
    ['a varint that is cut off', '18ff'],
    ['a field without a number', '0000'],
    ['a wire type that is not in use', '0b'],
    ['another wire type than the field has', '0801'],
  ] as const) {
    it(`refuse ${what}`, () => {
      assert.throws(() => RangeRequest.decode(hex(bytes)), WireError);
    });
  }

  it('refuse transactions that are nested without end', () => {
    let nested: Buffer = Buffer.alloc(0);
    for (let depth = 0; depth < 100; depth += 1) {
      const op = Buffer.concat([lengthPrefixed(0x22, nested)]);
      nested = lengthPrefixed(0x12, op);
    }
    assert.throws(() => TxnRequest.decode(nested), WireError);
  });

  it('come back as they were written, whatever is in them', () => {
    const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
    const key = bytes.map((buffer) => buffer.toString('latin1'));
    const short = fc.integer({ min: -(2 ** 53) + 1, max: 2 ** 53 - 1 });
    const int = fc.oneof(short, fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }));
    fc.assert(
      fc.property(key, bytes, int, fc.boolean(), (k, value, lease, prevKv) => {
        const put = { key: k, value, lease, prevKv, ignoreValue: !prevKv, ignoreLease: false };
        assert.deepEqual(PutRequest.decode(PutRequest.encode(put)), put);
      }),
    );
  });

  it('never read past what was sent, whatever it is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (array) => {
        try {
          TxnRequest.decode(Buffer.from(array));
        } catch (error) {
          assert(error instanceof WireError, String(error));
        }
      }),
    );
  });
});

function lengthPrefixed(tag: number, body: Buffer): Buffer {
  const length: number[] = [];
  let rest = body.length;
  while (rest >= 0x80) {
    length.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return Buffer.concat([Buffer.from([tag, ...length, rest]), body]);
}
