import { strict as assert } from 'node:assert';
import { fork, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  collect,
  type ContainerConfig,
  endLeftoverContainers,
  ProcessRuntime,
} from '../../../actors/kubelet/index.js';
import { realClock, realRandom } from '../../../actors/runtime/index.js';
import { isAlive } from '../../../deploy/process-table.js';
import { configOf, logOf, outcomeOf, runtimeCases } from './container-runtime.case.js';
import { scratchFolders } from './scratch-folders.js';
import { until } from './until.js';

const newFolder = scratchFolders();

const shell = (script: string): Pick<ContainerConfig, 'argv' | 'podAnnotations'> => ({
  argv: ['/bin/sh', '-c', script],
  podAnnotations: {},
});

runtimeCases('process', {
  create: async () => new ProcessRuntime({ dataDir: newFolder(), clock: realClock, random: realRandom }),
  config: (behaviour) => {
    switch (behaviour.type) {
      case 'exits':
        return shell(`echo out; sleep 0.05; exit ${behaviour.code}`);
      case 'runs':
        return shell('echo out; exec sleep 1000');
      case 'ignores-sigterm':
        return shell('trap "" TERM; echo out; while :; do sleep 0.1; done');
    }
  },
});

describe('process runtime', () => {
  let runtime: ProcessRuntime;
  let dataDir: string;
  beforeEach(async () => {
    dataDir = newFolder();
    runtime = new ProcessRuntime({ dataDir, clock: realClock, random: realRandom });
    await runtime.start();
  });
  afterEach(() => runtime.close());

  const run = async (script: string, parts: Partial<ContainerConfig> = {}): Promise<string> => {
    const id = await runtime.create(await configOf(runtime, { ...shell(script), ...parts }));
    await runtime.startContainer(id);
    return id;
  };
  const outcome = (id: string): Promise<string> => outcomeOf(runtime, id);

  it('writes both streams as CRI lines, the torn last one too', async () => {
    await outcome(await run('echo one; echo two >&2; printf three'));
    const log = readFileSync(join(dataDir, 'pods/uid-1/containers/main/0.log'), 'utf8').trimEnd().split('\n');
    assert.equal(log.length, 3);
    for (const line of log)
      assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) F (one|two|three)$/);
  });

  it('selects log lines by tail, bytes and time', async () => {
    const id = await run('for i in 1 2 3 4 5; do echo line $i; done');
    await outcome(id);
    const read = async (options: Parameters<ProcessRuntime['logs']>[1]) => {
      let text = '';
      for await (const chunk of runtime.logs(id, options)) text += Buffer.from(chunk).toString();
      return text;
    };
    assert.equal(await read({ tailLines: 2 }), 'line 4\nline 5\n');
    assert.equal(await read({ tailLines: 0 }), '');
    assert.equal(await read({ limitBytes: 9 }), 'line 1\nli');
    assert.equal(await read({ sinceTime: '2100-01-01T00:00:00Z' }), '');
    assert.match(await read({ tailLines: 1, timestamps: true }), /^\S+Z line 5\n$/);
  });

  it('rotates a log that grows too large and keeps the one before', async () => {
    const small = new ProcessRuntime({
      dataDir: newFolder(),
      clock: realClock,
      random: realRandom,
      limits: { ...(await import('../../../actors/kubelet/limits.js')).runtimeLimits, logFileBytesMax: 4000 },
    });
    await small.start();
    const id = await small.create(
      await configOf(
        small,
        shell('i=0; while [ $i -lt 200 ]; do echo a line that counts $i; i=$((i+1)); sleep 0.001; done'),
      ),
    );
    await small.startContainer(id);
    await until('exited', () => small.get(id)?.state === 'exited');
    const lines = (await logOf(small, id)).trimEnd().split('\n');
    assert.equal(lines.at(-1), 'a line that counts 199');
    assert.ok(lines.length < 200 && lines.length > 20, `${lines.length} lines`);
  });

  it('gives a container its variables and nothing of the kubelet but PATH', async () => {
    process.env['KABUKI_TEST_SECRET'] = 'not for containers';
    const log = await outcome(await run('env', { env: [['GREETING', 'hello world']] }));
    assert.match(log, /^GREETING=hello world$/m);
    assert.match(log, /^KABUKI_NODE=node-1$/m);
    assert.doesNotMatch(log, /not for containers/);
  });

  it('starts in its own root, with volumes at their mount paths below it', async () => {
    await runtime.writeVolume('uid-1', {
      type: 'files',
      name: 'config',
      files: [{ path: 'a.txt', bytes: Buffer.from('first'), mode: 0o644 }],
    });
    const mounts = [{ volume: 'config', mountPath: '/etc/config', readOnly: true }];
    const id = await run(
      '[ "$PWD" = "$KABUKI_ROOT" ] && cat etc/config/a.txt "$KABUKI_VOLUME_CONFIG/a.txt"',
      { mounts },
    );
    assert.equal(await outcome(id), 'firstfirst\n');
  });

  it('replaces the files of a volume all at once', async () => {
    const write = (files: Record<string, string>) =>
      runtime.writeVolume('uid-1', {
        type: 'files',
        name: 'config',
        files: Object.entries(files).map(([path, text]) => ({ path, bytes: Buffer.from(text), mode: 0o600 })),
      });
    await write({ 'a.txt': '1', 'sub/b.txt': '2' });
    await write({ 'a.txt': '3', 'c.txt': '4' });
    const folder = join(dataDir, 'pods/uid-1/volumes/config');
    assert.equal(readFileSync(join(folder, 'a.txt'), 'utf8'), '3');
    assert.deepEqual(
      readdirSync(folder)
        .filter((name) => !name.startsWith('..'))
        .sort(),
      ['a.txt', 'c.txt'],
    );
    await assert.rejects(write({ '../evil': 'x' }), { code: 'BadVolume' });
  });

  it('never puts a link in the place of what a volume holds', async () => {
    await runtime.close();
    runtime = new ProcessRuntime({ dataDir, clock: realClock, random: realRandom, mounts: 'links' });
    await runtime.start();
    const precious = newFolder();
    readdirSync(precious);
    await runtime.writeVolume('uid-1', { type: 'host', name: 'host', path: precious, check: 'Directory' });
    await runtime.writeVolume('uid-1', {
      type: 'host',
      name: 'inner',
      path: `${precious}/data`,
      check: 'DirectoryOrCreate',
    });
    await assert.rejects(
      runtime.create(
        await configOf(runtime, {
          mounts: [
            { volume: 'host', mountPath: '/mnt', readOnly: false },
            { volume: 'inner', mountPath: '/mnt/data', readOnly: false },
          ],
        }),
      ),
      { code: 'BadVolume' },
    );
    assert.deepEqual(readdirSync(precious), ['data']);
  });

  it('reports a program that is not there as StartError', async () => {
    const id = await run('', { argv: ['no-such-program-here'] });
    const record = runtime.get(id)!;
    assert.equal(record.state, 'exited');
    assert.equal(record.exitCode, 128);
    assert.equal(record.reason, 'StartError');
    assert.match(record.message!, /executable file not found in \$PATH/);
  });

  it('keeps the termination message', async () => {
    const id = await run('echo because > "$KABUKI_ROOT/dev/termination-log"; exit 1');
    await outcome(id);
    assert.equal(runtime.get(id)?.message, 'because\n');
  });

  it('ends what the first process of a container leaves behind', async () => {
    const log = await outcome(await run('sleep 1000 & echo $!'));
    await until('the child has ended', () => !isAlive(Number(log)));
  });

  it('gives exec the environment and folder of the container, and its stdin', async () => {
    const id = await run('exec sleep 1000', { env: [['WHO', 'me']] });
    const streams = await runtime.exec(id, {
      command: ['sh', '-c', 'cat; echo $WHO; exit 7'],
      stdin: true,
      tty: false,
    });
    await streams.write(Buffer.from('typed '));
    streams.endInput();
    assert.deepEqual(await collect(streams, 1000), { exitCode: 7, output: 'typed me\n' });
  });

  it('makes an exec wait whose output nobody takes, and loses nothing', async () => {
    const id = await run('exec sleep 1000');
    const command = ['sh', '-c', 'dd if=/dev/zero bs=65536 count=160 2>/dev/null'];
    const streams = await runtime.exec(id, { command, stdin: false, tty: false });
    let size = 0;
    for await (const { bytes } of streams.output) size += bytes.length;
    assert.equal(size, 160 * 65536);
  });

  it('ends containers that a killed kubelet left running, and nothing else', async () => {
    const program = fileURLToPath(new URL('./runtime-program.js', import.meta.url));
    const folder = newFolder();
    const kubelet = fork(program, [folder], { stdio: 'inherit' });
    const pid = await new Promise<number>((resolve) =>
      kubelet.once('message', (value) => resolve(value as number)),
    );
    const stranger = spawn('sleep', ['1000'], { stdio: 'ignore' });
    kubelet.kill('SIGKILL');
    await new Promise((resolve) => kubelet.once('exit', resolve));
    assert.ok(isAlive(pid), 'the container outlives its kubelet');
    const next = new ProcessRuntime({ dataDir: folder, clock: realClock, random: realRandom });
    await next.start();
    await until('the container has ended', () => !isAlive(pid));
    assert.equal(next.list()[0]?.reason, 'ContainerStatusUnknown');
    assert.ok(isAlive(stranger.pid!));
    stranger.kill('SIGKILL');
    assert.equal(endLeftoverContainers(folder), 0);
  });

  it('stands in for a web server image', async () => {
    const image = await runtime.resolveImage({
      image: 'nginx:1.27',
      pullPolicy: 'Always',
      hasCommand: false,
      port: 18431,
    });
    assert.match(image.standIn!, /stands in/);
    const id = await run('', {
      image,
      argv: image.entrypoint,
      env: [
        ['HOSTNAME', 'web-1'],
        ['POD_IP', '127.64.200.7'],
      ],
    });
    await until('it listens', async () =>
      (await logOf(runtime, id)).includes('listening on 127.64.200.7:18431'),
    );
    const page = await new Promise<string>((resolve, reject) => {
      get('http://127.64.200.7:18431/', (response) => {
        let text = '';
        response.on('data', (bytes) => (text += bytes));
        response.on('end', () => resolve(text));
      }).on('error', reject);
    });
    assert.match(page, /nginx:1\.27/);
    assert.match(page, /pod web-1 on node node-1/);
    await runtime.stop(id, 5000);
    assert.equal(runtime.get(id)?.exitCode, 0);
  });

  it('says what to do about an image that it cannot stand in for', async () => {
    const request = {
      image: 'ghcr.io/acme/app:1',
      pullPolicy: 'IfNotPresent',
      hasCommand: false,
      port: undefined,
    } as const;
    await assert.rejects(runtime.resolveImage(request), {
      reason: 'ErrImagePull',
      message: /Give the container a command/,
    });
    assert.equal((await runtime.resolveImage({ ...request, hasCommand: true })).imageId, 'host://');
    await assert.rejects(runtime.resolveImage({ ...request, image: 'Not/An Image' }), {
      reason: 'InvalidImageName',
    });
  });
});
