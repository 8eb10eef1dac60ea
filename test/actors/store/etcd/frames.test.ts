import { strict as assert } from 'node:assert';
import { FrameReader, framePrefixBytes, sealFrame } from '../../../../actors/store/etcd/frames.js';
import { parseTimeout, percentEncoded } from '../../../../actors/store/etcd/http2-call.js';
import { code, GrpcError } from '../../../../actors/store/etcd/status.js';

const frame = (text: string) => sealFrame(Buffer.concat([Buffer.alloc(framePrefixBytes), Buffer.from(text)]));

describe('frames of gRPC', () => {
  it('are cut out of whatever pieces they arrive in', () => {
    const all = Buffer.concat([frame('first'), frame(''), frame('third message')]);
    for (let size = 1; size <= all.length; size += 1) {
      const reader = new FrameReader(1000);
      const messages: string[] = [];
      for (let at = 0; at < all.length; at += size) {
        reader.push(all.subarray(at, at + size));
        for (let next = reader.next(); next !== undefined; next = reader.next())
          messages.push(next.toString());
      }
      assert.deepEqual(messages, ['first', '', 'third message'], `pieces of ${size}`);
      assert.equal(reader.hasRest, false);
    }
  });

  it('that are larger than allowed are refused before they arrive', () => {
    const reader = new FrameReader(10);
    reader.push(frame('twelve bytes').subarray(0, 5));
    assert.throws(
      () => reader.next(),
      (error: GrpcError) =>
        error.code === code.resourceExhausted && /larger than max \(12 vs. 10\)/.test(error.message),
    );
  });

  it('that are compressed are refused', () => {
    const reader = new FrameReader(10);
    const compressed = frame('zip');
    compressed[0] = 1;
    reader.push(compressed);
    assert.throws(
      () => reader.next(),
      (error: GrpcError) => error.code === code.unimplemented,
    );
  });

  it('say that something is missing', () => {
    const reader = new FrameReader(10);
    reader.push(frame('half').subarray(0, 7));
    assert.equal(reader.next(), undefined);
    assert.equal(reader.hasRest, true);
  });
});

describe('headers of gRPC', () => {
  it('timeouts in every unit, and nothing else', () => {
    assert.deepEqual(
      ['2H', '3M', '4S', '5m', '6000u', '7000000n'].map(parseTimeout),
      [7_200_000, 180_000, 4_000, 5, 6, 7],
    );
    assert.deepEqual(
      ['', '5', 'S', '-1S', '1.5S', '123456789S', '5 S'].map(parseTimeout),
      Array(7).fill(undefined),
    );
  });

  it('messages are printable ASCII', () => {
    assert.equal(percentEncoded('etcdserver: no leader'), 'etcdserver: no leader');
    assert.equal(percentEncoded('100% "é"\n'), '100%25 "%C3%A9"%0A');
  });
});
