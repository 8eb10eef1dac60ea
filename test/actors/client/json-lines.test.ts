import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { JsonLines } from '../../../actors/client/index.js';

describe('JSON lines', () => {
  it('gives back every object however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { maxLength: 8 }), fc.array(fc.nat(40)), (values, cuts) => {
        const lines = values.map((value) => ({ value: JSON.parse(JSON.stringify(value)) }));
        const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''), 'utf8');
        const decoder = new JsonLines(1 << 20);
        const got: unknown[] = [];
        let from = 0;
        for (const cut of [...cuts, bytes.length]) {
          got.push(...decoder.push(bytes.subarray(from, from + cut)));
          from = Math.min(from + cut, bytes.length);
        }
        assert.deepEqual(got, lines);
        assert.equal(decoder.pendingBytes, 0);
      }),
    );
  });

  it('keeps a character whole that a cut divides', () => {
    const bytes = Buffer.from('{"name":"kübernetes ☸"}\n', 'utf8');
    const decoder = new JsonLines(1024);
    const got = [...bytes].flatMap((byte) => decoder.push(Uint8Array.of(byte)));
    assert.deepEqual(got, [{ name: 'kübernetes ☸' }]);
  });

  it('refuses a line that never ends', () => {
    const decoder = new JsonLines(10);
    assert.throws(() => decoder.push(new Uint8Array(11).fill(0x20)), /exceeds 10 bytes/);
  });
});
