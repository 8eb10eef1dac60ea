/**
 * The first call of an HTTP/2 connection, looked at before node:http2 sees it. etcdctl 3.4 calls Maintenance with its endpoint
 * as `:authority`, and one with a scheme (`http://host:port`) is none: Go's server takes it, nghttp2 resets the stream. Nobody
 * looks at the authority here, so such a one is overwritten, as long as it was, and node sees a valid name. HPACK's table
 * keeps it for all later calls of the connection.
 *
 * A client of gRPC calls only after it has had the server's SETTINGS. It gets an empty one from here, and the answer to that
 * is kept from node, which would take it for the answer to its own (RFC 9113 §3.4, §6.5; RFC 7541 §6.2.1, §5.2).
 */

const prefaceBytes = 24;
const frameHeadBytes = 9;
const frame = { headers: 1, settings: 4, windowUpdate: 8 };
const ackFlag = 1;
const emptySettings = Buffer.from([0, 0, 0, frame.settings, 0, 0, 0, 0, 0]);
/** What a client can send before its window is granted, and some. Beyond, the connection goes on as it is. */
const bytesMax = 128 * 1024;

/** Codes of RFC 7541, appendix B. */
const huffman: Readonly<Record<string, string>> = {
  h: '100111',
  t: '01001',
  p: '101011',
  s: '01000',
  ':': '1011100',
  '/': '011000',
};

/** `:authority` as a literal to be indexed, and how a value with a scheme begins; the length in between is free. */
const authorityField = 0x41;
const isHuffman = 0x80;
const beginnings = ['http://', 'https://'].flatMap((scheme) => [
  { bytes: Buffer.from(scheme, 'latin1'), flag: 0 },
  { bytes: wholeBytesOf([...scheme].map((letter) => huffman[letter]).join('')), flag: isHuffman },
]);

function wholeBytesOf(bits: string): Buffer {
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}

export class FirstCall {
  #bytes: Buffer = Buffer.alloc(0);
  /** Up to here everything was looked at. */
  #at = prefaceBytes;
  #isAckOwed = false;
  #hasEnough = false;
  readonly #answer: (bytes: Buffer) => void;

  /** `answer` sends to the client. */
  constructor(answer: (bytes: Buffer) => void) {
    this.#answer = answer;
  }

  /** What node is to read, once that is known; undefined: more is needed. */
  push(chunk: Buffer): Buffer | undefined {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    while (this.#next());
    if (this.#bytes.length > bytesMax) return this.#bytes;
    if (this.#hasEnough) return this.#isAckOwed ? undefined : this.#bytes;
    // Its own SETTINGS are here, and it waits for ours.
    if (!this.#isAckOwed && this.#at > prefaceBytes) {
      this.#isAckOwed = true;
      this.#answer(emptySettings);
    }
    return undefined;
  }

  /** False: no whole frame is left. */
  #next(): boolean {
    const begin = this.#at;
    if (this.#bytes.length < begin + frameHeadBytes) return false;
    const end = begin + frameHeadBytes + this.#bytes.readUIntBE(begin, 3);
    if (this.#bytes.length < end) return false;
    const type = this.#bytes[begin + 3];
    this.#at = end;
    if (type === frame.settings && (this.#bytes[begin + 4]! & ackFlag) !== 0) {
      if (this.#isAckOwed) this.#cut(begin, end);
      this.#isAckOwed = false;
    } else if (type === frame.headers) {
      if (!this.#hasEnough) blankAuthority(this.#bytes.subarray(begin + frameHeadBytes, end));
      this.#hasEnough = true;
    } else if (type !== frame.settings && type !== frame.windowUpdate) {
      this.#hasEnough = true;
    }
    return true;
  }

  #cut(begin: number, end: number): void {
    this.#bytes = Buffer.concat([this.#bytes.subarray(0, begin), this.#bytes.subarray(end)]);
    this.#at = begin;
  }
}

/** Overwrites the value by as many bytes that are a name, not in Huffman's code. */
function blankAuthority(fields: Buffer): void {
  for (let at = fields.indexOf(authorityField); at !== -1; at = fields.indexOf(authorityField, at + 1)) {
    const head = fields[at + 1];
    const found = beginnings.find(
      ({ bytes, flag }) =>
        head !== undefined &&
        (head & isHuffman) === flag &&
        fields.subarray(at + 2, at + 2 + bytes.length).equals(bytes),
    );
    const length = (head ?? 0) & ~isHuffman;
    // 127: the length goes on in further bytes, and no endpoint is as long.
    if (!found || length === 0x7f || at + 2 + length > fields.length) continue;
    fields[at + 1] = length;
    fields.fill('a', at + 2, at + 2 + length);
    return;
  }
}
