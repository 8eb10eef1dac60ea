/**
 * Just enough of a client to load a real etcd as fast as Node can: gRPC framed by hand on node:http2, with Put requests
 * encoded by hand (rpc.proto: PutRequest.key = 1, value = 2). Made for measuring; it reads nothing but success.
 */
import { connect, type ClientHttp2Session, constants } from 'node:http2';

export class EtcdClient {
  readonly #session: ClientHttp2Session;

  constructor(endpoint: string) {
    this.#session = connect(endpoint, { settings: { initialWindowSize: 1 << 20 } });
    this.#session.on('error', () => this.#session.destroy());
  }

  put(key: Uint8Array, value: Uint8Array): Promise<void> {
    const body = Buffer.concat([field(1, key), field(2, value)]);
    const frame = Buffer.alloc(5 + body.length);
    frame.writeUInt32BE(body.length, 1);
    body.copy(frame, 5);
    return new Promise((resolve, reject) => {
      const stream = this.#session.request({
        ':method': 'POST',
        ':path': '/etcdserverpb.KV/Put',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      let status: string | undefined;
      stream.on('response', (headers) => (status = headers['grpc-status'] as string | undefined));
      stream.on('trailers', (trailers) => (status = trailers['grpc-status'] as string | undefined));
      stream.on('error', reject);
      stream.on('close', () => {
        if (status === '0') resolve();
        else
          reject(
            new Error(`etcd answered grpc-status ${status ?? 'nothing'} (${constants.NGHTTP2_NO_ERROR})`),
          );
      });
      stream.resume();
      stream.end(frame);
    });
  }

  close(): void {
    this.#session.close();
  }
}

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
