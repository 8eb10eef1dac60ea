/**
 * Volumes at their mount paths, as root and as another user: the suite runs itself again through setpriv if it can. Where
 * the machine allows no mount namespaces it skips, with a line that says why.
 */
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { collect, type ContainerConfig, ProcessRuntime } from '../../../actors/kubelet/index.js';
import { realClock, realRandom } from '../../../actors/runtime/index.js';
import { configOf, logOf, outcomeOf, runtimeCases } from './container-runtime.case.js';
import { scratchFolders } from './scratch-folders.js';
import { until } from './until.js';

const isRoot = process.getuid?.() === 0;
const newFolder = scratchFolders();

const newRuntime = (dataDir = newFolder()) =>
  new ProcessRuntime({ dataDir, clock: realClock, random: realRandom });
const mount = (volume: string, mountPath: string, parts: object = {}) => ({
  volume,
  mountPath,
  readOnly: false,
  ...parts,
});

async function withVolumes(runtime: ProcessRuntime): Promise<void> {
  const file = (path: string, text: string, mode = 0o644) => ({ path, bytes: Buffer.from(text), mode });
  await runtime.writeVolume('uid-1', {
    type: 'files',
    name: 'config',
    files: [file('key', 'value'), file('run.sh', '#!/bin/sh\necho ran', 0o755), file('secret', 's', 0o400)],
  });
  await runtime.writeVolume('uid-1', { type: 'empty', name: 'scratch' });
}

/** Mounts of this machine that a runtime may have left behind, in our own namespace. */
const mountsBelow = (folder: string): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(folder));

describe(`mount views as ${isRoot ? 'root' : 'an ordinary user'}`, () => {
  let runtime: ProcessRuntime;
  let dataDir: string;
  beforeEach(async function () {
    dataDir = newFolder();
    runtime = newRuntime(dataDir);
    await runtime.start();
    if (runtime.mountPlacement !== 'mountPath') {
      console.log(`      skipped: ${runtime.isolation}`);
      this.skip();
    }
    await withVolumes(runtime);
  });
  afterEach(() => runtime.close());

  let attempt = 0;
  const run = async (
    script: string,
    mounts: ContainerConfig['mounts'],
    parts: Partial<ContainerConfig> = {},
  ) => {
    attempt += 1;
    const argv = ['/bin/sh', '-c', script];
    const id = await runtime.create(await configOf(runtime, { argv, mounts, attempt, ...parts }));
    await runtime.startContainer(id);
    return id;
  };
  const output = (id: string): Promise<string> => outcomeOf(runtime, id);

  it('shows a volume where the host has nothing, and leaves nothing there', async () => {
    const paths = [
      '/etc/kabuki-test',
      '/kabuki-test/deep/er',
      '/var/run/secrets/kubernetes.io/serviceaccount',
    ];
    const id = await run(
      paths.map((path) => `cat ${path}/key`).join(' && '),
      paths.map((path) => mount('config', path)),
    );
    assert.equal(await output(id), 'valuevaluevalue\n');
    for (const path of paths.slice(0, 2)) assert.ok(!existsSync(path), `${path} was made on the host`);
    assert.ok(!existsSync('/kabuki-test'));
  });

  it('shows the rest of the host as it is', async () => {
    const id = await run('ls /etc/passwd /proc/self/status /dev/null /tmp >/dev/null && echo all', [
      mount('config', '/etc/kabuki-test'),
    ]);
    assert.equal(await output(id), 'all\n');
  });

  it('refuses writes to a mount that is read-only', async () => {
    const id = await run('echo x > /data/file; echo $?; cat /data/file; echo y > /rw/file; cat /rw/file', [
      mount('scratch', '/data', { readOnly: true }),
      mount('scratch', '/rw'),
    ]);
    assert.match(await output(id), /Read-only file system/);
    assert.match(await logOf(runtime, id), /^[12]$/m);
    assert.match(await logOf(runtime, id), /^y$/m);
  });

  it('mounts a subPath, a single file too', async () => {
    const id = await run('cat /etc/kabuki.conf; echo; echo in > /work-dir/x', [
      mount('config', '/etc/kabuki.conf', { subPath: 'key' }),
      mount('scratch', '/work-dir', { subPath: 'a/b' }),
    ]);
    assert.equal(await output(id), 'value\n');
    const again = await run('cat /all/a/b/x', [mount('scratch', '/all')]);
    assert.equal(await output(again), 'in\n');
  });

  it('mounts one volume inside of another', async () => {
    const id = await run('cat /outer/inner/key && touch /outer/y', [
      mount('config', '/outer/inner'),
      mount('scratch', '/outer'),
    ]);
    assert.equal(await output(id), 'value\n');
  });

  it('brings an update of the files to a running container', async () => {
    const id = await run('while [ "$(cat /etc/live/key)" = value ]; do sleep 0.05; done; cat /etc/live/key', [
      mount('config', '/etc/live'),
    ]);
    await runtime.writeVolume('uid-1', {
      type: 'files',
      name: 'config',
      files: [{ path: 'key', bytes: Buffer.from('changed'), mode: 0o644 }],
    });
    assert.equal(await output(id), 'changed\n');
  });

  it('shares a volume between two containers', async () => {
    const reader = await run('while [ ! -e /in/word ]; do sleep 0.05; done; cat /in/word', [
      mount('scratch', '/in'),
    ]);
    await run('echo shared > /out/word', [mount('scratch', '/out')], { name: 'writer' });
    assert.equal(await output(reader), 'shared\n');
  });

  it('keeps file modes, and runs a program that is in a volume', async () => {
    const id = await run('', [mount('config', '/scripts')], { argv: ['/scripts/run.sh'] });
    assert.equal(await output(id), 'ran\n');
    const modes = await run('stat -L -c %a /c/secret /c/run.sh', [mount('config', '/c')]);
    assert.equal(await output(modes), '400\n755\n');
  });

  it('starts in its working directory, also when that is in a volume', async () => {
    const id = await run('pwd; echo x > here', [mount('scratch', '/place/of/work')], {
      workingDir: '/place/of/work',
    });
    assert.equal(await output(id), '/place/of/work\n');
  });

  it('reads the termination message from where the container wrote it', async () => {
    const id = await run('echo because > /dev/termination-log; exit 4', [mount('scratch', '/data')]);
    await output(id);
    assert.deepEqual([runtime.get(id)?.exitCode, runtime.get(id)?.message], [4, 'because\n']);
    const own = await run('echo why > /data/message', [mount('scratch', '/data')], {
      terminationMessagePath: '/data/message',
    });
    await output(own);
    assert.equal(runtime.get(own)?.message, 'why\n');
  });

  it('is the process of its program: signals, exit code and user are as without mounts', async () => {
    const mounts = [mount('scratch', '/data')];
    const id = await run(
      'trap "exit 9" TERM; id -u; grep CapEff /proc/self/status; while :; do sleep 0.05; done',
      mounts,
    );
    await until('its first lines', async () => /CapEff.*\n/.test(await logOf(runtime, id)));
    await runtime.stop(id, 5000);
    assert.equal(runtime.get(id)?.exitCode, 9);
    const lines = (await logOf(runtime, id)).split('\n');
    assert.equal(lines[0], String(process.getuid?.()));
    if (!isRoot) assert.match(lines[1]!, /CapEff:\s*0+$/);
    const killed = await run('kill -KILL $$', mounts);
    await output(killed);
    assert.equal(runtime.get(killed)?.exitCode, 137);
  });

  it('gives exec the same view, stdin, exit code and working directory', async () => {
    const id = await run(
      'exec sleep 1000',
      [mount('scratch', '/data'), mount('config', '/etc/kabuki-test')],
      {
        workingDir: '/data',
      },
    );
    const script = 'cat > file; cat /etc/kabuki-test/key /data/file; pwd; exit 7';
    const streams = await runtime.exec(id, { command: ['sh', '-c', script], stdin: true, tty: false });
    await streams.write(Buffer.from('-typed-'));
    streams.endInput();
    assert.deepEqual(await collect(streams, 1000), { exitCode: 7, output: 'value-typed-/data\n' });
    const missing = { command: ['no-such-program'], stdin: false, tty: false };
    await assert.rejects(runtime.exec(id, missing), { code: 'NotFound', message: /not found in \$PATH/ });
  });

  it('says why a container cannot start', async () => {
    const absent = await run('', [mount('scratch', '/data')], { argv: ['/data/absent'] });
    assert.equal(runtime.get(absent)?.reason, 'StartError');
    assert.match(runtime.get(absent)?.message ?? '', /no such program in the container/);
    const onFile = await run('true', [mount('scratch', '/etc/passwd')]);
    assert.match(runtime.get(onFile)?.message ?? '', /cannot mount a folder at \/etc\/passwd: it is a file/);
    const inProc = await run('true', [mount('scratch', '/proc/kabuki')]);
    assert.match(runtime.get(inProc)?.message ?? '', /nothing can be made in \/proc/);
  });

  it('shows hostPath volumes, with file systems of the host made read-only if asked', async () => {
    const precious = newFolder();
    writeFileSync(join(precious, 'file'), 'host');
    await runtime.writeVolume('uid-1', { type: 'host', name: 'host', path: precious, check: 'Directory' });
    const id = await run('cat /mnt/host/file; rm /mnt/host/file', [
      mount('host', '/mnt/host', { readOnly: true }),
    ]);
    assert.match(await output(id), /host\n/);
    assert.equal(readFileSync(join(precious, 'file'), 'utf8'), 'host');
  });

  it('gives the volumes to the user that the container runs as', async function () {
    if (!isRoot) this.skip();
    const id = await run('id -u; id -g; echo x > /data/file && cat /data/file', [mount('scratch', '/data')], {
      user: 65534,
      group: 65533,
    });
    assert.equal(await output(id), '65534\n65533\nx\n');
  });

  it('leaves nothing mounted and no files when the pod is gone', async () => {
    const id = await run('exec sleep 1000', [mount('scratch', '/data')]);
    assert.deepEqual(mountsBelow(dataDir), []);
    await runtime.stop(id, 0);
    await runtime.removePod('uid-1');
    assert.deepEqual(runtime.podUids(), []);
    assert.ok(!existsSync(join(dataDir, 'pods/uid-1')));
  });

  it('does the same as another user than root', function () {
    if (!isRoot) this.skip();
    const cache = newFolder();
    chmodSync(cache, 0o777);
    mkdirSync(join(cache, 'tmp'), { mode: 0o777 });
    chmodSync(join(cache, 'tmp'), 0o777);
    const mocha = fileURLToPath(new URL('../../../../node_modules/mocha/bin/mocha.js', import.meta.url));
    const own = ['--reuid', '65534', '--regid', '65534', '--clear-groups'];
    const args = [
      ...own,
      process.execPath,
      mocha,
      '--no-config',
      '--timeout',
      '20000',
      fileURLToPath(import.meta.url),
    ];
    const readable = spawnSync('setpriv', [...own, process.execPath, '--check', mocha]);
    if (readable.status !== 0) {
      console.log('      skipped: user 65534 cannot read this checkout');
      this.skip();
    }
    const env = { ...process.env, HOME: cache, TMPDIR: join(cache, 'tmp') };
    const { status, stdout, stderr } = spawnSync('setpriv', args, { env, cwd: cache, encoding: 'utf8' });
    assert.equal(status, 0, stdout + stderr);
    // Said in the output of this suite, too: whether it could run.
    for (const line of stdout.split('\n'))
      if (/skipped|passing/.test(line)) console.log(`      as nobody:${line}`);
  }).timeout(60_000);
});

runtimeCases('process with mounts', {
  create: async () => {
    const runtime = newRuntime();
    await runtime.start();
    await withVolumes(runtime);
    return runtime;
  },
  config: (behaviour) => {
    const shell = (script: string) => ({
      argv: ['/bin/sh', '-c', script],
      podAnnotations: {},
      mounts: [mount('scratch', '/kabuki-test')],
    });
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
