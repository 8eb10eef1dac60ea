import assert from 'node:assert/strict';
import { afterEach } from 'mocha';
import { fencingHeader } from '../../../actors/apiserver/request.js';
import { StoreError } from '../../../actors/store/index.js';
import { type Json, serverWorld, type ServerWorld } from './server-world.js';

const configMaps = '/api/v1/namespaces/default/configmaps';
const deployments = '/apis/apps/v1/namespaces/default/deployments';
const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
const services = '/api/v1/namespaces/default/services';
const pods = '/api/v1/namespaces/default/pods';

const deployment = (name: string, replicas = 1) => ({
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
  },
});

describe('writes', () => {
  let cluster: ServerWorld;
  beforeEach(async () => {
    cluster = await serverWorld({ authorizer: 'always-allow' });
  });
  afterEach(() => cluster.world.end());

  const merge = (url: string, body: object, headers: Record<string, string> = {}) =>
    cluster.call('PATCH', url, {
      body,
      headers: { 'content-type': 'application/merge-patch+json', ...headers },
    });

  it('generateName gives different names of five signs more', async () => {
    const one = await cluster.create(configMaps, { metadata: { generateName: 'g-' } });
    const two = await cluster.create(configMaps, { metadata: { generateName: 'g-' } });
    assert.match(one.metadata.name, /^g-[b-z0-9]{5}$/);
    assert.notEqual(one.metadata.name, two.metadata.name);
  });

  it('generation counts changes of the spec, not of metadata or status', async () => {
    const url = `${deployments}/web`;
    const created = await cluster.create(deployments, { ...deployment('web'), status: { replicas: 7 } });
    assert.equal(created.metadata.generation, 1);
    assert.equal(created.status?.replicas, undefined);
    const labelled = await merge(url, { metadata: { labels: { a: 'b' } } });
    assert.equal(labelled.json.metadata.generation, 1);
    const scaled = await merge(url, { spec: { replicas: 3 }, status: { replicas: 9 } });
    assert.equal(scaled.json.metadata.generation, 2);
    assert.equal(scaled.json.status?.replicas, undefined);
    const status = await merge(`${url}/status`, { spec: { replicas: 5 }, status: { replicas: 3 } });
    assert.equal(status.json.metadata.generation, 2);
    assert.equal(status.json.spec.replicas, 3);
    assert.equal(status.json.status.replicas, 3);
  });

  it('the scale subresource shows and sets replicas', async () => {
    await cluster.create(deployments, deployment('web', 2));
    const scale = (await cluster.call('GET', `${deployments}/web/scale`)).json;
    assert.equal(scale.kind, 'Scale');
    assert.equal(scale.apiVersion, 'autoscaling/v1');
    assert.equal(scale.spec.replicas, 2);
    assert.equal(scale.status.selector, 'app=web');
    const patched = await merge(`${deployments}/web/scale`, { spec: { replicas: 4 } });
    assert.equal(patched.json.spec.replicas, 4);
    const put = await cluster.call('PUT', `${deployments}/web/scale`, { body: scale });
    assert.equal(put.status, 409);
    const { json } = await cluster.call('GET', `${deployments}/web`);
    assert.equal(json.spec.replicas, 4);
    assert.equal(json.metadata.generation, 2);
  });

  it('a namespace that does not exist takes nothing', async () => {
    const answer = await cluster.call('POST', '/api/v1/namespaces/nowhere/configmaps', {
      body: { metadata: { name: 'a' } },
    });
    assert.equal(answer.status, 404);
    assert.equal(answer.json.message, 'namespaces "nowhere" not found');
  });

  it('unknown fields are refused under Strict, warned of by default', async () => {
    const body = { metadata: { name: 'a' }, data: {}, dada: {} };
    const strict = await cluster.call('POST', `${configMaps}?fieldValidation=Strict`, { body });
    assert.equal(strict.status, 400);
    assert.match(strict.json.message, /unknown field "dada"/);
    const warned = await cluster.call('POST', configMaps, { body });
    assert.equal(warned.status, 201);
    assert.match(warned.headers['warning'] ?? '', /^299 - "unknown field \\"dada\\""$/);
  });

  it('a body over the limit is 413, one of another kind 400, one that is no object 400', async () => {
    const large = await cluster.call('POST', configMaps, { body: 'x'.repeat(3 * 1024 * 1024 + 1) });
    assert.equal(large.status, 413);
    assert.equal(large.json.reason, 'RequestEntityTooLarge');
    const other = await cluster.call('POST', configMaps, {
      body: { kind: 'Secret', metadata: { name: 'a' } },
    });
    assert.equal(other.status, 400);
    assert.equal((await cluster.call('POST', configMaps, { body: '[1]' })).status, 400);
    assert.equal((await cluster.call('POST', configMaps, { body: '{' })).status, 400);
  });

  it('methods and paths that do not exist are 405 and 404 with a Status', async () => {
    const put = await cluster.call('PUT', configMaps, { body: {} });
    assert.equal(put.status, 405);
    const path = await cluster.call('GET', '/api/v1/namespaces/default/unicorns');
    assert.equal(path.status, 404);
    assert.equal(path.json.message, 'the server could not find the requested resource');
    const proxy = await cluster.call('GET', `${pods}/a/proxy`);
    assert.equal(proxy.status, 501);
  });

  it('PUT of a Lease that is not there creates it; of a ConfigMap it is 404', async () => {
    const lease = await cluster.call('PUT', `${leases}/l`, { body: { metadata: { name: 'l' }, spec: {} } });
    assert.equal(lease.status, 201);
    const map = await cluster.call('PUT', `${configMaps}/m`, { body: { metadata: { name: 'm' } } });
    assert.equal(map.status, 404);
  });

  it('a store that gives no answer to a write is 504, and 503 when it certainly did nothing', async () => {
    cluster.store.failure = new StoreError('Timeout', 'no answer', false);
    const unknown = await cluster.call('POST', configMaps, { body: { metadata: { name: 'a' } } });
    assert.equal(unknown.status, 504);
    // client-go repeats whatever comes with Retry-After: a write that may have happened, or ten long waits in silence.
    assert.equal(unknown.headers['retry-after'], undefined);
    cluster.store.failure = new StoreError('NoLeader', 'no leader', true);
    const refused = await cluster.call('POST', configMaps, { body: { metadata: { name: 'a' } } });
    assert.equal(refused.status, 503);
    assert.equal(refused.headers['retry-after'], undefined);
  });

  describe('fencing', () => {
    const lease = (holderIdentity: string, leaseTransitions: number) => ({
      metadata: { name: 'kube-scheduler' },
      spec: { holderIdentity, leaseTransitions },
    });
    const write = (holder: string) =>
      cluster.call('POST', configMaps, {
        body: { metadata: { generateName: 'w-' } },
        headers: { [fencingHeader]: `kube-system/kube-scheduler=${holder}` },
      });

    it('a writer writes while it holds the lease, and 409 once another does', async () => {
      const created = await cluster.create(leases, lease('one', 0));
      assert.equal((await write('one/0')).status, 201);
      const taken = await cluster.call('PUT', `${leases}/kube-scheduler`, {
        body: { ...lease('two', 1), metadata: created.metadata },
      });
      assert.equal(taken.status, 200);
      const deposed = await write('one/0');
      assert.equal(deposed.status, 409);
      assert.equal(deposed.json.reason, 'Conflict');
      assert.equal(deposed.json.details.causes[0].reason, 'FencingTokenMismatch');
      assert.equal((await write('two/1')).status, 201);
    });

    it('a deleted lease fences everybody off', async () => {
      await cluster.create(leases, lease('one', 0));
      await cluster.call('DELETE', `${leases}/kube-scheduler`);
      assert.equal((await write('one/0')).status, 409);
    });

    it('a renewal that changes neither holder nor transitions leaves the fence alone', async () => {
      await cluster.create(leases, lease('one', 0));
      await merge(`${leases}/kube-scheduler`, { spec: { renewTime: '2026-01-01T00:00:00.000000Z' } });
      assert.equal((await write('one/0')).status, 201);
    });

    it('a header that is no fence is 400', async () => {
      const answer = await cluster.call('POST', configMaps, {
        body: { metadata: { name: 'a' } },
        headers: { [fencingHeader]: 'nonsense' },
      });
      assert.equal(answer.status, 400);
    });
  });

  describe('services', () => {
    const service = (name: string, spec: object = {}) => ({
      metadata: { name },
      spec: { ports: [{ port: 80 }], selector: { app: 'x' }, ...spec },
    });

    it('get an address of the range, and node ports when they ask', async () => {
      const created = await cluster.create(services, service('a', { type: 'NodePort' }));
      assert.match(created.spec.clusterIP, /^10\.(9[6-9]|10\d|11[01])\./);
      assert.deepEqual(created.spec.clusterIPs, [created.spec.clusterIP]);
      const port = created.spec.ports[0].nodePort;
      assert.ok(port >= 30_000 && port <= 32_767);
    });

    it('never share an address, though the cache is behind', async () => {
      cluster.store.held = true;
      const first = await cluster.create(services, service('a', { clusterIP: '10.96.0.50' }));
      const second = await cluster.call('POST', services, {
        body: service('b', { clusterIP: '10.96.0.50' }),
      });
      assert.equal(first.spec.clusterIP, '10.96.0.50');
      assert.equal(second.status, 422);
      assert.match(second.json.message, /provided IP is already allocated/);
    });

    it('give back what they held', async () => {
      await cluster.create(services, service('a', { clusterIP: '10.96.0.50' }));
      await cluster.call('DELETE', `${services}/a`);
      await cluster.create(services, service('b', { clusterIP: '10.96.0.50' }));
    });

    it('keep their address through an update that leaves it out', async () => {
      const created = await cluster.create(services, service('a'));
      const put = await cluster.call('PUT', `${services}/a`, {
        body: service('a', { ports: [{ port: 81 }] }),
      });
      assert.equal(put.status, 200, put.text);
      assert.equal(put.json.spec.clusterIP, created.spec.clusterIP);
    });

    it('headless and external ones get none', async () => {
      const headless = await cluster.create(services, service('a', { clusterIP: 'None' }));
      assert.deepEqual(headless.spec.clusterIPs, ['None']);
      const external = await cluster.create(
        services,
        service('b', { type: 'ExternalName', externalName: 'example.org', ports: undefined }),
      );
      assert.equal(external.spec.clusterIP, undefined);
    });

    it('outside of the range they are refused', async () => {
      const answer = await cluster.call('POST', services, {
        body: service('a', { clusterIP: '192.168.0.1' }),
      });
      assert.equal(answer.status, 422);
      assert.match(answer.json.message, /The range of valid IPs is 10.96.0.0\/12/);
    });

    it('the last free address is found, and a full range says so', async () => {
      const small = await serverWorld({ authorizer: 'always-allow', serviceCidr: '10.0.0.0/29' });
      const given = new Set<string>();
      for (const name of ['a', 'b', 'c', 'd', 'e']) {
        given.add((await small.create(services, service(name))).spec.clusterIP);
      }
      assert.equal(given.size, 5);
      const full = await small.call('POST', services, { body: service('f') });
      assert.match(full.json.message, /range is full/);
      await small.world.end();
    });
  });

  describe('pods', () => {
    const pod = (name: string) => ({
      metadata: { name, labels: { app: 'x' } },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    });

    it('are Pending, tolerate lost nodes for five minutes and have a priority and an account', async () => {
      const created = await cluster.create(pods, pod('a'));
      assert.equal(created.status.phase, 'Pending');
      assert.equal(created.spec.serviceAccountName, 'default');
      assert.equal(created.spec.priority, 0);
      assert.deepEqual(
        created.spec.tolerations.map((each: Json) => [each.key, each.tolerationSeconds]),
        [
          ['node.kubernetes.io/not-ready', 300],
          ['node.kubernetes.io/unreachable', 300],
        ],
      );
    });

    it('are bound once', async () => {
      await cluster.create(pods, pod('a'));
      const bind = (node: string) =>
        cluster.call('POST', `${pods}/a/binding`, {
          body: { metadata: { name: 'a' }, target: { kind: 'Node', name: node } },
        });
      assert.equal((await bind('n1')).status, 201);
      const { json } = await cluster.call('GET', `${pods}/a`);
      assert.equal(json.spec.nodeName, 'n1');
      assert.equal(json.status.conditions[0].type, 'PodScheduled');
      const again = await bind('n2');
      assert.equal(again.status, 409);
      assert.match(again.json.message, /pod a is already assigned to node "n1"/);
    });

    it('take a priority class, and refuse one that does not exist', async () => {
      const body = { ...pod('a'), spec: { ...pod('a').spec, priorityClassName: 'system-node-critical' } };
      assert.equal((await cluster.create(pods, body)).spec.priority, 2_000_001_000);
      const unknown = await cluster.call('POST', pods, {
        body: { ...pod('b'), spec: { ...pod('b').spec, priorityClassName: 'nope' } },
      });
      assert.equal(unknown.status, 403);
      assert.match(unknown.json.message, /no PriorityClass with name nope was found/);
    });

    it('are evicted as far as their disruption budget allows', async () => {
      const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';
      for (const name of ['a', 'b']) {
        await cluster.create(pods, pod(name));
        await merge(`${pods}/${name}/status`, {
          status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
        });
      }
      await cluster.create(budgets, {
        metadata: { name: 'pdb' },
        spec: { minAvailable: 1, selector: { matchLabels: { app: 'x' } } },
      });
      const evict = (name: string) =>
        cluster.call('POST', `${pods}/${name}/eviction`, { body: { metadata: { name } } });
      const early = await evict('a');
      assert.equal(early.status, 429);
      assert.match(early.json.details.causes[0].message, /still being processed/);
      await merge(`${budgets}/pdb/status`, {
        status: {
          observedGeneration: 1,
          disruptionsAllowed: 1,
          currentHealthy: 2,
          desiredHealthy: 1,
          expectedPods: 2,
        },
      });
      assert.equal((await evict('a')).status, 201);
      const refused = await evict('b');
      assert.equal(refused.status, 429);
      assert.equal(refused.json.details.causes[0].reason, 'DisruptionBudget');
      assert.equal((await cluster.call('GET', `${pods}/b`)).status, 200);
    });
  });
});
