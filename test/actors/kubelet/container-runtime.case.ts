/**
 * What every container runtime does; each implementation runs this suite with its own way to make such
 * containers.
 */
import { strict as assert } from 'node:assert';
import { type ContainerConfig, type ContainerRuntime, collect } from '../../../actors/kubelet/index.js';
import { until } from './until.js';

/** How a container behaves, in words that each runtime can be told. */
export type Behaviour =
  | { readonly type: 'exits'; readonly code: number }
  | { readonly type: 'runs' }
  | { readonly type: 'ignores-sigterm' };

export interface RuntimeHarness {
  create(): Promise<ContainerRuntime>;
  /** Config of a container that behaves so and writes at least one line. */
  config(behaviour: Behaviour): Pick<ContainerConfig, 'argv' | 'podAnnotations'>;
}

export async function configOf(
  runtime: ContainerRuntime,
  parts: Partial<ContainerConfig> = {},
): Promise<ContainerConfig> {
  const image = await runtime.resolveImage({
    image: 'busybox:1.36',
    pullPolicy: 'IfNotPresent',
    hasCommand: true,
    port: undefined,
  });
  return {
    podUid: 'uid-1',
    podNamespace: 'default',
    podName: 'pod-1',
    podIP: '127.0.0.1',
    nodeName: 'node-1',
    podAnnotations: {},
    name: 'main',
    attempt: 0,
    image,
    argv: ['/bin/sh', '-c', 'true'],
    env: [],
    mounts: [],
    stdin: false,
    stdinOnce: false,
    tty: false,
    terminationMessagePath: '/dev/termination-log',
    ...parts,
  };
}

export function runtimeCases(name: string, harness: RuntimeHarness): void {
  describe(`container runtime: ${name}`, () => {
    let runtime: ContainerRuntime;
    beforeEach(async () => {
      runtime = await harness.create();
      await runtime.start();
    });
    afterEach(() => runtime.close());

    const begin = async (behaviour: Behaviour, parts: Partial<ContainerConfig> = {}): Promise<string> => {
      const id = await runtime.create(await configOf(runtime, { ...harness.config(behaviour), ...parts }));
      await runtime.startContainer(id);
      return id;
    };

    it('keeps the exit code and the times of a container that ends by itself', async () => {
      const id = await begin({ type: 'exits', code: 3 });
      await until('exited', () => runtime.get(id)?.state === 'exited');
      const record = runtime.get(id)!;
      assert.equal(record.exitCode, 3);
      assert.ok(record.createdAtMs <= record.startedAtMs! && record.startedAtMs! <= record.finishedAtMs!);
    });

    it('tells of every change', async () => {
      const told: string[] = [];
      runtime.onChange((uid) => told.push(uid));
      const id = await begin({ type: 'exits', code: 0 });
      await until('exited', () => runtime.get(id)?.state === 'exited' && told.length > 1);
      assert.deepEqual(told, ['uid-1', 'uid-1']);
    });

    it('stops a container within its grace period', async () => {
      const id = await begin({ type: 'runs' });
      assert.equal(runtime.get(id)?.state, 'running');
      await runtime.stop(id, 5000);
      assert.equal(runtime.get(id)?.state, 'exited');
      assert.notEqual(runtime.get(id)?.exitCode, 137);
    });

    it('kills a container that outlives its grace period', async () => {
      const id = await begin({ type: 'ignores-sigterm' });
      await until('its first line', async () => (await logOf(runtime, id)) !== '');
      await runtime.stop(id, 60);
      assert.equal(runtime.get(id)?.exitCode, 137);
    });

    it('shortens the grace period when asked again', async () => {
      const id = await begin({ type: 'ignores-sigterm' });
      await until('its first line', async () => (await logOf(runtime, id)) !== '');
      const first = runtime.stop(id, 60_000);
      await runtime.stop(id, 20);
      await first;
      assert.equal(runtime.get(id)?.exitCode, 137);
    });

    it('refuses to remove a running container, and forgets an ended one', async () => {
      const id = await begin({ type: 'runs' });
      await assert.rejects(runtime.remove(id), { code: 'Running' });
      await runtime.stop(id, 0);
      await runtime.remove(id);
      assert.deepEqual(runtime.list('uid-1'), []);
    });

    it('refuses a second container of the same name and attempt', async () => {
      const config = await configOf(runtime);
      await runtime.create(config);
      await assert.rejects(runtime.create(config), { code: 'Exists' });
    });

    it('runs another program in a running container only', async () => {
      const id = await begin({ type: 'runs' });
      const request = { command: ['echo', 'hello'], stdin: false, tty: false };
      const { exitCode, output } = await collect(await runtime.exec(id, request), 1000);
      assert.equal(exitCode, 0);
      assert.match(output, /hello/);
      await runtime.stop(id, 0);
      await assert.rejects(runtime.exec(id, request), { code: 'NotRunning' });
    });

    it('ends followed logs when the container ends', async () => {
      const id = await begin({ type: 'runs' });
      const text = logOf(runtime, id, true);
      await until('its first line', async () => (await logOf(runtime, id)) !== '');
      await runtime.stop(id, 1000);
      assert.notEqual(await text, '');
    });

    it('ends an attached session when the container ends', async () => {
      const id = await begin({ type: 'runs' });
      const attached = collect(await runtime.attach(id), 1000);
      await runtime.stop(id, 0);
      assert.equal((await attached).exitCode, runtime.get(id)?.exitCode);
    });

    it('lists pods until they are removed', async () => {
      await runtime.writeVolume('uid-1', { type: 'empty', name: 'scratch' });
      const id = await begin({ type: 'exits', code: 0 });
      await until('exited', () => runtime.get(id)?.state === 'exited');
      assert.deepEqual(runtime.podUids(), ['uid-1']);
      await runtime.removePod('uid-1');
      assert.deepEqual(runtime.podUids(), []);
      assert.deepEqual(runtime.list(), []);
    });

    it('ends everything that it started when it closes', async () => {
      const id = await begin({ type: 'ignores-sigterm' });
      await runtime.close();
      assert.equal(runtime.get(id)?.state, 'exited');
    });

    it('answers NotFound for a container that it does not know', async () => {
      await assert.rejects(runtime.stop('nobody', 0), { code: 'NotFound' });
      await assert.rejects(runtime.startContainer('nobody'), { code: 'NotFound' });
    });
  });
}

/** What a container has said, once it has ended. */
export async function outcomeOf(runtime: ContainerRuntime, id: string): Promise<string> {
  await until('exited', () => runtime.get(id)?.state === 'exited');
  return logOf(runtime, id);
}

export async function logOf(runtime: ContainerRuntime, id: string, follow = false): Promise<string> {
  let text = '';
  for await (const chunk of runtime.logs(id, { follow })) text += Buffer.from(chunk).toString('utf8');
  return text;
}
