import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { deployments, services } from '../../../actors/client/index.js';
import { waitFor } from '../../../deploy/wait.js';
import type { Program } from '../../harness/program.js';
import { type StreamingWorld, streamingWorld, withoutWebSockets } from './streaming-world.js';

/** Takes everything until the client ends its side, then answers with what it was. */
const digestServer = `
  const { createHash } = require('node:crypto');
  require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash('sha256');
    let size = 0;
    socket.on('data', (bytes) => { size += bytes.length; hash.update(bytes); });
    socket.on('end', () => socket.end(size + ' ' + hash.digest('hex')));
    socket.on('error', () => {});
  }).listen(7000, process.env.POD_IP);`;

/** Sends back what it gets. */
const echoServer = `
  require('node:net').createServer((socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  }).listen(7001, process.env.POD_IP, () => console.log('listening'));`;

describe('kubectl port-forward', function () {
  this.timeout(60_000);
  let world: StreamingWorld;
  const forwards: Program[] = [];

  before(async () => {
    world = await streamingWorld();
    await Promise.all([
      world.pod('digest', [process.execPath, '-e', digestServer]),
      world.pod('echo', [process.execPath, '-e', echoServer]),
    ]);
    await waitFor('the echo to listen', 10_000, async () =>
      /listening/.test(await world.kubectl.run('logs', 'echo')),
    );
  });
  after(() => world?.cluster.stop());

  afterEach(() => {
    for (const forward of forwards.splice(0)) forward.process.kill('SIGKILL');
  });

  /** Resolves with the local port. */
  async function forward(
    target: string,
    port: number,
    env: NodeJS.ProcessEnv = {},
  ): Promise<{ readonly program: Program; readonly port: number }> {
    const program = world.start(['port-forward', target, `:${port}`, '--address', '127.0.0.1'], env);
    forwards.push(program);
    const line = /Forwarding from 127\.0\.0\.1:(\d+)/;
    await waitFor(`kubectl to forward to ${target}`, 15_000, async () => line.test(program.stdout));
    return { program, port: Number(line.exec(program.stdout)?.[1]) };
  }

  for (const [way, env] of [
    ['SPDY in WebSocket', {}],
    ['SPDY', withoutWebSockets],
  ] as const) {
    it(`carries several connections at once over ${way}`, async () => {
      const { port } = await forward('pod/echo', 7001, env);
      const texts = Array.from({ length: 10 }, (_, index) => `connection ${index} `.repeat(1_000));
      const echoes = await Promise.all(texts.map((text) => exchange(port, text, Buffer.byteLength(text))));
      assert.deepEqual(
        echoes.map((echo) => echo.toString()),
        texts,
      );
    });

    it(`passes on that the client has ended its side, after 10 MiB, over ${way}`, async () => {
      const { port } = await forward('pod/digest', 7000, env);
      const bytes = randomBytes(10 * 1024 * 1024);
      const answer = await exchange(port, bytes);
      const digest = createHash('sha256').update(bytes).digest('hex');
      assert.equal(answer.toString(), `${bytes.length} ${digest}`);
    });
  }

  it('brings 10 MiB back', async () => {
    const { port } = await forward('pod/echo', 7001);
    const bytes = randomBytes(10 * 1024 * 1024);
    assert((await exchange(port, bytes, bytes.length)).equals(bytes));
  });

  it('says what was wrong when nothing listens on the port', async () => {
    const { program, port } = await forward('pod/echo', 7999);
    await exchange(port, 'anybody there?').catch(() => undefined);
    const { code, stderr } = await program.outcome;
    assert.equal(code, 1);
    assert.match(
      stderr,
      /error forwarding port 7999 to pod echo, uid [0-9a-f-]{36}: dial tcp .*ECONNREFUSED/,
    );
  });

  it('finds a pod of a service and of a deployment', async () => {
    const labels = { app: 'forwarded' };
    await world.cluster.client.create(deployments, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'forwarded', namespace: 'default' },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            containers: [{ name: 'main', image: 'busybox', command: [process.execPath, '-e', echoServer] }],
          },
        },
      },
    });
    await world.cluster.client.create(services, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'forwarded', namespace: 'default' },
      spec: { selector: labels, ports: [{ port: 80, targetPort: 7001 }] },
    });
    await world.kubectl.run('rollout', 'status', 'deployment/forwarded', '--timeout=20s');
    await waitFor('the echo to listen', 10_000, async () =>
      /listening/.test(await world.kubectl.run('logs', 'deployment/forwarded')),
    );
    for (const [target, remote] of [
      ['service/forwarded', 80],
      ['deployment/forwarded', 7001],
    ] as const) {
      const { port } = await forward(target, remote);
      assert.equal((await exchange(port, target, target.length)).toString(), target);
    }
    await world.kubectl.run('delete', 'deployment/forwarded', 'service/forwarded', '--wait=false');
  });

  it('speaks channels to clients without SPDY, which name their ports', async () => {
    const open = (query: string) => {
      const url = `${world.cluster.url.replace('https', 'wss')}/api/v1/namespaces/default/pods/echo/portforward`;
      return new WebSocket(`${url}${query}`, ['v4.channel.k8s.io'], { ...world.tls, agent: false });
    };
    const socket = open('?ports=7001');
    const messages: string[] = [];
    socket.on('message', (data: Buffer) => messages.push(data.toString('latin1')));
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send(Buffer.from('\0hello', 'latin1'));
    await waitFor('the echo', 5_000, async () => messages.length === 3);
    const port = '\x59\x1b';
    assert.deepEqual(messages, [`\0${port}`, `\x01${port}`, '\0hello']);
    socket.close();
    for (const query of ['', '?ports=0', '?ports=x']) {
      const refused = new Promise((_resolve, reject) => void open(query).on('error', reject));
      await assert.rejects(refused, /Unexpected server response: 400/);
    }
  });

  it('refuses a pod that is not there', async () => {
    const { code, stderr } = await world.run(['port-forward', 'pod/nobody', ':80']);
    assert.equal(code, 1);
    assert.match(stderr, /pods "nobody" not found/);
  });
});

/** Ends its side after sending; resolves with all that came back, or with the first `bytesMax` of it. */
function exchange(port: number, input: string | Buffer, bytesMax = Infinity): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const chunks: Buffer[] = [];
    let size = 0;
    const done = () => {
      socket.destroy();
      resolve(Buffer.concat(chunks));
    };
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= bytesMax) done();
    });
    socket.on('end', done);
    socket.on('error', reject);
    if (bytesMax === Infinity) socket.end(input);
    else socket.write(input);
  });
}
