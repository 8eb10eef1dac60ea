/** Calls of gRPC framed by hand on node:http2. */
import { connect, type ClientHttp2Session, constants } from 'node:http2';
import { type Calls, framePrefixBytes } from './calls.js';

export class NodeCalls implements Calls {
  readonly #session: ClientHttp2Session;

  constructor(endpoint: string) {
    this.#session = connect(endpoint, { settings: { initialWindowSize: 1 << 20 } });
    this.#session.on('error', () => this.#session.destroy());
  }

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
