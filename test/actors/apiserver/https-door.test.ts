import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import http2 from 'node:http2';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before } from 'mocha';
import { createJoseTokens, type HttpsDoor, openHttpsDoor } from '../../../actors/apiserver/index.js';
import { type CertificateAuthority, createAuthority, type KeyPair } from '../../../deploy/certificates.js';
import { bundledHelm, bundledKubectl } from '../../../deploy/bundled-kubectl.js';
import { realWorld } from '../runtime/world.js';
import { fakeKubelet } from './fake-kubelet.js';
import { serverWorld, type ServerWorld } from './server-world.js';

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

describe('the HTTPS door', () => {
  let cluster: ServerWorld;
  let door: HttpsDoor;
  let ca: CertificateAuthority;
  let admin: KeyPair;
  let folder: string;
  let kubectlBinary: string;

  before(async function () {
    this.timeout(60_000);
    ca = await createAuthority('test-ca');
    const server = await ca.issueServer('kube-apiserver', ['127.0.0.1', 'localhost']);
    admin = await ca.issueClient('kubernetes-admin', ['system:masters']);
    const tokens = await createJoseTokens({
      issuer: 'https://kubernetes.default.svc.cluster.local',
      audiences: ['https://kubernetes.default.svc.cluster.local'],
      privateKey: server.key,
    });
    cluster = await serverWorld({ tokens, advertise: { address: '127.0.0.1', port: 6443 } }, realWorld());
    door = await openHttpsDoor({
      system: cluster.system,
      server: cluster.server,
      key: server.key,
      certificate: server.cert,
      clientCa: ca.cert,
      port: 0,
      staticTokens: new Map([['viewer-token', { username: 'viewer', groups: [] }]]),
    });
    cluster.world.system('worker-1').spawn(fakeKubelet);
    folder = await mkdtemp(path.join(tmpdir(), 'kabuki-https-'));
    kubectlBinary = bundledKubectl();
    await writeFile(path.join(folder, 'config'), kubeconfig(door.port, ca.cert, admin));
  });

  after(async () => {
    await door?.close(200);
    cluster?.server.stop();
    await cluster?.world.end();
    if (folder) await rm(folder, { recursive: true });
  });

  const run = (args: readonly string[], input?: string, binary = kubectlBinary): Promise<Run> =>
    new Promise((resolve) => {
      const child = execFile(
        binary,
        [...args],
        {
          env: { HOME: folder, KUBECONFIG: path.join(folder, 'config'), PATH: process.env['PATH'] },
          timeout: 30_000,
          maxBuffer: 32 * 1024 * 1024,
        },
        (error, out, err) => resolve({ code: error ? Number(error.code ?? 1) : 0, out, err }),
      );
      if (input !== undefined) child.stdin?.end(input);
    });

  const kubectl = async (line: string, input?: string): Promise<string> => {
    const { code, out, err } = await run(line.split(' '), input);
    assert.equal(code, 0, `kubectl ${line}: ${err}`);
    return out + err;
  };

  const call = (
    pathAndQuery: string,
    options: https.RequestOptions & { readonly body?: string } = {},
  ): Promise<{ status: number; headers: Record<string, unknown>; text: string }> =>
    new Promise((resolve, reject) => {
      const request = https.request(
        { host: '127.0.0.1', port: door.port, path: pathAndQuery, ca: ca.cert, agent: false, ...options },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              text: Buffer.concat(chunks).toString(),
            }),
          );
        },
      );
      request.on('error', reject);
      request.end(options.body);
    });

  it('knows nobody without credentials, except where everybody may look', async () => {
    const nobody = await call('/api/v1/pods');
    assert.equal(nobody.status, 401);
    assert.equal(JSON.parse(nobody.text).reason, 'Unauthorized');
    for (const open of ['/healthz', '/livez', '/readyz?verbose', '/version']) {
      assert.equal((await call(open)).status, 200, open);
    }
    assert.match((await call('/readyz?verbose')).text, /\[\+\]ping ok/);
    const wrong = await call('/version', { headers: { authorization: 'Bearer wrong' } });
    assert.equal(wrong.status, 401);
  });

  it('refuses a client certificate of another authority', async () => {
    const other = await createAuthority('other-ca');
    const { cert, key } = await other.issueClient('kubernetes-admin', ['system:masters']);
    assert.equal((await call('/api/v1/pods', { cert, key })).status, 401);
  });

  it('knows static tokens', async () => {
    const answer = await call('/api/v1/pods', { headers: { authorization: 'Bearer viewer-token' } });
    assert.equal(answer.status, 403);
    assert.match(answer.text, /User \\"viewer\\" cannot list resource/);
  });

  it('says who served and in which trace, and takes the trace of the caller', async () => {
    const trace = '0af7651916cd43dd8448eb211c80319c';
    const { headers } = await call('/version', {
      headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` },
    });
    assert.equal(headers['kabuki-trace-id'], trace);
    assert.equal(headers['kabuki-served-by'], 'master-1');
    assert.equal(headers['cache-control'], 'no-cache, private');
    assert.match(String(headers['audit-id']), /^[0-9a-f-]{36}$/);
    assert.match(cluster.world.journal.toNdjson(), new RegExp(`GET /version 200.*`));
  });

  it('answers 413 to a body over the limit and 400 to a path that is not UTF-8', async () => {
    const large = await call('/api/v1/namespaces/default/configmaps', {
      method: 'POST',
      ...admin,
      body: 'x'.repeat(3 * 1024 * 1024 + 1),
    });
    assert.equal(large.status, 413);
    assert.equal((await call('/api/%ff', { ...admin })).status, 400);
  });

  it('compresses large bodies when asked', async () => {
    const { headers } = await call('/openapi/v3/apis/apps/v1', {
      ...admin,
      headers: { 'accept-encoding': 'gzip' },
    });
    assert.equal(headers['content-encoding'], 'gzip');
  });

  describe('with kubectl', function () {
    this.timeout(60_000);

    it('lists namespaces, creates a deployment and shows it', async () => {
      assert.match(await kubectl('get ns'), /kube-system +Active/);
      assert.match(
        await kubectl('create deployment web --image=nginx --replicas=2'),
        /deployment.apps\/web created/,
      );
      assert.match(await kubectl('get deploy'), /web +0\/2/);
      assert.match(await kubectl('get deploy web -o yaml'), /terminationGracePeriodSeconds: 30/);
    });

    it('labels, annotates, patches in three ways, scales', async () => {
      await kubectl('create deployment patched --image=nginx');
      assert.match(await kubectl('label deploy patched tier=front'), /labeled/);
      assert.match(await kubectl('annotate deploy patched note=x'), /annotated/);
      await kubectl('set image deploy/patched nginx=nginx:1.27');
      await kubectl('patch deploy patched --type=merge -p {"spec":{"paused":true}}');
      await kubectl('patch deploy patched --type=json -p [{"op":"remove","path":"/spec/paused"}]');
      assert.match(await kubectl('scale deploy patched --replicas=5'), /scaled/);
      const shown = JSON.parse(await kubectl('get deploy patched -o json')) as {
        metadata: { labels: Record<string, string> };
        spec: { replicas: number; template: { spec: { containers: { image: string }[] } } };
      };
      assert.equal(shown.metadata.labels['tier'], 'front');
      assert.equal(shown.spec.replicas, 5);
      assert.equal(shown.spec.template.spec.containers[0]!.image, 'nginx:1.27');
    });

    it('applies from the client, twice, and changes what changed', async () => {
      const manifest = (value: string) =>
        `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: applied\ndata:\n  k: ${value}\n`;
      assert.match(await kubectl('apply -f -', manifest('one')), /configmap\/applied created/);
      assert.match(await kubectl('apply -f -', manifest('one')), /configmap\/applied unchanged/);
      assert.match(await kubectl('apply -f -', manifest('two')), /configmap\/applied configured/);
      assert.equal(await kubectl('get cm applied -o jsonpath={.data.k}'), 'two');
    });

    it('applies on the server, shows differences, and tells of conflicts', async () => {
      const manifest = (value: string) =>
        `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: served\ndata:\n  k: ${value}\n`;
      assert.match(await kubectl('apply --server-side -f -', manifest('one')), /served serverside-applied/);
      const diff = await run(['diff', '--server-side', '-f', '-'], manifest('two'));
      assert.equal(diff.code, 1, diff.err);
      assert.match(diff.out, /\+ +k: two/);
      const other = ['apply', '--server-side', '--field-manager=other', '-f', '-'];
      const conflict = await run(other, manifest('three'));
      assert.match(conflict.err, /conflict with "kubectl": \.data\.k/);
      assert.equal((await run([...other, '--force-conflicts'], manifest('three'))).code, 0);
    });

    it('cordons, drains and refuses what is not valid', async () => {
      await cluster.create('/api/v1/nodes', { metadata: { name: 'drained' } });
      await cluster.create('/api/v1/namespaces/default/pods', {
        metadata: { name: 'evictable', labels: { app: 'e' } },
        spec: {
          nodeName: 'drained',
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'c', image: 'i' }],
        },
      });
      const drained = await run(['drain', 'drained', '--force', '--timeout=10s']);
      assert.equal(drained.code, 0, drained.err);
      assert.match(await kubectl('get node drained'), /SchedulingDisabled/);
      const invalid = await run(['create', 'deployment', 'Not_Valid', '--image=i']);
      assert.match(invalid.err, /is invalid: metadata.name: Invalid value: "Not_Valid"/);
    });

    it('installs and removes a chart with helm', async () => {
      const chart = path.join(folder, 'chart');
      await mkdir(path.join(chart, 'templates'), { recursive: true });
      await writeFile(path.join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: c\nversion: 0.1.0\n');
      const template =
        'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-map\ndata:\n  v: {{ .Values.v | quote }}\n';
      await writeFile(path.join(chart, 'templates', 'map.yaml'), template);
      const helm = bundledHelm();
      const helmed = async (...args: string[]) => {
        const { code, out, err } = await run(args, undefined, helm);
        assert.equal(code, 0, `helm ${args.join(' ')}: ${err}`);
        return out;
      };
      await helmed('install', 'r1', chart, '--set', 'v=1');
      assert.match(await helmed('list'), /r1/);
      await helmed('upgrade', 'r1', chart, '--set', 'v=2');
      assert.equal(await kubectl('get cm r1-map -o jsonpath={.data.v}'), '2');
      await helmed('uninstall', 'r1');
      assert.equal((await run(['get', 'cm', 'r1-map'])).code, 1);
    });

    it('waits for conditions and deletions', async () => {
      await kubectl('create configmap doomed');
      const waiting = run(['wait', '--for=delete', 'cm/doomed', '--timeout=20s']);
      await kubectl('delete cm doomed');
      assert.equal((await waiting).code, 0);
      assert.match(
        await kubectl('wait --for=jsonpath={.status.phase}=Active ns/default --timeout=10s'),
        /met/,
      );
    });

    it('watches', async () => {
      const watching = run(['get', 'cm', '-w', '--request-timeout=2s', '-l', 'watched=yes']);
      await kubectl('create configmap watched');
      await kubectl('label cm watched watched=yes');
      assert.match((await watching).out, /watched/);
    });

    it('explains, names resources and versions', async () => {
      assert.match(await kubectl('explain pod.spec.containers'), /image/);
      assert.match(await kubectl('api-resources'), /deployments +deploy +apps\/v1 +true +Deployment/);
      assert.match(await kubectl('version'), /Server Version: v1.36.0/);
    });

    it('asks what it may do, as itself and as others', async () => {
      assert.match(await kubectl('auth can-i create pods'), /yes/);
      const other = await run(['auth', 'can-i', 'create', 'pods', '--as=nobody']);
      assert.match(other.out, /no/);
      assert.match(await kubectl('auth whoami'), /kubernetes-admin/);
      const refused = await run(['get', 'pods', '--as=nobody']);
      assert.match(
        refused.err,
        /pods is forbidden: User "nobody" cannot list resource "pods" in API group "" in the namespace "default"/,
      );
    });

    it('creates tokens that let in who they are for', async () => {
      await kubectl('create serviceaccount robot');
      await kubectl('create rolebinding robots --clusterrole=view --serviceaccount=default:robot');
      const token = (await kubectl('create token robot')).trim();
      const may = await call('/api/v1/namespaces/default/pods', {
        headers: { authorization: `Bearer ${token}` },
      });
      assert.equal(may.status, 200);
      const mayNot = await call('/api/v1/namespaces/default/secrets', {
        headers: { authorization: `Bearer ${token}` },
      });
      assert.equal(mayNot.status, 403);
      await kubectl('delete serviceaccount robot');
      const gone = await call('/api/v1/namespaces/default/pods', {
        headers: { authorization: `Bearer ${token}` },
      });
      assert.equal(gone.status, 401);
    });

    it('deletes', async () => {
      await kubectl('create configmap gone');
      assert.match(await kubectl('delete cm gone'), /configmap "gone" deleted/);
      const { err, code } = await run(['get', 'cm', 'gone']);
      assert.equal(code, 1);
      assert.match(err, /Error from server \(NotFound\): configmaps "gone" not found/);
    });

    it('reads logs and runs commands through the kubelet of the node', async () => {
      const { system } = cluster;
      const pods = '/api/v1/namespaces/default/pods';
      await cluster.create(pods, {
        metadata: { name: 'talker' },
        spec: { nodeName: 'worker-1', containers: [{ name: 'c', image: 'i' }] },
      });
      assert.ok(system);
      assert.equal(await kubectl('logs talker'), 'one\ntwo\nthree\n');
      const previous = await run(['logs', 'talker', '--previous']);
      assert.match(previous.err, /previous terminated container not found/);
      const echo = await run(['exec', '-i', 'talker', '--', 'cat'], 'hello from stdin');
      assert.equal(echo.out, 'hello from stdin');
      assert.match(echo.err, /ready/);
      assert.equal(echo.code, 0);
      assert.equal((await run(['exec', 'talker', '--', 'exit', '3'])).code, 3);
      const wrong = await run(['exec', 'talker', '-c', 'nope', '--', 'cat']);
      assert.match(wrong.err, /container nope is not valid for pod talker/);
    });

    it('exposes a deployment and describes it', async () => {
      await kubectl('create deployment exposed --image=nginx');
      assert.match(await kubectl('expose deploy exposed --port=80'), /service\/exposed exposed/);
      assert.match(await kubectl('describe svc exposed'), /IP: +10\./);
      assert.match(await kubectl('get svc kubernetes'), /10.96.0.1/);
      assert.match(await kubectl('get endpoints kubernetes'), /127.0.0.1:6443/);
    });
  });

  describe('at its end', () => {
    it('speaks HTTP/2, and says goodbye when it closes', async () => {
      const session = http2.connect(`https://127.0.0.1:${door.port}`, { ca: ca.cert, ...admin });
      const stream = session.request({ ':path': '/api/v1/namespaces' });
      const status = await new Promise<number>((resolve, reject) => {
        stream.on('response', (headers) => resolve(Number(headers[':status'])));
        stream.on('error', reject);
      });
      assert.equal(status, 200);
      stream.resume();
      const watch = session.request({ ':path': '/api/v1/namespaces?watch=true' });
      await new Promise((resolve) => watch.once('data', resolve));
      watch.resume();
      const goodbye = new Promise((resolve) => session.once('goaway', resolve));
      await door.close(500);
      await goodbye;
    });
  });
});

function kubeconfig(port: number, caCert: string, { cert, key }: KeyPair): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [
      {
        name: 'test',
        cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': base64(caCert) },
      },
    ],
    users: [
      { name: 'admin', user: { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) } },
    ],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
  });
}
