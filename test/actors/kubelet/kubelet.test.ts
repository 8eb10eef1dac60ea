import { strict as assert } from 'node:assert';
import { pods } from '../../../actors/client/index.js';
import type {
  KubeletMessage,
  KubeletReply,
  PodNetwork,
  StaticManifest,
} from '../../../actors/kubelet/index.js';
import { actorRef } from '../../../actors/runtime/index.js';
import { simulatedPodNetwork } from '../../../actors/kubelet/index.js';
import { Bench, type BenchOptions, isTrue, mainStatus } from './kubelet-bench.js';

const simulated = (key: string, value: number) => ({ [`simulated.kabuki.dev/${key}`]: String(value) });

describe('kubelet', () => {
  let bench: Bench;
  const start = (options: BenchOptions = {}) => {
    bench = new Bench(options);
  };
  afterEach(() => bench.end());

  it('registers its node, ready, with what it has and its taints', async () => {
    start({ taints: [{ key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }] });
    await bench.world.until(() => bench.api.writes.some((write) => write.startsWith('status nodes')));
    const node = await bench.node();
    assert.equal(node.metadata?.labels?.['kubernetes.io/hostname'], 'worker-1');
    assert.equal(node.spec?.podCIDR, '127.64.9.0/24');
    assert.equal(node.spec?.taints?.length, 1);
    assert.equal(node.status?.conditions?.find(({ type }) => type === 'Ready')?.status, 'True');
    assert.equal(node.status?.capacity?.['cpu'], '4');
    assert.match(node.status?.nodeInfo?.kubeletVersion ?? '', /^v1\.36/);
  });

  it('is not ended by letters from other machines that are malformed, or none of their business', async () => {
    start();
    await bench.add();
    await bench.running();
    const master = bench.world.system('master-9');
    const kubelet = actorRef<KubeletMessage>(bench.system.node, '/kubelet');
    const replies: KubeletReply[] = [];
    const { ref: replyTo } = master.callback<KubeletReply>('test', (reply) => replies.push(reply));
    const target = { namespace: 'default', pod: 'nobody' };
    const logs = { type: 'KubeletLogs', sessionId: 's', target, options: {}, replyTo, credit: 1 };
    const malformed: readonly object[] = [
      { ...logs, target: undefined },
      { ...logs, options: { tailLines: 'all' } },
      { ...logs, type: 'KubeletExec', command: [1] },
      { ...logs, credit: Number.NaN },
      { ...logs, replyTo: {} },
      { type: 'KubeletInput', sessionId: 's', bytes: 'text' },
      { type: 'KubeletCredit', sessionId: 's' },
      { type: 'KubeletCrashed', error: new Error('not yours to say') },
      { type: 'PodFinished' },
      { type: 'StaticRead' },
    ];
    const before = bench.system.deadLetterCount;
    for (const letter of malformed) master.tell(kubelet, letter as KubeletMessage);
    await bench.world.until(() => bench.system.deadLetterCount === before + malformed.length);
    await bench.world.until(() => replies.length === 4);
    assert.ok(replies.every((reply) => reply.type === 'KubeletEnded' && reply.error?.status === 400));
    master.tell(kubelet, logs as KubeletMessage);
    await bench.world.until(() => replies.length === 5);
    const last = replies.at(-1);
    assert.equal(last?.type === 'KubeletEnded' && last.error?.reason, 'NotFound');
    assert.ok(!bench.world.journal.events().some(({ type }) => type === 'crash'));
  });

  it('renews its lease, also when somebody else wrote it', async () => {
    start({ limits: { leaseRenewMs: 100 } });
    await bench.world.quiet();
    const first = await bench.lease();
    assert.equal(first.spec?.holderIdentity, 'worker-1');
    await bench.api.update({ resource: 'leases' } as never, {
      ...first,
      metadata: { ...first.metadata, labels: { a: 'b' } },
    });
    let renewed = first.spec?.renewTime;
    const look = () => {
      void bench.lease().then((lease) => (renewed = lease.spec?.renewTime));
      return renewed !== first.spec?.renewTime;
    };
    await bench.world.until(look);
  });

  it('reports its node anew after it could not renew its lease', async () => {
    start({ limits: { leaseRenewMs: 1000, retryBaseMs: 200 } });
    const reports = () => bench.api.writes.filter((write) => write.startsWith('status nodes')).length;
    await bench.world.until(() => reports() === 1);
    bench.api.down = true;
    const until = bench.system.env.clock.monotonicMs() + 5000;
    await bench.world.until(() => bench.system.env.clock.monotonicMs() > until);
    bench.api.down = false;
    await bench.world.until(() => reports() === 2);
  });

  it('runs a pod and writes its whole status', async () => {
    start();
    await bench.add();
    const pod = (await bench.running())!;
    const { status } = pod;
    assert.equal(status?.phase, 'Running');
    assert.equal(status?.podIP, '127.64.9.1');
    assert.deepEqual(status?.podIPs, [{ ip: '127.64.9.1' }]);
    assert.equal(status?.hostIP, '127.0.0.1');
    assert.equal(status?.qosClass, 'BestEffort');
    assert.equal(status?.observedGeneration, 1);
    assert.ok(status?.startTime);
    const main = mainStatus(pod)!;
    assert.equal(main.ready, true);
    assert.equal(main.started, true);
    assert.equal(main.restartCount, 0);
    assert.ok(main.state?.running?.startedAt);
    assert.match(main.containerID!, /^simulated:\/\//);
    for (const type of [
      'PodScheduled',
      'PodReadyToStartContainers',
      'Initialized',
      'ContainersReady',
      'Ready',
    ]) {
      assert.ok(isTrue(pod, type), type);
    }
    assert.deepEqual(
      bench.api.events('pod-1').map((event) => event.split(':')[0]),
      ['Pulled', 'Created', 'Started'],
    );
  });

  it('writes nothing more while nothing changes', async () => {
    start();
    await bench.add();
    await bench.running();
    const count = () => bench.api.writes.filter((write) => write.includes('pods/')).length;
    const before = count();
    const end = bench.system.env.clock.monotonicMs() + 60_000;
    await bench.world.until(() => bench.system.env.clock.monotonicMs() > end);
    assert.equal(count(), before);
    assert.ok(before <= 3, `${before} status writes for one start`);
  });

  it('keeps restarting a container that crashes, waiting longer each time', async () => {
    start();
    await bench.add({}, { ...simulated('exit-after-ms', 100), ...simulated('exit-code', 2) });
    const clock = bench.system.env.clock;
    const seen: string[] = [];
    for (const restarts of [1, 2, 3]) {
      const pod = await bench.until('the restart', (one) => mainStatus(one)?.restartCount === restarts);
      assert.equal(pod?.status?.phase, 'Running');
      const waiting = await bench.until(
        'CrashLoopBackOff',
        (one) => mainStatus(one)?.state?.waiting?.reason === 'CrashLoopBackOff',
      );
      const main = mainStatus(waiting)!;
      assert.equal(main.lastState?.terminated?.exitCode, 2);
      seen.push(main.state!.waiting!.message!.split(' ')[1]!);
    }
    assert.deepEqual(seen, ['10s', '20s', '40s']);
    assert.ok(clock.monotonicMs() > 30_000);
    assert.ok(
      bench.api
        .events('pod-1')
        .some((event) => event.startsWith('BackOff: Back-off restarting failed container main')),
    );
  });

  it('lets a pod that is done be done', async () => {
    start();
    await bench.add({ restartPolicy: 'Never' }, simulated('exit-after-ms', 100));
    const pod = await bench.until('Succeeded', (one) => one?.status?.phase === 'Succeeded');
    assert.equal(mainStatus(pod)?.state?.terminated?.reason, 'Completed');
    assert.equal(pod?.status?.conditions?.find(({ type }) => type === 'Ready')?.reason, 'PodCompleted');
  });

  it('restarts a failed container under OnFailure, and not one that succeeded', async () => {
    start();
    await bench.add(
      { restartPolicy: 'OnFailure' },
      { ...simulated('exit-after-ms', 50), ...simulated('exit-code', 1) },
      'bad',
    );
    await bench.add({ restartPolicy: 'OnFailure' }, simulated('exit-after-ms', 50), 'good');
    await bench.until('a restart', (pod) => (mainStatus(pod)?.restartCount ?? 0) > 0, 'bad');
    const good = await bench.until('Succeeded', (pod) => pod?.status?.phase === 'Succeeded', 'good');
    assert.equal(mainStatus(good)?.restartCount, 0);
  });

  it('runs init containers in order, sidecars beside the main ones, and stops sidecars last', async () => {
    start();
    const image = 'app:1';
    await bench.add(
      {
        restartPolicy: 'Never',
        initContainers: [
          { name: 'first', image },
          { name: 'side', image, restartPolicy: 'Always' },
          { name: 'second', image },
        ],
      },
      {
        ...simulated('exit-after-ms.first', 1000),
        ...simulated('exit-after-ms.second', 1000),
        ...simulated('exit-after-ms.main', 1000),
      },
    );
    const waiting = await bench.until(
      'first runs',
      (pod) => pod?.status?.initContainerStatuses?.[0]?.state?.running !== undefined,
    );
    assert.equal(waiting?.status?.phase, 'Pending');
    assert.equal(mainStatus(waiting)?.state?.waiting?.reason, 'PodInitializing');
    assert.equal(
      waiting?.status?.conditions?.find(({ type }) => type === 'Initialized')?.message,
      'containers with incomplete status: [first side second]',
    );
    const running = await bench.running();
    assert.equal(running?.status?.initContainerStatuses?.[1]?.started, true);
    const done = await bench.until('Succeeded', (pod) => pod?.status?.phase === 'Succeeded');
    const [first, side, second] = done!.status!.initContainerStatuses!.map(({ state }) => state!.terminated!);
    const main = mainStatus(done)!.state!.terminated!;
    assert.ok(first!.finishedAt! <= side!.startedAt! && second!.finishedAt! <= main.startedAt!);
    assert.ok(side!.finishedAt! >= main.finishedAt!);
  });

  it('fails a pod whose init container fails for good', async () => {
    start();
    await bench.add(
      { restartPolicy: 'Never', initContainers: [{ name: 'init', image: 'app:1' }] },
      { ...simulated('exit-after-ms.init', 10), ...simulated('exit-code.init', 1) },
    );
    const pod = await bench.until('Failed', (one) => one?.status?.phase === 'Failed');
    assert.ok(mainStatus(pod)?.state?.waiting);
  });

  it('waits with ErrImagePull, then ImagePullBackOff, for an image that cannot be had', async () => {
    start();
    await bench.add({ containers: [{ name: 'main', image: 'does-not-exist:1' }] });
    await bench.until('ErrImagePull', (pod) => mainStatus(pod)?.state?.waiting?.reason === 'ErrImagePull');
    const pod = await bench.until(
      'ImagePullBackOff',
      (one) => mainStatus(one)?.state?.waiting?.reason === 'ImagePullBackOff',
    );
    assert.equal(pod?.status?.phase, 'Pending');
  });

  it('deletes a pod only after its containers have had their grace period', async () => {
    start();
    await bench.add({ terminationGracePeriodSeconds: 20 }, simulated('stop-delay-ms', 100_000));
    await bench.running();
    const clock = bench.system.env.clock;
    const from = clock.monotonicMs();
    await bench.api.delete(pods, 'default', 'pod-1');
    await bench.until('gone', (pod) => pod === undefined);
    const took = clock.monotonicMs() - from;
    assert.ok(took >= 20_000 && took < 21_000, `${took} ms`);
    assert.ok(bench.api.events('pod-1').includes('Killing: Stopping container main'));
    assert.deepEqual(bench.runtime.list(), []);
    assert.deepEqual(bench.runtime.podUids(), []);
  });

  it('shortens the grace period when a deletion is hurried', async () => {
    start();
    await bench.add({ terminationGracePeriodSeconds: 600 }, simulated('stop-delay-ms', 1_000_000));
    await bench.running();
    await bench.api.delete(pods, 'default', 'pod-1');
    await bench.until('its container is being stopped', () =>
      bench.api.events('pod-1').some((event) => event.startsWith('Killing')),
    );
    const from = bench.system.env.clock.monotonicMs();
    await bench.api.delete(pods, 'default', 'pod-1', { gracePeriodSeconds: 3 });
    await bench.until('gone', (pod) => pod === undefined);
    assert.ok(bench.system.env.clock.monotonicMs() - from < 5000);
  });

  it('ends the containers of a pod that was deleted by force', async () => {
    start();
    await bench.add();
    await bench.running();
    await bench.api.delete(pods, 'default', 'pod-1', { gracePeriodSeconds: 0 });
    await bench.world.until(() => bench.runtime.podUids().length === 0);
  });

  it('fails a pod that outlives its activeDeadlineSeconds', async () => {
    start();
    await bench.add({ activeDeadlineSeconds: 5 });
    await bench.running();
    const pod = await bench.until('Failed', (one) => one?.status?.phase === 'Failed');
    assert.equal(pod?.status?.reason, 'DeadlineExceeded');
    assert.ok(mainStatus(pod)?.state?.terminated);
  });

  it('marks a pod ready only while its readiness probe passes, and restarts it when liveness fails', async () => {
    let ready = 500;
    let live = 200;
    const network: PodNetwork = {
      ...simulatedPodNetwork,
      http: async ({ path }) => ({ status: path === '/ready' ? ready : live, body: '' }),
    };
    start({ network });
    const probe = (path: string) => ({
      httpGet: { path, port: 8080 },
      periodSeconds: 1,
      failureThreshold: 2,
    });
    await bench.add({
      containers: [
        { name: 'main', image: 'app:1', readinessProbe: probe('/ready'), livenessProbe: probe('/live') },
      ],
    });
    const started = await bench.until('started', (pod) => mainStatus(pod)?.started === true);
    assert.equal(mainStatus(started)?.ready, false);
    ready = 200;
    await bench.running();
    ready = 503;
    await bench.until('unready', (pod) => !isTrue(pod, 'Ready'));
    live = 500;
    await bench.until('a restart', (pod) => mainStatus(pod)?.restartCount === 1);
    const events = bench.api.events('pod-1');
    assert.ok(events.includes('Unhealthy: Liveness probe failed: HTTP probe failed with statuscode: 500'));
    assert.ok(events.includes('Killing: Container main failed liveness probe, will be restarted'));
  });

  it('lets the startup probe pass before the others begin', async () => {
    const asked: string[] = [];
    let up = false;
    const network: PodNetwork = {
      ...simulatedPodNetwork,
      http: async ({ path }) => {
        asked.push(path);
        return { status: path === '/startup' && !up ? 500 : 200, body: '' };
      },
    };
    start({ network });
    const probe = (path: string) => ({ httpGet: { path, port: 1 }, periodSeconds: 1, failureThreshold: 100 });
    await bench.add({
      containers: [
        { name: 'main', image: 'a', startupProbe: probe('/startup'), readinessProbe: probe('/ready') },
      ],
    });
    await bench.world.until(() => asked.length === 5);
    assert.deepEqual([...new Set(asked)], ['/startup']);
    assert.equal(mainStatus(await bench.pod())?.started, false);
    up = true;
    await bench.running();
  });

  it('waits for volumes and says what is missing', async () => {
    start();
    await bench.add({ volumes: [{ name: 'config', configMap: { name: 'settings' } }] });
    await bench.world.until(() => bench.api.events('pod-1').length > 0);
    assert.deepEqual(bench.api.events('pod-1').slice(0, 1), [
      'FailedMount: MountVolume.SetUp failed for volume "config" : configmap "settings" not found',
    ]);
    await bench.api.create({ resource: 'configmaps' } as never, {
      metadata: { name: 'settings', namespace: 'default' },
    });
    await bench.running();
  });

  it('goes on with a pod whose worker crashed, without touching its containers', async () => {
    start();
    await bench.add();
    const before = await bench.running();
    const path = bench.system
      .tree()
      .flatMap((node) => paths(node))
      .find((one) => one.includes('default.pod-1'))!;
    assert.ok(bench.system.crash(path, 'on purpose'));
    await bench.world.until(() =>
      bench.system
        .tree()
        .flatMap((node) => paths(node))
        .some((one) => one.includes('pod-1.1.')),
    );
    await bench.api.delete(pods, 'default', 'pod-1');
    assert.equal(mainStatus(await bench.pod())?.containerID, mainStatus(before)?.containerID);
    await bench.until('gone', (pod) => pod === undefined);
  });

  it('goes on with its pods and their addresses after a crash of its own', async () => {
    start();
    await bench.add({}, {}, 'pod-0');
    await bench.add();
    await bench.running('pod-0');
    const before = await bench.running();
    await bench.api.delete(pods, 'default', 'pod-0');
    await bench.until('gone', (pod) => pod === undefined, 'pod-0');
    assert.ok(bench.system.crash('/kubelet', 'on purpose'));
    await bench.add({}, {}, 'pod-2');
    const other = await bench.running('pod-2');
    const after = await bench.pod();
    assert.equal(mainStatus(after)?.containerID, mainStatus(before)?.containerID);
    assert.equal(mainStatus(after)?.restartCount, 0);
    assert.equal(after?.status?.podIP, before?.status?.podIP);
    assert.notEqual(other?.status?.podIP, after?.status?.podIP);
  });

  it('removes what an earlier life left of pods that are gone', async () => {
    start();
    await bench.runtime.writeVolume('uid-of-nobody', { type: 'empty', name: 'x' });
    await bench.world.until(() => bench.runtime.podUids().length === 0);
  });

  it('refuses more pods than it may have', async () => {
    start({ limits: { podsMax: 1 } });
    await bench.add();
    await bench.running();
    await bench.add({}, {}, 'pod-2');
    const pod = await bench.until('rejected', (one) => one?.status?.phase === 'Failed', 'pod-2');
    assert.equal(pod?.status?.reason, 'OutOfpods');
  });

  it('runs static pods while no apiserver answers, and mirrors them when one does', async () => {
    const manifest = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'etcd', namespace: 'kube-system' },
      spec: { containers: [{ name: 'etcd', image: 'etcd:3' }] },
    };
    let manifests: StaticManifest[] = [{ file: 'etcd.yaml', manifest }];
    start({ manifests: () => manifests, limits: { staticPodIntervalMs: 1000 } });
    bench.api.down = true;
    await bench.world.until(() => bench.runtime.list().some(({ state }) => state === 'running'));
    bench.api.down = false;
    const name = 'etcd-worker-1';
    const mirror = () => bench.api.get(pods, 'kube-system', name).catch(() => undefined);
    const see = async (what: string, wanted: (pod: Awaited<ReturnType<typeof mirror>>) => boolean) => {
      let pod: Awaited<ReturnType<typeof mirror>>;
      await bench.world.until(() => {
        void mirror().then((one) => (pod = one));
        return wanted(pod);
      });
      return pod ?? what;
    };
    await see('ready', (pod) => isTrue(pod, 'Ready'));
    const first = await mirror();
    assert.ok(first?.metadata?.annotations?.['kubernetes.io/config.mirror']);
    assert.equal(first?.metadata?.ownerReferences?.[0]?.kind, 'Node');
    const container = bench.runtime.list()[0]!.id;
    // Deleting the mirror does not touch the pod.
    await bench.api.delete(pods, 'kube-system', name);
    await see(
      'a new mirror',
      (pod) => pod !== undefined && pod.metadata?.uid !== first?.metadata?.uid && isTrue(pod, 'Ready'),
    );
    assert.equal(bench.runtime.list()[0]?.id, container);
    // A manifest that changes is another pod; one that is broken changes nothing; one that is gone is the
    // end.
    manifests = [{ file: 'etcd.yaml', problem: 'half written' }];
    const until = bench.system.env.clock.monotonicMs() + 3000;
    await bench.world.until(() => bench.system.env.clock.monotonicMs() > until);
    assert.equal(bench.runtime.list()[0]?.id, container);
    manifests = [
      {
        file: 'etcd.yaml',
        manifest: { ...manifest, spec: { containers: [{ name: 'etcd', image: 'etcd:4' }] } },
      },
    ];
    await bench.world.until(() =>
      bench.runtime.list().some(({ image, state }) => image === 'etcd:4' && state === 'running'),
    );
    manifests = [];
    await bench.world.until(() => bench.runtime.list().length === 0);
    await see('no mirror', (pod) => pod === undefined);
  });

  it('writes the status when the apiserver is back', async () => {
    start();
    await bench.add({}, simulated('start-delay-ms', 5000));
    await bench.until('seen', (pod) => pod?.status?.podIP !== undefined);
    bench.api.down = true;
    await bench.world.until(() => bench.runtime.list()[0]?.state === 'running');
    bench.api.down = false;
    await bench.running();
  });

  it('takes back its conditions when somebody else changed them', async () => {
    start();
    await bench.add();
    await bench.running();
    await bench.api.patch(pods, 'default', 'pod-1', 'strategic', {
      status: { conditions: [{ type: 'Ready', status: 'False' }] },
    });
    await bench.until('not ready', () => true);
    await bench.running();
  });
});

function paths(node: { readonly path: string; readonly children: readonly unknown[] }): string[] {
  return [node.path, ...node.children.flatMap((child) => paths(child as Parameters<typeof paths>[0]))];
}
