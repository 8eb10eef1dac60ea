/**
 * The header blocks of gRPC requests to one server (HPACK, RFC 7541): a field whole the first time, which puts it into the server's
 * dynamic table, and its index there from then on.
 */

const methodPost = 0x83;
const schemeHttp = 0x86;
/** Indexes in the static table; `te` is not in it. */
const staticNames = { ':path': 4, ':authority': 1, 'content-type': 31, te: 0 } as const;
const firstDynamicIndex = 62;

export class RequestHeaders {
  readonly #authority: string;
  /** As the server has it, the oldest first. */
  readonly #table: string[] = [];
  readonly #blocks = new Map<string, Buffer>();

  constructor(authority: string) {
    this.#authority = authority;
  }

  /** Blocks are to be sent in the order in which they are asked for. */
  of(path: string): Buffer {
    const known = this.#blocks.get(path);
    if (known) return known;
    const tableSize = this.#table.length;
    const block = Buffer.concat([
      Buffer.from([methodPost, schemeHttp]),
      this.#field(':path', path),
      this.#field(':authority', this.#authority),
      this.#field('content-type', 'application/grpc'),
      this.#field('te', 'trailers'),
    ]);
    // With a new field in the table all indexes move.
    if (this.#table.length === tableSize) this.#blocks.set(path, block);
    else this.#blocks.clear();
    return block;
  }

  #field(name: keyof typeof staticNames, value: string): Buffer {
    const known = this.#table.indexOf(name + value);
    if (known !== -1) return Buffer.from([0x80 | (firstDynamicIndex + this.#table.length - 1 - known)]);
    this.#table.push(name + value);
    const isStatic = staticNames[name] !== 0;
    return Buffer.concat([
      Buffer.from([0x40 | staticNames[name]]),
      ...(isStatic ? [] : [text(name)]),
      text(value),
    ]);
  }
}

/** Not Huffman coded, shorter than 127 bytes. */
function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value, 'latin1')]);
}
