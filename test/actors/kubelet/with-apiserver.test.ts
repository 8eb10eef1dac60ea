import { strict as assert } from 'node:assert';
import { apiserverActor } from '../../../actors/apiserver/index.js';
import type { ApiServerMessage } from '../../../actors/apiserver/messages.js';
import { createApiClient, createInformerFactory } from '../../../actors/client/index.js';
import {
  kubeletSpec,
  SimulatedRuntime,
  simulatedPodNetwork,
  type StaticManifest,
} from '../../../actors/kubelet/index.js';
import { proxySpec, SimulatedServiceProxy } from '../../../actors/proxy/index.js';
import { actorRef } from '../../../actors/runtime/index.js';
import { nodeId } from '../../../transport/index.js';
import { admin, type Json, serverWorld, type ServerWorld } from '../apiserver/server-world.js';
import { facts } from './kubelet-bench.js';

/** The real apiserver, kubelet and proxy in virtual time; only containers and sockets are simulated. */
describe('kubelet and proxy with the apiserver', () => {
  let api: ServerWorld;
  let proxy: SimulatedServiceProxy;
  let runtime: SimulatedRuntime;
  const pods = '/api/v1/namespaces/default/pods';

  async function start(manifests: readonly StaticManifest[] = []): Promise<void> {
    api = await serverWorld();
    const { system } = api;
    system.spawn(apiserverActor({ handler: api.server, identify: () => admin }));
    const server = actorRef<ApiServerMessage>(nodeId('master-1'), '/apiserver');
    const client = createApiClient({ system, apiservers: [server], userAgent: 'kubelet' });
    const informers = createInformerFactory({ system, client });
    const { clock, random } = system.env;
    runtime = new SimulatedRuntime({ clock, random });
    proxy = new SimulatedServiceProxy();
    system.spawn(
      kubeletSpec({
        system,
        client,
        informers,
        runtime,
        network: simulatedPodNetwork,
        facts,
        nodeName: 'master-1',
        nodeIP: '127.0.0.1',
        podCidr: '127.64.1.0/24',
        staticPods: { read: async () => manifests },
      }),
    );
    system.spawn(proxySpec({ system, client, informers, proxy, nodeName: 'master-1', nodeIP: '127.0.0.1' }));
  }

  async function until(url: string, wanted: (object: Json, status: number) => boolean): Promise<Json> {
    const { clock } = api.system.env;
    const end = clock.monotonicMs() + 120_000;
    for (;;) {
      const { json, status } = await api.call('GET', url);
      if (wanted(json, status)) return json;
      assert.ok(clock.monotonicMs() < end, `not seen at ${url}: ${JSON.stringify(json, null, 1)}`);
      const next = clock.monotonicMs() + 50;
      await api.world.until(() => clock.monotonicMs() >= next);
    }
  }
  const condition = (object: Json, type: string): string | undefined =>
    object.status?.conditions?.find((one: Json) => one.type === type)?.status;
  const pod = (name: string, spec: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      nodeName: 'master-1',
      terminationGracePeriodSeconds: 5,
      containers: [{ name: 'main', image: 'app:1' }],
      ...spec,
    },
  });

  it('registers the node and renews its lease', async () => {
    await start();
    const node = await until('/api/v1/nodes/master-1', (object) => condition(object, 'Ready') === 'True');
    assert.equal(node.status.capacity.cpu, '4');
    const lease = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/master-1';
    const first = await until(lease, (_object, status) => status === 200);
    await until(lease, (object) => object.spec.renewTime !== first.spec.renewTime);
    const again = await until('/api/v1/nodes/master-1', () => true);
    assert.equal(again.metadata.resourceVersion, node.metadata.resourceVersion);
  });

  it('takes a pod from creation to running to gone', async () => {
    await start();
    await api.create(pods, pod('a'));
    const running = await until(`${pods}/a`, (object) => condition(object, 'Ready') === 'True');
    assert.equal(running.status.phase, 'Running');
    assert.equal(running.status.podIP, '127.64.1.1');
    assert.equal(running.status.containerStatuses[0].ready, true);
    assert.equal(running.status.qosClass, 'BestEffort');
    assert.equal(running.status.conditions.length, 5);
    await api.call('DELETE', `${pods}/a`);
    await until(`${pods}/a`, (_object, status) => status === 404);
    assert.deepEqual(runtime.podUids(), []);
    const events = await api.call('GET', '/api/v1/namespaces/default/events');
    const reasons = events.json.items.map((event: Json) => event.reason);
    for (const reason of ['Pulled', 'Created', 'Started', 'Killing'])
      assert.ok(reasons.includes(reason), reason);
  });

  it('lets a finished pod show its end and removes reasons that hold no more', async () => {
    await start();
    const once = pod('once', { restartPolicy: 'Never' });
    await api.create(pods, {
      ...once,
      metadata: { name: 'once', annotations: { 'simulated.kabuki.dev/exit-after-ms': '500' } },
    });
    await until(`${pods}/once`, (object) => condition(object, 'Ready') === 'True');
    const ended = await until(`${pods}/once`, (object) => object.status.phase === 'Succeeded');
    assert.equal(ended.status.containerStatuses[0].state.terminated.reason, 'Completed');
    const ready = ended.status.conditions.find((one: Json) => one.type === 'Ready');
    assert.equal(ready.reason, 'PodCompleted');
    assert.equal(ready.message, undefined);
  });

  it('mirrors static pods', async () => {
    const manifest = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web', namespace: 'kube-system' },
      spec: { containers: [{ name: 'web', image: 'app:1' }] },
    };
    await start([{ file: 'web.yaml', manifest }]);
    const url = '/api/v1/namespaces/kube-system/pods/web-master-1';
    const mirror = await until(
      url,
      (object, status) => status === 200 && condition(object, 'Ready') === 'True',
    );
    assert.equal(mirror.metadata.ownerReferences[0].kind, 'Node');
    await api.call('DELETE', url);
    await until(url, (object, status) => status === 200 && object.metadata.uid !== mirror.metadata.uid);
  });

  it('serves a service by its slices', async () => {
    await start();
    await api.create('/api/v1/namespaces/default/services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
    });
    const slice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      ports: [{ name: '', port: 8080, protocol: 'TCP' }],
      endpoints: [{ addresses: ['127.64.1.9'], conditions: { ready: true } }],
    };
    await api.create('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', slice);
    await api.world.until(() => proxy.listeners.some(({ service }) => service === 'default/web'));
    const listener = proxy.listeners.find(({ service }) => service === 'default/web')!;
    assert.equal(listener.port, 80);
    assert.match(listener.address, /^\d+\.\d+\.\d+\.\d+$/);
    assert.deepEqual(listener.backends, [{ address: '127.64.1.9', port: 8080 }]);
  });
});
