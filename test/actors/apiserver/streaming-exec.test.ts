import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { isAlive } from '../../../deploy/process-table.js';
import { waitFor } from '../../../deploy/wait.js';
import { type StreamingWorld, streamingWorld, withoutWebSockets } from './streaming-world.js';

describe('kubectl exec, attach and cp', function () {
  this.timeout(60_000);
  let world: StreamingWorld;
  let folder: string;
  const bytes = randomBytes(10 * 1024 * 1024);

  before(async () => {
    world = await streamingWorld();
    folder = mkdtempSync(join(tmpdir(), 'kabuki-streams-'));
    await world.pod('shell', ['sleep', '1000000']);
  });
  after(async () => {
    await world?.cluster.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  for (const [way, env] of [
    ['WebSocket', {}],
    ['SPDY', withoutWebSockets],
  ] as const) {
    it(`carries 10 MiB in and out over ${way}`, async () => {
      const input = join(folder, 'input');
      const output = join(folder, `output-${way}`);
      writeFileSync(input, bytes);
      const copy = `exec cat > ${output}`;
      assert.equal(
        (await world.run(['exec', '-i', 'shell', '--', 'sh', '-c', copy], { input: bytes, env })).code,
        0,
      );
      assert(readFileSync(output).equals(bytes), 'what came in');
      const back = ['exec', 'shell', '--', 'sh', '-c', `base64 ${input}`];
      const { stdout, code } = await world.run(back, { env });
      assert.equal(code, 0);
      assert(Buffer.from(stdout, 'base64').equals(bytes), 'what went out');
      const echo = await world.run(['exec', '-i', 'shell', '--', 'base64'], { input: bytes, env });
      assert(Buffer.from(echo.stdout, 'base64').equals(bytes), 'both at once');
    });

    it(`keeps outputs apart and brings the exit code over ${way}`, async () => {
      const command = 'echo to stdout; echo to stderr >&2; exit 42';
      const { code, stdout, stderr } = await world.run(['exec', 'shell', '--', 'sh', '-c', command], { env });
      assert.equal(stdout, 'to stdout\n');
      assert.match(stderr, /^to stderr\n/);
      assert.equal(code, 42);
    });

    it(`ends what runs when its client goes away, over ${way}`, async () => {
      const mark = join(folder, `pid-${way}`);
      const program = world.start(
        ['exec', 'shell', '--', 'sh', '-c', `echo $$ > ${mark}; exec sleep 1000`],
        env,
      );
      const pid = await pidIn(mark);
      program.process.kill('SIGKILL');
      await waitFor(`process ${pid} to end`, 10_000, async () => !isAlive(pid));
    });
  }

  it('ends what runs when its client goes away while nobody reads its input', async () => {
    const mark = join(folder, 'pid-stuck');
    const socket = await open(
      ['sh', '-c', `echo $$ > ${mark}; exec sleep 1000`],
      'v5.channel.k8s.io',
      '&stdin=true',
    );
    const pid = await pidIn(mark);
    // More than the sockets on the way hold.
    for (let sent = 0; sent < 64; sent += 1) socket.send(Buffer.alloc(1024 * 1024));
    let before = Infinity;
    await waitFor(
      'the input to be stuck',
      10_000,
      async () => {
        const stuck = socket.bufferedAmount > 0 && socket.bufferedAmount === before;
        before = socket.bufferedAmount;
        return stuck;
      },
      500,
    );
    socket.terminate();
    await waitFor(`process ${pid} to end`, 15_000, async () => !isAlive(pid));
  });

  it('attaches to input and output of a container, and ends with it', async () => {
    const script = 'echo hello; while read line; do echo "got $line"; [ "$line" = bye ] && exit 7; done';
    await world.pod('talker', ['sh', '-c', script], { stdin: true, restartPolicy: 'Never' });
    const { code, stdout } = await world.run(['attach', '-i', 'talker'], {
      input: Buffer.from('one\nbye\n'),
    });
    assert.equal(stdout, 'got one\ngot bye\n');
    assert.equal(code, 7);
    assert.equal(await world.kubectl.run('logs', 'talker'), 'hello\ngot one\ngot bye\n');
    const late = await world.run(['attach', 'talker']);
    assert.match(late.stderr, /current phase is Failed/);
  });

  it('copies files both ways', async () => {
    const [from, there, back] = ['from', 'there', 'back'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(from, bytes);
    await world.kubectl.run('cp', from, `shell:${there}`);
    await world.kubectl.run('cp', `shell:${there}`, back);
    assert(readFileSync(back).equals(bytes));
    // tar ends its archive all the same, so kubectl may be gone before it hears of the error.
    const nothing = join(folder, 'nothing');
    await world.run(['cp', `shell:${join(folder, 'missing')}`, nothing]);
    assert(!existsSync(nothing));
  });

  it('says that there is no terminal, and goes on without one', async () => {
    const socket = await open(['echo', 'done'], 'v5.channel.k8s.io', '&tty=true');
    const { output, status } = await session(socket);
    assert.match(output, /have no terminal.*\r\ndone\n/s);
    assert.equal(status['status'], 'Success');
  });

  for (const protocol of ['v5.channel.k8s.io', 'v4.channel.k8s.io', 'v4.base64.channel.k8s.io']) {
    it(`speaks ${protocol}`, async () => {
      const base64 = protocol.includes('base64');
      const socket = await open(['sh', '-c', 'read line; echo "got $line"; exit 3'], protocol, '&stdin=true');
      const stdin = Buffer.from('word\n');
      socket.send(base64 ? `0${stdin.toString('base64')}` : Buffer.concat([Buffer.from([0]), stdin]));
      const { output, status } = await session(socket, base64);
      assert.equal(output, 'got word\n');
      assert.deepEqual(status['details'], { causes: [{ reason: 'ExitCode', message: '3' }] });
    });
  }

  it('refuses what cannot be, before the connection changes its language', async () => {
    const refused = async (...args: string[]) => {
      const { code, stderr } = await world.run(args);
      assert.equal(code, 1);
      return stderr;
    };
    assert.match(await refused('exec', 'nobody', '--', 'ls'), /pods "nobody" not found/);
    assert.match(
      await refused('exec', 'shell', '-c', 'x', '--', 'ls'),
      /container x is not valid for pod shell/,
    );
    assert.match(
      await refused('attach', 'shell', '-c', 'x'),
      /container x not found|container x is not valid/,
    );
    const exec = '/api/v1/namespaces/default/pods/shell/exec';
    assert.match(await refused('get', '--raw', `${exec}?command=ls`), /Upgrade request required/);
    await assert.rejects(open([], 'v5.channel.k8s.io', ''), /Unexpected server response: 400/);
    await assert.rejects(open(['ls'], 'v9.channel.k8s.io', ''), /Unexpected server response: 400/);
  });

  it('lets only those in by GET who may also create an exec', async () => {
    const { kubectl } = world;
    await kubectl.run('create', 'role', 'looker', '--verb=get', '--resource=pods,pods/exec');
    await kubectl.run('create', 'rolebinding', 'looker', '--role=looker', '--user=looker');
    const asLooker = ['exec', 'shell', '--as=looker', '--', 'true'];
    assert.match((await world.run(asLooker)).stderr, /cannot create resource "pods\/exec"/);
    await kubectl.run('create', 'role', 'runner', '--verb=create', '--resource=pods/exec');
    await kubectl.run('create', 'rolebinding', 'runner', '--role=runner', '--user=looker');
    assert.equal((await world.run(asLooker)).code, 0);
  });

  function open(command: readonly string[], protocol: string, more: string): Promise<WebSocket> {
    const query = command.map((word) => `command=${encodeURIComponent(word)}`).join('&');
    const path = `/api/v1/namespaces/default/pods/shell/exec?${query}&stdout=true${more}`;
    const url = `${world.cluster.url.replace('https', 'wss')}${path}`;
    const socket = new WebSocket(url, [protocol], { ...world.tls, agent: false });
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(socket));
      socket.on('error', reject);
    });
  }
});

/** What came on stdout, and the Status at the end. */
function session(
  socket: WebSocket,
  base64 = false,
): Promise<{ output: string; status: Record<string, unknown> }> {
  const parts: Record<number, Buffer[]> = { 1: [], 3: [] };
  socket.on('message', (data: Buffer) => {
    const text = data.toString('latin1');
    const channel = base64 ? Number(text[0]) : (data[0] ?? 0);
    parts[channel]?.push(base64 ? Buffer.from(text.slice(1), 'base64') : data.subarray(1));
  });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => {
      const [output, status] = [1, 3].map((channel) => Buffer.concat(parts[channel] ?? []).toString());
      resolve({ output: output ?? '', status: JSON.parse(status ?? '') as Record<string, unknown> });
    });
  });
}

async function pidIn(path: string): Promise<number> {
  await waitFor(`${path} to name a process`, 10_000, async () => Number(readFileSync(path, 'utf8')) > 0);
  return Number(readFileSync(path, 'utf8'));
}
