import { strict as assert } from 'node:assert';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ControlHandler, ControlServer, controlCall, TransportError } from '../../../transport/index.js';

describe('control socket', () => {
  let folder: string;
  let path: string;
  let server: ControlServer | undefined;

  const handlers: Record<string, ControlHandler> = {
    echo: async (params) => params,
    nothing: async () => undefined,
    fails: async () => {
      throw new Error('the rule has no id');
    },
    refuses: async () => {
      throw new TransportError('bad-option', 'unknown target');
    },
    hangs: () => new Promise(() => {}),
    cyclic: async () => {
      const value: Record<string, unknown> = {};
      value['self'] = value;
      return value;
    },
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-control-'));
    path = join(folder, 'control.sock');
    server = new ControlServer(path, handlers);
    await server.start();
  });

  afterEach(async () => {
    await server?.close();
    rmSync(folder, { recursive: true });
  });

  /** Writes raw bytes, and collects the answer lines until `count` have come. */
  async function raw(bytes: string | Buffer, count: number): Promise<Record<string, unknown>[]> {
    const socket = createConnection(path);
    try {
      return await new Promise((resolve, reject) => {
        let answer = '';
        socket.on('error', reject);
        socket.on('close', () => reject(new Error(`closed after ${answer}`)));
        socket.on('data', (chunk: Buffer) => {
          answer += chunk.toString();
          const lines = answer.split('\n').slice(0, -1);
          if (lines.length >= count)
            resolve(lines.map((line) => JSON.parse(line) as Record<string, unknown>));
        });
        socket.write(bytes);
      });
    } finally {
      socket.destroy();
    }
  }

  const code = (answer: Record<string, unknown> | undefined) =>
    (answer?.['error'] as { code: string } | undefined)?.code;

  it('answers with the result of the method', async () => {
    assert.deepEqual(await controlCall(path, 'echo', { a: [1, 'zwei'] }, 1000), { a: [1, 'zwei'] });
    assert.equal(await controlCall(path, 'nothing', undefined, 1000), null);
  });

  it('answers with the error of the method, and its code', async () => {
    await assert.rejects(controlCall(path, 'fails', {}, 1000), {
      code: 'control-failed',
      message: 'the rule has no id',
    });
    await assert.rejects(controlCall(path, 'refuses', {}, 1000), {
      code: 'bad-option',
      message: 'unknown target',
    });
    await assert.rejects(controlCall(path, 'cyclic', {}, 1000), {
      code: 'control-failed',
      message: /circular/,
    });
  });

  it('names the methods there are when it is asked for another', async () => {
    await assert.rejects(controlCall(path, 'toString', {}, 1000), {
      code: 'control-method',
      message: 'no method toString; there are: cyclic, echo, fails, hangs, nothing, refuses',
    });
  });

  it('gives up after the timeout', async () => {
    await assert.rejects(controlCall(path, 'hangs', {}, 50), { code: 'control-timeout' });
  });

  it('says that nobody serves a socket', async () => {
    await assert.rejects(controlCall(join(folder, 'none.sock'), 'echo', {}, 1000), {
      code: 'control-unreachable',
    });
  });

  it('is open to its owner only', () => {
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it('answers garbage with an error and goes on, on the same connection', async () => {
    const lines = [
      'garbage',
      '17',
      '[]',
      '{"id":{},"method":"echo"}',
      '{"id":1}',
      '{"id":2,"method":"echo","params":3}',
    ];
    const answers = await raw(`${lines.join('\n')}\n`, lines.length);
    assert.deepEqual(answers.slice(0, 5).map(code), Array(5).fill('control-request'));
    assert.deepEqual(answers[5], { id: 2, result: 3 });
    assert.equal(code((await raw(Buffer.from([0, 255, 254, 10]), 1))[0]), 'control-request');
  });

  it('reads requests that come in pieces or several at once', async () => {
    const large = 'x'.repeat(200_000);
    const request = (id: number, params: unknown) => `${JSON.stringify({ id, method: 'echo', params })}\n`;
    const answers = await raw(request(1, large) + request(2, 'b') + request(3, 'c'), 3);
    assert.deepEqual(answers.find((a) => a['id'] === 1)?.['result'], large);
    assert.deepEqual(new Set(answers.map((a) => a['id'])), new Set([1, 2, 3]));
  });

  it('refuses a request line without end', async () => {
    assert.equal(code((await raw('x'.repeat(1024 * 1024 + 10), 1))[0]), 'too-large');
  });

  it('bounds the requests under way on one connection', async () => {
    const requests = Array.from({ length: 70 }, (_, id) => JSON.stringify({ id, method: 'hangs' })).join(
      '\n',
    );
    const answers = await raw(`${requests}\n`, 6);
    assert.deepEqual(answers.map(code), Array(6).fill('control-request'));
  });

  it('takes the place of a dead socket but not of a living one or of a file', async () => {
    await assert.rejects(new ControlServer(path, {}).start(), {
      code: 'socket-path',
      message: /another process/,
    });
    const file = join(folder, 'file');
    writeFileSync(file, 'precious');
    await assert.rejects(new ControlServer(file, {}).start(), {
      code: 'socket-path',
      message: /is no socket/,
    });
    await server?.close();
    server = new ControlServer(path, handlers);
    await server.start();
    assert.equal(await controlCall(path, 'echo', 1, 1000), 1);
  });

  it('says clearly that a path is too long or its folder missing', async () => {
    const long = join(folder, 'x'.repeat(120));
    assert.throws(() => new ControlServer(long, {}), {
      code: 'socket-path',
      message: /use a shorter data directory/,
    });
    await assert.rejects(controlCall(long, 'echo', {}, 100), { code: 'socket-path' });
    const missing = new ControlServer(join(folder, 'missing', 's'), {});
    await assert.rejects(missing.start(), { code: 'socket-path', message: /cannot serve/ });
  });

  it('rejects a call whose server ends before it answers', async () => {
    const call = controlCall(path, 'hangs', {}, 5000);
    setImmediate(() => void server?.close());
    await assert.rejects(call, { code: 'control-unreachable' });
  });

  it('rejects an answer that is no protocol of ours', async () => {
    const other = join(folder, 'other.sock');
    const stranger = createServer((socket) => void socket.resume().end('hello\n'));
    await new Promise<void>((resolve) => stranger.listen(other, resolve));
    chmodSync(other, 0o600);
    await assert.rejects(controlCall(other, 'echo', {}, 1000), { code: 'control-request' });
    await new Promise((resolve) => stranger.close(resolve));
  });
});
