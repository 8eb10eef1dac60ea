import assert from 'node:assert/strict';
import { afterEach } from 'mocha';
import { type Json, serverWorld, type ServerWorld } from './server-world.js';

describe('objects of birth', () => {
  let cluster: ServerWorld;
  afterEach(() => cluster.world.end());

  const addresses = async () => {
    const { json } = await cluster.call('GET', '/api/v1/namespaces/default/endpoints/kubernetes');
    return (json.subsets ?? []).flatMap((subset: Json) =>
      subset.addresses.map((address: Json) => `${address.ip}:${subset.ports[0].port}`),
    ) as string[];
  };

  it('namespaces, roles, priority classes, the service of the apiservers and the service range are there', async () => {
    cluster = await serverWorld({ advertise: { address: '127.0.0.1', port: 6443 } });
    const there = async (url: string) => assert.equal((await cluster.call('GET', url)).status, 200, url);
    for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease']) {
      const { json } = await cluster.call('GET', `/api/v1/namespaces/${name}`);
      assert.equal(json.metadata.labels['kubernetes.io/metadata.name'], name);
      assert.equal(json.status.phase, 'Active');
    }
    await there('/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin');
    await there('/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical');
    await there('/apis/networking.k8s.io/v1/servicecidrs/kubernetes');
    const service = await cluster.call('GET', '/api/v1/namespaces/default/services/kubernetes');
    assert.equal(service.json.spec.clusterIP, '10.96.0.1');
    assert.deepEqual(await addresses(), ['127.0.0.1:6443']);
    await there('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes');
  });

  it('a second apiserver joins the endpoints, and leaves them when it is dead', async () => {
    cluster = await serverWorld({ advertise: { address: '127.0.0.1', port: 6443 } });
    const second = cluster.another({ advertise: { address: '127.0.0.1', port: 6444 } });
    await cluster.world.until(() => second.ready());
    assert.deepEqual(await addresses(), ['127.0.0.1:6443', '127.0.0.1:6444']);
    second.stop();
    let gone = false;
    const expire = () => {
      cluster.store.expireLeases();
      cluster.system.env.clock.setTimer(1_000, expire);
    };
    expire();
    const watch = await cluster.watch(
      '/api/v1/namespaces/default/endpoints?watch=true&fieldSelector=metadata.name%3Dkubernetes',
    );
    await cluster.world.until(() => {
      gone = watch.lines.some(({ object }) => (object['subsets'] as Json)?.length === 1);
      return gone;
    });
    assert.deepEqual(await addresses(), ['127.0.0.1:6443']);
    const slices = (await cluster.call('GET', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices'))
      .json;
    const served = slices.items.flatMap((slice: Json) => (slice.endpoints ?? []).length);
    assert.deepEqual(served, [1, 0]);
  });

  it('a restart changes nothing', async () => {
    cluster = await serverWorld();
    const { writes } = cluster.store;
    const second = cluster.another();
    await cluster.world.until(() => second.ready());
    assert.equal(cluster.store.writes, writes);
  });

  it('events are forgotten after an hour', async () => {
    cluster = await serverWorld();
    const events = '/api/v1/namespaces/default/events';
    await cluster.create(events, { metadata: { name: 'e' }, involvedObject: { namespace: 'default' } });
    cluster.system.env.clock.setTimer(3_700_000, () => cluster.store.expireLeases());
    let passed = false;
    cluster.system.env.clock.setTimer(3_700_100, () => {
      passed = true;
    });
    for (let part = 0; part < 60 && !passed; part += 1) {
      let tick = false;
      cluster.system.env.clock.setTimer(100_000, () => {
        tick = true;
      });
      await cluster.world.until(() => tick);
    }
    assert.equal((await cluster.call('GET', `${events}/e`)).status, 404);
  });
});
