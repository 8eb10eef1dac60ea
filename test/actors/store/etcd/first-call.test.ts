/** What a connection says before node:http2 sees it, cut into pieces in every way that a network could. */
import { strict as assert } from 'node:assert';
import { FirstCall } from '../../../../actors/store/etcd/first-call.js';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const frame = (type: number, flags: number, payload: Buffer) => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head[8] = type === 1 ? 1 : 0;
  return Buffer.concat([head, payload]);
};
const none = Buffer.alloc(0);
const settings = frame(4, 0, none);
const ack = frame(4, 1, none);
const ping = frame(6, 0, Buffer.alloc(8));
const call = (authority: Buffer) =>
  frame(1, 4, Buffer.concat([Buffer.from([0x83, 0x86, 0x41]), authority, Buffer.from([0x88])]));
const plain = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')]);
/** `http://127.0.0.1:12379` in Huffman's code, as Go's client writes it. */
const coded = Buffer.from('909d29aee30c044eae05c0b86e044cbaff', 'hex');

/** Gives it byte by byte. */
function read(first: FirstCall, bytes: Buffer): Buffer | undefined {
  let out: Buffer | undefined;
  for (const byte of bytes) {
    assert.equal(out, undefined, 'it had enough before the end');
    out = first.push(Buffer.from([byte]));
  }
  return out;
}

describe('the first call of a connection to the etcd front', () => {
  it('of who waits for the settings of the server is asked for, and the answer to them is kept', () => {
    const said: Buffer[] = [];
    const first = new FirstCall((bytes) => said.push(bytes));
    assert.equal(first.push(Buffer.concat([preface, settings])), undefined);
    assert.deepEqual(said, [settings]);
    const valid = call(plain('127.0.0.1:2379'));
    assert.equal(first.push(valid), undefined, 'the acknowledgement is on its way');
    assert.deepEqual(first.push(ack), Buffer.concat([preface, settings, valid]));
    assert.equal(said.length, 1);
  });

  it('of who does not wait passes as it is', () => {
    const all = Buffer.concat([preface, settings, call(plain('localhost:2379'))]);
    const first = new FirstCall(() => assert.fail('nobody waits'));
    assert.deepEqual(first.push(Buffer.from(all)), all);
  });

  for (const [what, authority] of [
    ['in plain text', plain('http://127.0.0.1:12379')],
    ['with https', plain('https://127.0.0.1:12379')],
    ['in Huffman code', coded],
  ] as const) {
    it(`has an endpoint with a scheme, ${what}, overwritten, and nothing else`, () => {
      const before = call(Buffer.from(authority));
      const out = read(new FirstCall(() => {}), Buffer.concat([preface, settings, before, ack])) as Buffer;
      const length = authority.length - 1;
      const after = call(plain('a'.repeat(length)));
      assert.deepEqual(out, Buffer.concat([preface, settings, after]));
    });
  }

  it('is waited for no longer when the client says something else', () => {
    const first = new FirstCall(() => {});
    assert.equal(first.push(Buffer.concat([preface, settings])), undefined);
    assert.deepEqual(first.push(Buffer.concat([ack, ping])), Buffer.concat([preface, settings, ping]));
  });

  it('is not collected without end', () => {
    const first = new FirstCall(() => {});
    const huge = Buffer.concat([preface, settings, frame(8, 0, Buffer.alloc(200_000)).subarray(0, 150_000)]);
    assert.equal(first.push(huge)?.length, huge.length);
  });
});
