import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import http2 from 'node:http2';
import https from 'node:https';
import { WebSocket } from 'ws';
import { services } from '../../../actors/client/index.js';
import { createAuthority } from '../../../deploy/certificates.js';
import { waitFor } from '../../../deploy/wait.js';
import { type StreamingWorld, streamingWorld } from './streaming-world.js';

/** Tells what it was asked; `/digest` and `/drip` stream, `/elsewhere` redirects, and it upgrades to an echo. */
const server = `
  const { createHash } = require('node:crypto');
  const server = require('node:http').createServer((request, response) => {
    const { method, url, headers } = request;
    const path = url.split('?')[0];
    if (path === '/digest') {
      const hash = createHash('sha256');
      request.on('data', (bytes) => hash.update(bytes));
      request.on('end', () => response.end(hash.digest('hex')));
    } else if (path === '/bytes') {
      for (let i = 0; i < 160; i += 1) response.write(Buffer.alloc(65536, i));
      response.end();
    } else if (path === '/drip') {
      response.write('first;');
      request.on('data', (bytes) => response.write('got ' + bytes + ';'));
      request.on('end', () => response.end('last'));
      response.on('close', () => console.log('drip closed'));
    } else if (path === '/elsewhere') response.writeHead(302, { location: '/here?x=1' }).end();
    else if (path === '/away') response.writeHead(302, { location: 'https://example.org/' }).end();
    else {
      response.writeHead(path === '/teapot' ? 418 : 200, { 'x-from': 'pod', 'set-cookie': ['a=1', 'b=2'] });
      request.resume();
      request.on('end', () => response.end(JSON.stringify({ method, url, headers })));
    }
  });
  server.on('upgrade', (request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n');
    socket.pipe(socket);
    socket.on('error', () => {});
  });
  server.listen(8000, process.env.POD_IP, () => console.log('listening'));`;

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

const base = '/api/v1/namespaces/default';
const pod = `${base}/pods/proxied:8000/proxy`;

describe('proxies', function () {
  this.timeout(60_000);
  let world: StreamingWorld;

  before(async () => {
    world = await streamingWorld();
    await world.pod('proxied', [process.execPath, '-e', server], { labels: { app: 'proxied' } });
    await waitFor('the pod to listen', 10_000, async () =>
      /listening/.test(await world.kubectl.run('logs', 'proxied')),
    );
    await world.cluster.client.create(services, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'proxied', namespace: 'default' },
      spec: { selector: { app: 'proxied' }, ports: [{ name: 'web', port: 80, targetPort: 8000 }] },
    });
  });
  after(() => world?.cluster.stop());

  it('pass method, path, query, headers and body to the pod, and its answer back', async () => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const path = '/a%2Fb/c?watch=true&dryRun=x&fieldSelector=y';
      const { status, headers, text } = await world.call(`${pod}${path}`, {
        method,
        headers: {
          'x-mine': 'yes',
          authorization: 'Basic secret',
          // Node gives a DELETE's body no length by itself.
          ...(method !== 'GET' && { 'content-length': '5' }),
        },
        ...(method !== 'GET' && { body: 'hello' }),
      });
      assert.equal(status, 200, `${method}: ${text}`);
      const asked = JSON.parse(text) as Asked;
      assert.equal(asked.method, method);
      assert.equal(asked.url, path);
      assert.equal(asked.headers['x-mine'], 'yes');
      assert.equal(asked.headers['authorization'], undefined, 'what we are told is not for the pod');
      assert.match(asked.headers['host'] ?? '', /:8000$/);
      assert.match(asked.headers['x-forwarded-uri'] ?? '', /\/proxy\//);
      assert.equal(headers['x-from'], 'pod');
      assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2']);
    }
    assert.equal((await world.call(`${pod}/teapot`)).status, 418);
    assert.equal((await world.call(`${pod}/x`, { method: 'HEAD' })).text, '');
  });

  it('find a pod of a service by number and name of the port, and without one', async () => {
    await waitFor('the service to have an endpoint', 10_000, async () => {
      return (await world.call(`${base}/services/proxied/proxy/`)).status === 200;
    });
    for (const name of ['proxied:80', 'proxied:web', 'http:proxied:web', 'proxied']) {
      const { text } = await world.call(`${base}/services/${name}/proxy/x`);
      assert.equal((JSON.parse(text) as Asked).url, '/x');
    }
  });

  it('serve kubectl proxy and kubectl get --raw', async () => {
    const proxy = world.start(['proxy', '--port=0']);
    try {
      const line = /Starting to serve on 127\.0\.0\.1:(\d+)/;
      await waitFor('kubectl to serve', 10_000, async () => line.test(proxy.stdout));
      const answer = await fetch(`http://127.0.0.1:${line.exec(proxy.stdout)?.[1]}${pod}/through`);
      assert.equal(((await answer.json()) as Asked).url, '/through');
    } finally {
      proxy.process.kill('SIGKILL');
    }
    assert.match(await world.kubectl.run('get', '--raw', `${pod}/raw`), /"url":"\/raw"/);
  });

  it('stream large bodies both ways', async () => {
    const bytes = randomBytes(10 * 1024 * 1024);
    const digest = createHash('sha256').update(bytes).digest('hex');
    const { text } = await world.call(`${pod}/digest`, { method: 'POST', body: bytes.toString('latin1') });
    assert.equal(text, createHash('sha256').update(bytes.toString('latin1')).digest('hex'));
    assert.equal(await overHttp2('/digest', bytes), digest);
    assert.equal((await overHttp2('/bytes')).length, 160 * 65_536);
  });

  it('answer while the request goes on, and tell the pod when the client is gone', async () => {
    const request = https.request(new URL(`${pod}/drip`, world.cluster.url), {
      ...world.tls,
      agent: false,
      method: 'POST',
    });
    request.on('error', () => {});
    request.flushHeaders();
    let text = '';
    request.on('response', (response) => {
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('error', () => {});
    });
    await waitFor('the first part', 5_000, async () => text === 'first;');
    request.write('second');
    await waitFor('the second part', 5_000, async () => text === 'first;got second;');
    request.destroy();
    await waitFor('the pod to notice', 5_000, async () =>
      /drip closed/.test(await world.kubectl.run('logs', 'proxied')),
    );
  });

  it('lead a redirect of the pod back through themselves, and others away', async () => {
    const here = await world.call(`${pod}/elsewhere`);
    assert.equal(here.status, 302);
    assert.equal(here.headers['location'], `${pod}/here?x=1`);
    assert.equal((await world.call(`${pod}/away`)).headers['location'], 'https://example.org/');
    const bare = await world.call(`${pod}?q=1`);
    assert.equal(bare.status, 301);
    assert.equal(bare.headers['location'], `${pod}/?q=1`);
  });

  it('pass an upgraded connection on', async () => {
    const request = https.request(new URL(`${pod}/socket`, world.cluster.url), {
      ...world.tls,
      agent: false,
      headers: { connection: 'Upgrade', upgrade: 'echo' },
    });
    const echoed = new Promise<string>((resolve, reject) => {
      request.on('error', reject);
      request.on('response', ({ statusCode }) => reject(new Error(`answered ${statusCode}`)));
      request.on('upgrade', (_response, socket) => {
        socket.write('over the wire');
        socket.once('data', (bytes: Buffer) => {
          socket.destroy();
          resolve(bytes.toString());
        });
      });
    });
    request.end();
    assert.equal(await echoed, 'over the wire');
  });

  it('speak TLS to a pod when the name says https, whoever signed its certificate', async () => {
    const { key, cert } = await (await createAuthority('nobody knows')).issueServer('pod', ['pod']);
    const options = JSON.stringify({ key, cert });
    const script = `
      const answer = (request, response) => response.end('secretly ' + request.url);
      require('node:https').createServer(${options}, answer)
        .listen(8443, process.env.POD_IP, () => console.log('listening'));`;
    await world.pod('secret', [process.execPath, '-e', script.replaceAll('$', '$$')]);
    await waitFor('the pod to listen', 10_000, async () =>
      /listening/.test(await world.kubectl.run('logs', 'secret')),
    );
    assert.equal((await world.call(`${base}/pods/https:secret:8443/proxy/x`)).text, 'secretly /x');
    const plain = await world.call(`${base}/pods/secret:8443/proxy/x`);
    assert.equal(plain.status, 503);
    assert.match(plain.text, /error trying to reach service/);
  });

  it('say what is wrong as Kubernetes does', async () => {
    const cases: readonly (readonly [string, number, RegExp])[] = [
      ['pods/nobody/proxy/', 404, /pods \\"nobody\\" not found/],
      ['pods/proxied:8001/proxy/', 503, /error trying to reach service: dial tcp .*ECONNREFUSED/],
      ['pods/proxied:99999/proxy/', 400, /invalid pod request/],
      ['pods/ftp:proxied:1/proxy/', 400, /invalid pod request/],
      ['services/nobody/proxy/', 404, /services \\"nobody\\" not found/],
      ['services/proxied:81/proxy/', 503, /no service port 81 found for service \\"proxied\\"/],
      ['services/proxied:other/proxy/', 503, /no endpoints available for service \\"proxied\\"/],
    ];
    for (const [path, status, message] of cases) {
      const answer = await world.call(`${base}/${path}`);
      assert.equal(answer.status, status, `${path}: ${answer.text}`);
      assert.match(answer.text, message);
      assert.equal((JSON.parse(answer.text) as { kind: string }).kind, 'Status');
    }
    await assert.rejects(
      new Promise((_resolve, reject) => {
        const url = `${world.cluster.url.replace('https', 'wss')}${base}/pods/nobody/proxy/`;
        new WebSocket(url, { ...world.tls, agent: false }).on('error', reject);
      }),
      /Unexpected server response: 404/,
    );
  });

  it('ask for the verb of the method', async () => {
    const { kubectl } = world;
    await kubectl.run('create', 'role', 'proxier', '--verb=get', '--resource=pods/proxy');
    await kubectl.run('create', 'rolebinding', 'proxier', '--role=proxier', '--user=proxier');
    const headers = { 'impersonate-user': 'proxier' };
    assert.equal((await world.call(`${pod}/x?watch=true`, { headers })).status, 200);
    const post = await world.call(`${pod}/x`, { headers, method: 'POST' });
    assert.equal(post.status, 403);
    assert.match(post.text, /cannot create resource \\"pods\/proxy\\"/);
    assert.equal((await world.call(`${base}/services/proxied/proxy/x`, { headers })).status, 403);
  });

  it('answer for a kubelet whether it is well, and no more than that', async () => {
    assert.equal((await world.call('/api/v1/nodes/worker-1/proxy/healthz')).text, 'ok');
    assert.equal((await world.call('/api/v1/nodes/worker-1:10250/proxy/healthz')).text, 'ok');
    assert.equal((await world.call('/api/v1/nodes/worker-1/proxy/metrics')).status, 501);
    assert.equal((await world.call('/api/v1/nodes/nobody/proxy/healthz')).status, 404);
  });

  async function overHttp2(path: string, body?: Buffer): Promise<string> {
    const session = http2.connect(world.cluster.url, world.tls);
    try {
      const stream = session.request({ ':path': `${pod}${path}`, ':method': body ? 'POST' : 'GET' });
      stream.end(body);
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks).toString('latin1');
    } finally {
      session.close();
    }
  }
});
