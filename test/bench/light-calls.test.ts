import assert from 'node:assert/strict';
import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { LightCalls } from './light-calls.js';

const okHeaders = { ':status': 200, 'content-type': 'application/grpc' };

describe('calls made by hand', () => {
  let server: Http2Server;
  let calls: LightCalls;
  const seen: IncomingHttpHeaders[] = [];

  /** Paths: /test/Echo gives the message back, /test/Refuse fails, /test/Never says nothing. */
  before(async () => {
    server = createServer();
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      seen.push(headers);
      stream.on('error', () => {});
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => answer(stream, headers, Buffer.concat(chunks)));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    calls = new LightCalls(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });

  after(() => {
    calls.close();
    server.close();
  });

  it('are answered, more at once than the window of the connection holds', async () => {
    const messages = Array.from({ length: 600 }, (_, n) => Buffer.alloc(300, String(n)));
    const answers = await Promise.all(messages.map((message) => calls.call('/test/Echo', message)));
    assert.deepEqual(answers, messages);
  });

  it('name what is called, however many paths have been called before', async () => {
    const paths = ['/test/Echo', '/test/Echo2', '/test/Echo', '/test/Echo3', '/test/Echo2', '/test/Echo3'];
    seen.length = 0;
    for (const path of paths) await calls.call(path, Buffer.from('message'));
    assert.deepEqual(
      seen.map((headers) => [headers[':path'], headers[':method'], headers['content-type'], headers['te']]),
      paths.map((path) => [path, 'POST', 'application/grpc', 'trailers']),
    );
  });

  it('fail when the server has no message, when it takes too long, and when the connection ends', async () => {
    await assert.rejects(calls.call('/test/Refuse', Buffer.from('a')), /ended without a message/);
    await assert.rejects(calls.call('/test/Never', Buffer.from('a'), 20), /not answered in 20 ms/);
    const open = calls.call('/test/Never', Buffer.from('a'));
    calls.close();
    await assert.rejects(open, /closed/);
    await assert.rejects(calls.call('/test/Echo', Buffer.from('a')), /closed/);
  });
});

function answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, message: Buffer): void {
  const path = headers[':path'] ?? '';
  if (path === '/test/Never') return;
  if (path === '/test/Refuse')
    return stream.respond({ ...okHeaders, 'grpc-status': '5' }, { endStream: true });
  stream.respond(okHeaders, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(message);
}
