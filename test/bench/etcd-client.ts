/**
 * Just enough of a client to load a store behind etcd's API as fast as Node can: gRPC framed by hand on node:http2, with the
 * hot requests encoded by hand (rpc.proto: PutRequest.key = 1, value = 2; RangeRequest.key = 1). Made for measuring.
 */
import { connect, type ClientHttp2Session, constants } from 'node:http2';

export class EtcdClient {
  readonly #session: ClientHttp2Session;

  constructor(endpoint: string) {
    this.#session = connect(endpoint, { settings: { initialWindowSize: 1 << 20 } });
    this.#session.on('error', () => this.#session.destroy());
  }

  async put(key: Uint8Array, value: Uint8Array, timeoutMs?: number): Promise<void> {
    await this.call('/etcdserverpb.KV/Put', Buffer.concat([field(1, key), field(2, value)]), timeoutMs);
  }

  /** A linearizable read of one key; the answer is not looked at. */
  async get(key: Uint8Array): Promise<void> {
    await this.call('/etcdserverpb.KV/Range', field(1, key));
  }

  /** Resolves with the message of the answer; rejects with what the server said, or when the time is up. */
  call(path: string, body: Uint8Array, timeoutMs?: number): Promise<Buffer> {
    const frame = Buffer.alloc(framePrefixBytes + body.length);
    frame.writeUInt32BE(body.length, 1);
    frame.set(body, framePrefixBytes);
    return new Promise((resolve, reject) => {
      const stream = this.#session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), timeoutMs);
      const chunks: Buffer[] = [];
      let status: string | undefined;
      stream.on('response', (headers) => (status = headers['grpc-status'] as string | undefined));
      stream.on('trailers', (trailers) => (status = trailers['grpc-status'] as string | undefined));
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', reject);
      stream.on('close', () => {
        clearTimeout(timer);
        if (status === '0') resolve(Buffer.concat(chunks).subarray(framePrefixBytes));
        else reject(new Error(`${path} ended with grpc-status ${status ?? 'nothing'}`));
      });
      stream.end(frame);
    });
  }

  close(): void {
    this.#session.destroy();
  }
}

const framePrefixBytes = 5;

function field(number: number, bytes: Uint8Array): Buffer {
  const head: number[] = [(number << 3) | 2];
  for (let length = bytes.length; ; length >>>= 7) {
    if (length < 0x80) {
      head.push(length);
      break;
    }
    head.push((length & 0x7f) | 0x80);
  }
  return Buffer.concat([Buffer.from(head), bytes]);
}
