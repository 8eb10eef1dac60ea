import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../../deploy/wait.js';
import type { Kubectl } from '../harness/kubectl.js';
import { freshNamespace, sharedCluster } from '../harness/shared-cluster.js';

describe('kubectl on pods', function () {
  this.timeout(120_000);
  let kubectl: Kubectl;
  const ready = (pod: string) => kubectl.run('wait', '--for=condition=Ready', `pod/${pod}`, '--timeout=60s');
  const shell = (...script: string[]) => ['--', '/bin/sh', '-c', script.join('; ')];
  before(async () => {
    await sharedCluster();
    kubectl = await freshNamespace('pods');
    await kubectl.run(
      'run',
      'long',
      '--image=busybox',
      '--command',
      ...shell('echo started', 'exec sleep 3600'),
    );
    await ready('long');
  });

  it('run makes a pod, and wait sees it Ready', async () => {
    const said = await kubectl.run('run', 'web', '--image=nginx:1', '--port=8080', '--labels=a=b');
    assert.equal(said, 'pod/web created\n');
    assert.equal(await ready('web'), 'pod/web condition met\n');
    const wide = await kubectl.run('get', 'pod', 'web', '-o', 'wide');
    assert.match(wide, /web +1\/1 +Running +0 +\d+s +127\.[\d.]+ +worker-[12] +<none> +<none>/);
  });

  it('run --rm -i prints what the container prints, and leaves nothing', async () => {
    const said = await kubectl.run(
      'run',
      'once',
      '--image=busybox',
      '--restart=Never',
      '--rm',
      '-i',
      '--command',
      ...shell('sleep 1', 'echo hello from inside'),
    );
    assert.match(said, /hello from inside/);
    assert.equal((await kubectl.try('get', 'pod', 'once')).code, 1);
  });

  it('a pod that ends shows Completed, one that fails Error, one that keeps failing CrashLoopBackOff', async () => {
    await kubectl.run('run', 'good', '--image=busybox', '--restart=Never', '--command', ...shell('exit 0'));
    await kubectl.run('run', 'bad', '--image=busybox', '--restart=Never', '--command', ...shell('exit 3'));
    await kubectl.run('run', 'loop', '--image=busybox', '--command', ...shell('exit 1'));
    await waitFor('the states', 60_000, async () => {
      const text = await kubectl.run('get', 'pods', 'good', 'bad', 'loop');
      return /good.*Completed/.test(text) && /bad.*Error/.test(text) && /loop.*CrashLoopBackOff/.test(text);
    });
    const code = await kubectl.run(
      'get',
      'pod',
      'bad',
      '-o',
      'jsonpath={.status.containerStatuses[0].state.terminated.exitCode}',
    );
    assert.equal(code, '3');
    await kubectl.run('delete', 'pod', 'good', 'bad', 'loop', '--now');
  });

  it('logs, --tail, --timestamps, --previous, -f', async () => {
    const count = 'i=0; while [ $i -lt 5 ]; do echo line $i; i=$((i+1)); done; sleep 2; echo last';
    await kubectl.run('run', 'talker', '--image=busybox', '--restart=Never', '--command', ...shell(count));
    const follow = kubectl.start('logs', '-f', 'talker', '--pod-running-timeout=30s');
    await waitFor('the first lines', 30_000, async () =>
      (await kubectl.try('logs', 'talker')).stdout.includes('line 4'),
    );
    assert.equal(await kubectl.run('logs', 'talker', '--tail=1'), 'line 4\n');
    assert.match(
      await kubectl.run('logs', 'talker', '--timestamps', '--tail=1'),
      /^\d{4}-\d\d-\d\dT[\d:.]+Z line 4\n$/,
    );
    const followed = await follow.outcome;
    if (followed.code === 0) assert.match(followed.stdout, /line 4\nlast\n$/);
    else assert.match(followed.stderr, /ContainerCreating|waiting to start/);
    assert.match(await kubectl.run('logs', 'talker'), /^line 0\n[^]*last\n$/);
    const previous = await kubectl.try('logs', '--previous', 'long');
    assert.match(previous.stderr, /previous terminated container "long" in pod "long" not found/);
  });

  it('exec passes output, errors, input and exit codes', async () => {
    assert.equal(await kubectl.run('exec', 'long', '--', 'echo', 'a b'), 'a b\n');
    const both = await kubectl.try('exec', 'long', ...shell('echo out', 'echo err >&2', 'exit 7'));
    assert.deepEqual([both.code, both.stdout], [7, 'out\n']);
    assert.match(both.stderr, /^err\ncommand terminated with exit code 7\n$/);
    assert.equal(await kubectl.feed('through\n', 'exec', '-i', 'long', '--', 'cat'), 'through\n');
    const missing = await kubectl.try('exec', 'long', '--', 'no-such-program');
    assert.notEqual(missing.code, 0);
  });

  it('exec of a large output loses nothing', async () => {
    const text = await kubectl.run(
      'exec',
      'long',
      ...shell('i=0', 'while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done'),
    );
    assert.equal(text.split('\n').length, 20_001);
    assert(text.endsWith('19999\n'));
  });

  it('the environment has POD_IP, the service variables and what the pod says', async () => {
    const text = await kubectl.run('exec', 'long', '--', 'env');
    for (const line of ['KUBERNETES_SERVICE_HOST=127.', 'HOSTNAME=long', 'POD_IP=127.']) {
      assert(text.includes(line), `${line} in:\n${text}`);
    }
  });

  it('attach follows the output', async () => {
    await kubectl.run(
      'run',
      'ticker',
      '--image=busybox',
      '--command',
      ...shell('while :; do echo tick; sleep 0.2; done'),
    );
    await ready('ticker');
    const attached = kubectl.start('attach', 'ticker');
    try {
      await waitFor('ticks', 20_000, async () => attached.stdout.includes('tick'));
    } finally {
      attached.process.kill();
      await attached.outcome;
    }
    await kubectl.run('delete', 'pod', 'ticker', '--now');
  });

  it('port-forward carries a connection', async () => {
    await kubectl.run('run', 'target', '--image=nginx:1', '--port=8080');
    await ready('target');
    const forward = kubectl.start('port-forward', 'pod/target', ':8080', '--address=127.0.0.1');
    try {
      await waitFor('the port to be open', 20_000, async () => forward.stdout.includes('Forwarding from'));
      const port = /127\.0\.0\.1:(\d+)/.exec(forward.stdout)?.[1];
      const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(10_000) });
      assert.equal(answer.status, 200);
    } finally {
      forward.process.kill();
      await forward.outcome;
    }
  });

  it('cp copies a file in and out', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kabuki-cp-'));
    try {
      writeFileSync(join(folder, 'in'), 'copied\n');
      await kubectl.run('cp', join(folder, 'in'), 'long:there');
      assert.equal(await kubectl.run('exec', 'long', '--', 'cat', 'there'), 'copied\n');
      await kubectl.run('cp', 'long:there', join(folder, 'out'));
      assert.equal(readFileSync(join(folder, 'out'), 'utf8'), 'copied\n');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('configMap, secret and emptyDir volumes are files, and update', async () => {
    await kubectl.run('create', 'configmap', 'settings', '--from-literal=colour=red');
    await kubectl.run('create', 'secret', 'generic', 'hidden', '--from-literal=word=xyzzy');
    const mount = (name: string) => ({ name, mountPath: `/${name}` });
    await kubectl.feed(
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'mounted' },
        spec: {
          containers: [
            {
              name: 'c',
              image: 'busybox',
              command: ['sleep', '3600'],
              env: [{ name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'colour' } } }],
              volumeMounts: [mount('settings'), mount('hidden'), mount('scratch')],
            },
          ],
          volumes: [
            { name: 'settings', configMap: { name: 'settings' } },
            { name: 'hidden', secret: { secretName: 'hidden' } },
            { name: 'scratch', emptyDir: {} },
          ],
        },
      },
      'apply',
      '-f',
      '-',
    );
    await ready('mounted');
    const cat = 'cat $KABUKI_ROOT/settings/colour $KABUKI_ROOT/hidden/word';
    const read = await kubectl.run(
      'exec',
      'mounted',
      ...shell(cat, 'echo " $COLOUR"', 'echo x > $KABUKI_ROOT/scratch/f'),
    );
    assert.equal(read, 'redxyzzy red\n');
  });

  it('events of a pod, in order and by object', async () => {
    const text = await kubectl.run('events', '--for', 'pod/long');
    const reasons = text.split('\n').map((line) => line.trim().split(/\s+/)[2]);
    for (const reason of ['Scheduled', 'Created', 'Started']) assert(reasons.includes(reason), text);
    assert.match(
      await kubectl.run('get', 'events', '--field-selector', 'involvedObject.name=long'),
      /pod\/long/,
    );
  });

  it('a pod that fits nowhere stays Pending, and an event says why per node', async () => {
    await kubectl.run(
      'run',
      'huge',
      '--image=busybox',
      '--overrides={"spec":{"containers":[{"name":"huge","image":"busybox","resources":{"requests":{"cpu":"9999"}}}]}}',
    );
    await waitFor('the event', 20_000, async () =>
      /FailedScheduling.*0\/5 nodes are available/.test(await kubectl.run('get', 'events')),
    );
    assert.match(await kubectl.run('get', 'pod', 'huge'), /huge +0\/1 +Pending/);
    await kubectl.run('delete', 'pod', 'huge', '--now');
  });

  it('delete is graceful, --now is quick, --force does not wait', async () => {
    const trap = "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.1; done";
    await kubectl.run('run', 'polite', '--image=busybox', '--command', ...shell(trap));
    await ready('polite');
    const said = await kubectl.run('delete', 'pod', 'polite');
    assert.match(said, /pod "polite" deleted/);
    await kubectl.run(
      'run',
      'deaf',
      '--image=busybox',
      '--command',
      ...shell("trap '' TERM; while :; do sleep 0.1; done"),
    );
    await ready('deaf');
    await kubectl.run('delete', 'pod', 'deaf', '--force', '--grace-period=0');
    assert.equal((await kubectl.try('get', 'pod', 'deaf')).code, 1);
  });
});
