/**
 * An edge: the header blocks of one SPDY connection, which share one zlib stream in each direction (SPDY/3 draft
 * §2.6.10). What comes in was compressed with SPDY's dictionary; what goes out is stored uncompressed, which every
 * inflater reads: our headers are few.
 */
import { constants, createInflate, type Inflate } from 'node:zlib';
import { headerDictionary } from './dictionary.js';
import { SpdyError } from './frames.js';

export type SpdyHeaders = ReadonlyMap<string, string>;

export class HeaderReader {
  readonly #inflate: Inflate;
  readonly #bytesMax: number;
  #chunks: Buffer[] = [];
  #size = 0;
  #failed: ((error: Error) => void) | undefined;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#inflate = createInflate({ dictionary: headerDictionary, finishFlush: constants.Z_SYNC_FLUSH });
    this.#inflate.on('data', (chunk: Buffer) => {
      this.#size += chunk.length;
      this.#chunks.push(chunk);
      if (this.#size > bytesMax) this.#inflate.destroy(this.#tooLarge());
    });
    this.#inflate.on('error', (error) => this.#failed?.(error));
  }

  /** One block after the other: call again when the last one was read. Rejects with SpdyError. */
  async read(block: Uint8Array): Promise<SpdyHeaders> {
    if (block.length > this.#bytesMax) throw this.#tooLarge();
    this.#chunks = [];
    this.#size = 0;
    await new Promise<void>((resolve, reject) => {
      this.#failed = (cause) => {
        reject(cause instanceof SpdyError ? cause : new SpdyError('headers do not inflate', { cause }));
      };
      this.#inflate.write(block, () => resolve());
    });
    // The write may count as done before the stream says that it was destroyed.
    if (this.#size > this.#bytesMax) throw this.#tooLarge();
    return parseHeaders(Buffer.concat(this.#chunks));
  }

  #tooLarge(): SpdyError {
    return new SpdyError(`headers are over ${this.#bytesMax} bytes`);
  }

  close(): void {
    this.#inflate.destroy();
  }
}

/** An empty stored block: only then do inflaters (Go's for one) give out what came before. */
const syncFlush = Buffer.from([0, 0, 0, 0xff, 0xff]);

export class HeaderWriter {
  #begun = false;

  write(headers: SpdyHeaders): Buffer {
    const fields = [...headers].flatMap(([name, value]) => [counted(name), counted(value)]);
    const bytes = Buffer.concat([uint32(headers.size), ...fields]);
    // RFC 1951 §3.2.4: a stored block that is not the last one; before the first, RFC 1950's two bytes.
    const stored = Buffer.alloc(5);
    stored.writeUInt16LE(bytes.length, 1);
    stored.writeUInt16LE(~bytes.length & 0xffff, 3);
    const start = this.#begun ? Buffer.alloc(0) : Buffer.from([0x78, 0x01]);
    const block = Buffer.concat([start, stored, bytes, syncFlush]);
    this.#begun = true;
    return block;
  }
}

function parseHeaders(bytes: Buffer): SpdyHeaders {
  const headers = new Map<string, string>();
  let at = 0;
  const number = () => {
    if (at + 4 > bytes.length) throw new SpdyError('headers are cut short');
    at += 4;
    return bytes.readUInt32BE(at - 4);
  };
  const text = () => {
    const length = number();
    if (at + length > bytes.length) throw new SpdyError('headers are cut short');
    at += length;
    return bytes.toString('utf8', at - length, at);
  };
  for (let count = number(); count > 0; count -= 1) headers.set(text().toLowerCase(), text());
  return headers;
}

function counted(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
