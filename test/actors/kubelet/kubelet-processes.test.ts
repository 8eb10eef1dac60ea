import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configMaps, secrets, serviceAccounts } from '../../../actors/client/index.js';
import {
  type KubeletMessage,
  type KubeletReply,
  ProcessRuntime,
  socketPodNetwork,
} from '../../../actors/kubelet/index.js';
import type { ActorRef } from '../../../actors/runtime/index.js';
import { isAlive } from '../../../deploy/process-table.js';
import { realWorld } from '../runtime/world.js';
import { Bench, isTrue, mainStatus } from './kubelet-bench.js';
import { until } from './until.js';

type Opening = Extract<KubeletMessage, { replyTo: ActorRef<KubeletReply> }>;
type Wish = Opening extends infer T
  ? T extends unknown
    ? Omit<T, 'sessionId' | 'replyTo' | 'credit'>
    : never
  : never;

/** One session: what came out of it, and the way in. */
class TestSession {
  stdout = '';
  stderr = '';
  ended: Extract<KubeletReply, { type: 'KubeletEnded' }> | undefined;
  started = false;
  letters = 0;
  inputCredit = 0;
  readonly #bench: Bench;
  readonly #id: string;

  constructor(bench: Bench, wish: Wish, credit = 1000) {
    this.#bench = bench;
    this.#id = `session-${bench.system.env.random.hex(4)}`;
    const { ref } = bench.system.callback<KubeletReply>('session', (reply) => this.#receive(reply));
    bench.system.tell(bench.kubelet, {
      ...wish,
      sessionId: this.#id,
      replyTo: ref,
      credit,
    } as KubeletMessage);
  }

  send(
    message:
      | { type: 'KubeletInput'; bytes: Uint8Array }
      | { type: 'KubeletInputEnd' }
      | { type: 'KubeletCredit'; chunks: number }
      | { type: 'KubeletCancel' },
  ): void {
    this.#bench.system.tell(this.#bench.kubelet, { ...message, sessionId: this.#id } as KubeletMessage);
  }

  async end(): Promise<this> {
    await until('the session ends', () => this.ended !== undefined);
    return this;
  }

  #receive(reply: KubeletReply): void {
    switch (reply.type) {
      case 'KubeletStarted':
        this.started = true;
        this.inputCredit += reply.credit;
        return;
      case 'KubeletOutput':
        this.letters += 1;
        this[reply.stream] += Buffer.from(reply.bytes).toString();
        return;
      case 'KubeletInputCredit':
        this.inputCredit += reply.chunks;
        return;
      case 'KubeletEnded':
        this.ended = reply;
        return;
      default:
        reply satisfies never;
    }
  }
}

const target = { namespace: 'default', pod: 'pod-1' };
const shell = (script: string) => [{ name: 'main', image: 'busybox', command: ['sh', '-c', script] }];

describe('kubelet with processes', () => {
  let bench: Bench;
  let dataDir: string;
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'kabuki-kubelet-'));
    bench = new Bench({
      world: realWorld(),
      runtime: ({ env }) => new ProcessRuntime({ dataDir, clock: env.clock, random: env.random }),
      network: socketPodNetwork,
      podCidr: '127.64.201.0/24',
    });
  });
  afterEach(async () => {
    await bench.end();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('runs a stand-in on the address of its pod, ready by an HTTP probe, reachable by port-forward', async () => {
    const probe = { httpGet: { path: '/', port: 18080 }, periodSeconds: 1 };
    await bench.add({
      containers: [
        { name: 'main', image: 'nginx:1.27', ports: [{ containerPort: 18080 }], readinessProbe: probe },
      ],
    });
    const pod = await bench.running();
    assert.equal(mainStatus(pod)?.imageID, 'stand-in://nginx');
    assert.match(mainStatus(pod)?.containerID ?? '', /^process:\/\/[0-9a-f]{64}$/);
    assert.ok(
      bench.api
        .events('pod-1')
        .some((event) => event.startsWith('StandIn: Container main, image "nginx:1.27"')),
    );
    const session = new TestSession(bench, { type: 'KubeletPortForward', target, port: 18080 });
    await until('started', () => session.started);
    session.send({ type: 'KubeletInput', bytes: Buffer.from('GET / HTTP/1.0\r\n\r\n') });
    await session.end();
    assert.match(session.stdout, /^HTTP\/1\.1 200 OK/);
    assert.match(session.stdout, /pod pod-1 on node worker-1/);
  });

  it('gives containers their volumes, a token and variables', async () => {
    await bench.api.create(configMaps, {
      metadata: { name: 'settings', namespace: 'default' },
      data: { color: 'blue' },
    });
    await bench.api.create(secrets, {
      metadata: { name: 'keys', namespace: 'default' },
      data: { key: Buffer.from('k').toString('base64') },
    });
    await bench.api.create(serviceAccounts, { metadata: { name: 'default', namespace: 'default' } });
    const mount = (name: string) => ({ name, mountPath: `/mnt/${name}` });
    const names = ['config', 'keys', 'token', 'about', 'scratch'];
    const script =
      'cd mnt; cat config/color keys/key token/token about/name; echo hi > scratch/x; cat scratch/x; echo $COLOR $POD_IP';
    await bench.add({
      restartPolicy: 'Never',
      volumes: [
        { name: 'config', configMap: { name: 'settings' } },
        { name: 'keys', secret: { secretName: 'keys' } },
        { name: 'token', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } },
        {
          name: 'about',
          downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] },
        },
        { name: 'scratch', emptyDir: {} },
      ],
      containers: [
        {
          ...shell(script)[0]!,
          env: [{ name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'color' } } }],
          volumeMounts: names.map(mount),
        },
      ],
    });
    await bench.until('Succeeded', (pod) => pod?.status?.phase === 'Succeeded');
    const { stdout } = await new TestSession(bench, { type: 'KubeletLogs', target, options: {} }).end();
    assert.equal(stdout, 'bluektoken of default/defaultpod-1hi\nblue 127.64.201.1\n');
  });

  it('follows logs until the container ends, and shows those of the one before', async () => {
    await bench.add({ containers: shell('echo life; sleep 0.3; echo over; exit 1') });
    await bench.until('running', (pod) => mainStatus(pod)?.state?.running !== undefined);
    const followed = await new TestSession(bench, {
      type: 'KubeletLogs',
      target,
      options: { follow: true },
    }).end();
    assert.equal(followed.stdout, 'life\nover\n');
    await bench.until('restarted', (pod) => mainStatus(pod)?.restartCount === 1);
    const previous = await new TestSession(bench, {
      type: 'KubeletLogs',
      target,
      options: { previous: true, tailLines: 1 },
    }).end();
    assert.equal(previous.stdout, 'over\n');
  });

  it('stops following when the reader cancels', async () => {
    await bench.add({ containers: shell('echo here; exec sleep 1000') });
    await bench.running();
    const session = new TestSession(bench, { type: 'KubeletLogs', target, options: { follow: true } });
    await until('a line', () => session.stdout === 'here\n');
    session.send({ type: 'KubeletCancel' });
    await session.end();
    assert.equal(session.ended?.error, undefined);
  });

  it('runs a program with stdin and tells its exit code', async () => {
    await bench.add({ containers: shell('exec sleep 1000') });
    await bench.running();
    const session = new TestSession(bench, {
      type: 'KubeletExec',
      target,
      command: ['sh', '-c', 'cat; echo err >&2; exit 3'],
      stdin: true,
      tty: false,
    });
    await until('started', () => session.started && session.inputCredit > 0);
    session.send({ type: 'KubeletInput', bytes: Buffer.from('in\n') });
    session.send({ type: 'KubeletInputEnd' });
    await session.end();
    assert.deepEqual([session.stdout, session.stderr, session.ended?.exitCode], ['in\n', 'err\n', 3]);
  });

  it('sends no more output than it was given credit for', async () => {
    await bench.add({ containers: shell('exec sleep 1000') });
    await bench.running();
    const command = ['sh', '-c', 'dd if=/dev/zero bs=65536 count=64 2>/dev/null | tr "\\0" x'];
    const session = new TestSession(
      bench,
      { type: 'KubeletExec', target, command, stdin: false, tty: false },
      2,
    );
    await until('two letters', () => session.letters === 2);
    const end = performance.now() + 100;
    await until('time passes', () => performance.now() > end);
    assert.equal(session.letters, 2);
    session.send({ type: 'KubeletCredit', chunks: 100_000 });
    await session.end();
    assert.equal(session.stdout.length, 64 * 65536);
  });

  it('ends a program whose session is cancelled', async () => {
    await bench.add({ containers: shell('exec sleep 1000') });
    await bench.running();
    const session = new TestSession(bench, {
      type: 'KubeletExec',
      target,
      command: ['sh', '-c', 'echo $$; exec sleep 1000'],
      stdin: false,
      tty: false,
    });
    await until('its pid', () => session.stdout.endsWith('\n'));
    session.send({ type: 'KubeletCancel' });
    await session.end();
    const pid = Number(session.stdout);
    await until('it has ended', () => !isAlive(pid));
  });

  it('attaches to the stdin of a container', async () => {
    await bench.add({
      restartPolicy: 'Never',
      containers: [{ ...shell('read line; echo got $line')[0]!, stdin: true, stdinOnce: true }],
    });
    await bench.running();
    const session = new TestSession(bench, { type: 'KubeletAttach', target, stdin: true, tty: false });
    await until('started', () => session.started);
    session.send({ type: 'KubeletInput', bytes: Buffer.from('word\n') });
    await session.end();
    assert.deepEqual([session.stdout, session.ended?.exitCode], ['got word\n', 0]);
  });

  it('answers clearly for what cannot be had', async () => {
    await bench.add({
      containers: [
        { name: 'a', image: 'busybox', command: ['sleep', '1000'] },
        { name: 'b', image: 'none/such' },
      ],
    });
    await bench.until(
      'b cannot be pulled',
      (pod) => pod?.status?.containerStatuses?.[1]?.state?.waiting?.reason === 'ErrImagePull',
    );
    const logs = async (wish: Partial<Wish>, of: object = {}) => {
      const session = new TestSession(bench, {
        type: 'KubeletLogs',
        target: { ...target, ...of },
        options: {},
        ...wish,
      } as Wish);
      return (await session.end()).ended?.error;
    };
    assert.deepEqual((await logs({}, { pod: 'nobody' }))?.status, 404);
    assert.deepEqual((await logs({}, { podUid: 'another' }))?.status, 404);
    assert.match(
      (await logs({}))?.message ?? '',
      /a container name must be specified for pod pod-1, choose one of: \[a b\]/,
    );
    assert.match(
      (await logs({}, { container: 'c' }))?.message ?? '',
      /container c is not valid for pod pod-1/,
    );
    assert.match(
      (await logs({}, { container: 'b' }))?.message ?? '',
      /is waiting to start: (ErrImagePull|ImagePullBackOff)/,
    );
    assert.match(
      (await logs({ options: { previous: true } } as Partial<Wish>, { container: 'a' }))?.message ?? '',
      /previous terminated container "a" in pod "pod-1" not found/,
    );
    const exec = await new TestSession(bench, {
      type: 'KubeletExec',
      target: { ...target, container: 'a' },
      command: ['no-such-program'],
      stdin: false,
      tty: false,
    }).end();
    assert.match(exec.ended?.error?.message ?? '', /no-such-program/);
  });

  it('kills a container whose exec liveness probe fails, and runs its hooks', async () => {
    const exec = (script: string) => ({ exec: { command: ['sh', '-c', script] } });
    await bench.add({
      volumes: [{ name: 'shared', emptyDir: {} }],
      containers: [
        {
          ...shell('trap "exit 0" TERM; touch alive; while :; do sleep 0.05; done')[0]!,
          volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
          lifecycle: { postStart: exec('echo post >> shared/log'), preStop: exec('echo pre >> shared/log') },
          livenessProbe: {
            ...exec('test -f alive'),
            periodSeconds: 1,
            failureThreshold: 1,
            initialDelaySeconds: 1,
          },
        },
        {
          name: 'reader',
          image: 'busybox',
          command: ['sleep', '1000'],
          volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
        },
      ],
    });
    await bench.running();
    await new TestSession(bench, {
      type: 'KubeletExec',
      target: { ...target, container: 'main' },
      command: ['rm', 'alive'],
      stdin: false,
      tty: false,
    }).end();
    await bench.until(
      'restarted',
      (pod) => pod?.status?.containerStatuses?.[0]?.restartCount === 1 && isTrue(pod, 'Ready'),
    );
    const read = new TestSession(bench, {
      type: 'KubeletExec',
      target: { ...target, container: 'reader' },
      command: ['cat', 'shared/log'],
      stdin: false,
      tty: false,
    });
    assert.equal((await read.end()).stdout, 'post\npre\npost\n');
  });
});
