import assert from 'node:assert/strict';
import { constants, createDeflate } from 'node:zlib';
import { headerDictionary } from '../../../actors/apiserver/spdy/dictionary.js';
import {
  dataFrame,
  goAwayFrame,
  pingFrame,
  readFrame,
  rstStatus,
  rstStreamFrame,
  type SpdyFrame,
  synStreamFrame,
} from '../../../actors/apiserver/spdy/frames.js';
import { SpdyConnection, type SpdyStream } from '../../../actors/apiserver/spdy/index.js';
import { HeaderReader, HeaderWriter } from '../../../actors/apiserver/spdy/header-blocks.js';
import { waitFor } from '../../../deploy/wait.js';

const limits = { spdyFrameBytesMax: 1_000, spdyHeaderBytesMax: 500, spdyStreamsMax: 2 };

/** The client's side of header compression, as Go's zlib writer does it. */
class Deflater {
  readonly #deflate = createDeflate({ dictionary: headerDictionary });

  block(headers: Readonly<Record<string, string>>): Promise<Buffer> {
    const plain = [uint32(Object.keys(headers).length)];
    for (const text of Object.entries(headers).flat()) plain.push(uint32(text.length), Buffer.from(text));
    const parts: Buffer[] = [];
    const collect = (part: Buffer) => parts.push(part);
    this.#deflate.on('data', collect);
    return new Promise((resolve) => {
      this.#deflate.write(Buffer.concat(plain));
      this.#deflate.flush(constants.Z_SYNC_FLUSH, () => {
        this.#deflate.off('data', collect);
        resolve(Buffer.concat(parts));
      });
    });
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function side(accept: (stream: SpdyStream) => boolean = () => true) {
  const sent: Buffer[] = [];
  const streams: SpdyStream[] = [];
  const heard: string[] = [];
  const failures: Error[] = [];
  let ended = false;
  const carrier = { send: (bytes: Uint8Array) => sent.push(Buffer.from(bytes)), end: () => (ended = true) };
  const connection = new SpdyConnection(carrier, limits, {
    opened: (stream) => {
      streams.push(stream);
      stream.onData = (bytes) => heard.push(`${stream.id}:${bytes.toString()}`);
      stream.onEnd = () => heard.push(`${stream.id} ended`);
      stream.onReset = () => heard.push(`${stream.id} reset`);
      return accept(stream);
    },
    failed: (error) => failures.push(error),
  });
  const frames = (): SpdyFrame[] => {
    const found: SpdyFrame[] = [];
    for (let rest: Buffer = Buffer.concat(sent); rest.length > 0;) {
      const next = readFrame(rest, 10_000);
      assert(next);
      found.push(next.frame);
      rest = rest.subarray(next.length);
    }
    return found;
  };
  return { connection, streams, heard, failures, frames, isEnded: () => ended };
}

const until = (what: string, holds: () => boolean) => waitFor(what, 2_000, async () => holds(), 1);

describe('SPDY', () => {
  it('has the dictionary of the draft', () => {
    let [a, b] = [1, 0];
    for (const byte of headerDictionary) {
      a = (a + byte) % 65_521;
      b = (b + a) % 65_521;
    }
    assert.equal(b * 65_536 + a, 0xe3c6a7c2);
  });

  it('takes streams, data and ends, however the bytes are cut', async () => {
    const { connection, streams, heard, frames } = side();
    const deflater = new Deflater();
    const bytes = Buffer.concat([
      synStreamFrame(1, await deflater.block({ streamtype: 'error', port: '80' })),
      synStreamFrame(3, await deflater.block({ streamtype: 'data', port: '80' })),
      dataFrame(3, Buffer.from('hello')),
      dataFrame(3, Buffer.from(' world'), true),
      dataFrame(1, Buffer.alloc(0), true),
    ]);
    for (const byte of bytes) connection.receive(Buffer.from([byte]));
    await until('the ends', () => heard.length === 4);
    assert.deepEqual(heard, ['3:hello', '3: world', '3 ended', '1 ended']);
    assert.deepEqual(
      streams.map(({ headers }) => headers.get('streamtype')),
      ['error', 'data'],
    );
    assert.deepEqual(
      frames().map((frame) => frame.type),
      ['SynReply', 'SynReply'],
    );
  });

  it('answers every stream with headers that an inflater reads at once', async () => {
    const writer = new HeaderWriter();
    const reader = new HeaderReader(500);
    for (const headers of [new Map(), new Map([['status', '200 OK']]), new Map()]) {
      assert.deepEqual(await reader.read(writer.write(headers)), headers);
    }
    reader.close();
  });

  it('writes, ends and resets streams, and is quiet on one that has ended', async () => {
    const { connection, streams, heard, frames } = side();
    const deflater = new Deflater();
    connection.receive(synStreamFrame(1, await deflater.block({ a: 'b' })));
    await until('the stream', () => streams.length === 1);
    const [stream] = streams as [SpdyStream];
    stream.write(Buffer.from('out'));
    stream.end();
    stream.write(Buffer.from('late'));
    connection.receive(
      Buffer.concat([dataFrame(1, Buffer.from('in'), true), dataFrame(1, Buffer.from('late'))]),
    );
    connection.receive(synStreamFrame(3, await deflater.block({ a: 'c' })));
    await until('the second stream', () => streams.length === 2);
    connection.receive(rstStreamFrame(3, rstStatus.cancel));
    await until('the reset', () => heard.at(-1) === '3 reset');
    assert.deepEqual(heard, ['1:in', '1 ended', '3 reset']);
    const written = frames().flatMap((frame) =>
      frame.type === 'Data' ? [{ text: frame.bytes.toString(), fin: frame.fin }] : [],
    );
    assert.deepEqual(written, [
      { text: 'out', fin: false },
      { text: '', fin: true },
    ]);
  });

  it('refuses streams that are not wanted, too many, or badly numbered, and goes on', async () => {
    const { connection, frames } = side((stream) => stream.headers.get('a') !== 'unwanted');
    const deflater = new Deflater();
    for (const [id, value] of [
      [1, 'unwanted'],
      [3, 'x'],
      [3, 'again'],
      [4, 'even'],
      [5, 'y'],
      [7, 'too many'],
    ] as const) {
      connection.receive(synStreamFrame(id, await deflater.block({ a: value })));
    }
    await until('all answers', () => frames().length === 6);
    assert.deepEqual(
      frames().map((frame) => ('streamId' in frame ? [frame.type, frame.streamId] : [])),
      [
        ['RstStream', 1],
        ['SynReply', 3],
        ['RstStream', 3],
        ['RstStream', 4],
        ['SynReply', 5],
        ['RstStream', 7],
      ],
    );
  });

  it('answers pings of the client only, and passes over what it need not know', async () => {
    const { connection, frames } = side();
    const settings = Buffer.from('800300040000000c000000010000000400001000', 'hex');
    const windowUpdate = Buffer.from('80030009000000080000000100001000', 'hex');
    connection.receive(Buffer.concat([settings, windowUpdate, pingFrame(7), pingFrame(2), goAwayFrame(0)]));
    await until('the answer', () => frames().length > 0);
    assert.deepEqual(frames(), [{ type: 'Ping', id: 7 }]);
  });

  type Break = (deflater: Deflater) => Promise<Buffer> | Buffer;
  const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
  const broken: readonly (readonly [string, RegExp, Break])[] = [
    ['another version', /version 2 is not spoken/, () => hex('80020006 00000004 00000001')],
    ['a frame over the limit', /over the limit 1000/, () => hex('00000001 00ffffff')],
    ['a frame cut short', /cut short/, () => hex('80030001 00000004 00000001')],
    ['headers that do not inflate', /do not inflate/, () => synStreamFrame(3, Buffer.from('not zlib'))],
    [
      'headers that grow over the limit',
      /headers are over 500 bytes/,
      async (deflater) => synStreamFrame(3, await deflater.block({ a: 'x'.repeat(100_000) })),
    ],
    [
      'headers that promise more than they hold',
      /headers are cut short/,
      () => synStreamFrame(3, hex('00 0400 fbff 00000009 00 0000 ffff')),
    ],
  ];
  for (const [what, message, make] of broken) {
    it(`ends the connection at ${what}, and tells every stream`, async () => {
      const { connection, streams, heard, failures, isEnded } = side();
      const deflater = new Deflater();
      connection.receive(synStreamFrame(1, await deflater.block({ a: 'b' })));
      await until('the stream', () => streams.length === 1);
      connection.receive(await make(deflater));
      await until('the end', isEnded);
      assert.deepEqual(heard, ['1 reset']);
      assert.match(failures[0]?.message ?? '', message);
    });
  }
});
