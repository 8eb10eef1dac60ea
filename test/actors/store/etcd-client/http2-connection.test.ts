import { strict as assert } from 'node:assert';
import {
  constants,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, connect as connectTcp, createServer as createTcp } from 'node:net';
import { realClock } from '../../../../actors/runtime/index.js';
import { type Connection, ConnectionError } from '../../../../actors/store/etcd-client/connection.js';
import { etcdClientLimits, http2Connect } from '../../../../actors/store/etcd-client/index.js';
import { code, GrpcError } from '../../../../actors/store/etcd/status.js';
import { waitFor } from '../../../../deploy/wait.js';

const limits = { ...etcdClientLimits, connectTimeoutMs: 300, pingIntervalMs: 100, pingTimeoutMs: 100 };
const connect = http2Connect({ clock: realClock, limits });
const frame = Buffer.from('0000000000', 'hex');
const grpc = { ':status': 200, 'content-type': 'application/grpc' };

describe('a connection of the etcd client', () => {
  let server: Http2Server;
  let connection: Connection;
  let serve: (stream: ServerHttp2Stream) => void;
  let session: ServerHttp2Session;
  beforeEach(async () => {
    server = createServer();
    server.on('session', (opened) => (session = opened));
    server.on('stream', (stream) => {
      stream.on('error', () => {});
      serve(stream);
    });
    connection = await connect(await listening(server));
  });
  afterEach(() => {
    connection.close();
    session?.destroy();
    server.close();
  });

  const failure = async (call: Promise<unknown>) =>
    call.then(
      () => assert.fail('it went well'),
      (error: unknown) => error as Error,
    );

  it('an answer and the status of trailers, of headers alone, and with text beyond ASCII', async () => {
    serve = (stream) => {
      stream.respond(grpc, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.from('0000000003010203', 'hex'));
    };
    assert.deepEqual([...(await connection.unary('/a', frame, 1_000))], [1, 2, 3]);
    serve = (stream) => {
      stream.respond({ ...grpc, 'grpc-status': '14', 'grpc-message': 'n%C3%B6' }, { endStream: true });
    };
    const error = await failure(connection.unary('/a', frame, 1_000));
    assert(error instanceof GrpcError);
    assert.deepEqual([error.code, error.message], [code.unavailable, 'nö']);
  });

  it('a stream that was refused had not been looked at; one that was reset may have been', async () => {
    for (const [reset, sent] of [
      [constants.NGHTTP2_REFUSED_STREAM, false],
      [constants.NGHTTP2_INTERNAL_ERROR, true],
    ] as const) {
      serve = (stream) => stream.close(reset);
      const error = await failure(connection.unary('/a', frame, 1_000));
      assert(error instanceof ConnectionError, String(error));
      assert.equal(error.sent, sent);
    }
  });

  it('a connection that breaks may have carried the call; one that is broken carries none', async () => {
    serve = () => session.destroy();
    const lost = await failure(connection.unary('/a', frame, 1_000));
    assert(lost instanceof ConnectionError && lost.sent, String(lost));
    await waitFor('the connection to know', 2_000, async () => !connection.isOpen);
    const unsent = await failure(connection.unary('/a', frame, 1_000));
    assert(unsent instanceof ConnectionError && !unsent.sent, String(unsent));
  });

  it('a server that is going away takes no more calls, and finishes those it has', async () => {
    let answer: (() => void) | undefined;
    serve = (stream) => {
      answer = () => {
        stream.respond({ ...grpc, 'grpc-status': '5', 'grpc-message': 'late' }, { endStream: true });
      };
    };
    let why: string | undefined;
    connection.onClose((reason) => (why = reason));
    const call = failure(connection.unary('/a', frame, 5_000));
    await waitFor('the call', 2_000, async () => answer !== undefined);
    session.goaway(constants.NGHTTP2_NO_ERROR);
    await waitFor('the goodbye', 2_000, async () => why !== undefined && !connection.isOpen);
    answer?.();
    assert.equal((await call).message, 'late');
  });

  it('a call without an answer ends with its time, and the server hears of it', async () => {
    let cancelled = false;
    serve = (stream) => stream.on('aborted', () => (cancelled = true));
    const error = await failure(connection.unary('/a', frame, 50));
    assert(error instanceof GrpcError && error.code === code.deadlineExceeded);
    await waitFor('the cancellation', 2_000, async () => cancelled);
  });

  it('what speaks HTTP but no gRPC is named', async () => {
    serve = (stream) => {
      stream.respond({ ':status': 404 });
      stream.end('not here');
    };
    assert.match((await failure(connection.unary('/a', frame, 1_000))).message, /HTTP status 404/);
  });

  it('an answer that is no message of gRPC, or too large, leaves open what was done', async () => {
    for (const answer of ['0100000000', '00ffffffff']) {
      serve = (stream) => {
        stream.respond(grpc);
        stream.write(Buffer.from(answer, 'hex'));
      };
      const error = await failure(connection.unary('/a', frame, 1_000));
      assert(error instanceof ConnectionError && error.sent, String(error));
    }
  });

  it('a server that answers no ping while a call runs is left', async () => {
    // The protocol itself answers pings, so they must get lost on their way.
    const { port } = server.address() as AddressInfo;
    const relay = createTcp((near) => {
      const far = connectTcp(port, '127.0.0.1');
      near.pipe(far).pipe(near);
      for (const socket of [near, far]) socket.on('error', () => {});
      near.on('close', () => far.destroy());
      serve = () => near.unpipe(far);
    });
    const relayed = await connect(await listening(relay));
    const began = Date.now();
    const error = await failure(relayed.unary('/a', frame, 10_000));
    assert(error instanceof ConnectionError && error.sent, String(error));
    assert.match(error.message, /no answer to a ping within 100 ms/);
    assert.ok(Date.now() - began < 5_000);
    relay.close();
  });

  it('nobody there, and somebody who does not speak HTTP/2, are told apart from an etcd within the limit', async () => {
    const silent = createTcp((socket) => socket.resume());
    const endpoint = await listening(silent);
    assert.match((await failure(connect(endpoint))).message, /no connection within 300 ms/);
    await new Promise((resolve) => silent.close(resolve));
    assert.match((await failure(connect(endpoint))).message, /ECONNREFUSED/);
  });
});

async function listening(server: {
  listen(port: number, host: string, done: () => void): unknown;
  address(): unknown;
}) {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { address: `127.0.0.1:${port}`, host: '127.0.0.1', port };
}
