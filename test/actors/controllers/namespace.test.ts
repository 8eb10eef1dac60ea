import { strict as assert } from 'node:assert';
import { deletionOrder, namespaceConditions } from '../../../actors/controllers/namespace-decision.js';
import {
  configMaps,
  deployments,
  isNotFound,
  namespaces,
  pods,
  serviceAccounts,
} from '../../../actors/client/index.js';
import { builtinRegistry } from '../../../actors/objects/index.js';
import { controllersWorld, deployment } from './controllers-world.js';

describe('namespace decision', () => {
  it('pods go first, then everything else, each stored object under one name', () => {
    const [first = [], second = []] = deletionOrder(builtinRegistry());
    assert.deepEqual(
      first.map(({ resource }) => resource),
      ['pods'],
    );
    const names = second.map(({ group, resource }) => `${group}/${resource}`);
    for (const expected of ['/secrets', 'apps/deployments', 'networking.k8s.io/networkpolicies'])
      assert.ok(names.includes(expected), expected);
    assert.equal(names.filter((name) => name.endsWith('/events')).length, 1);
    assert.ok(!names.includes('/nodes') && !names.includes('/bindings'));
  });

  it('conditions say what remains and what holds it', () => {
    const nowMs = Date.parse('2026-01-01T00:00:00Z');
    const busy = namespaceConditions(
      [],
      {
        remaining: [{ resource: 'pods', group: '', count: 2, finalizers: { 'a/b': 1 } }],
        failures: [],
      },
      nowMs,
    );
    const text = (type: string) => {
      const found = busy.find((condition) => condition.type === type);
      return `${found?.status} ${found?.reason}: ${found?.message}`;
    };
    assert.equal(
      text('NamespaceContentRemaining'),
      'True SomeResourcesRemain: Some resources are remaining: pods. has 2 resource instances',
    );
    assert.equal(
      text('NamespaceFinalizersRemaining'),
      'True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: a/b in 1 resource instances',
    );
    const empty = { remaining: [], failures: [] };
    const done = namespaceConditions(busy, empty, nowMs + 60_000);
    assert.ok(done.every(({ status }) => status === 'False'));
    assert.equal(namespaceConditions(done, empty, nowMs + 90_000), done);
  });
});

describe('a namespace', () => {
  it('is born with a service account and the root certificate, and both come back when deleted', async () => {
    const { client, run, eventually } = await controllersWorld({ rootCa: 'PEM' });
    await run(client.create(namespaces, { metadata: { name: 'fresh' } }));
    const there = async () => {
      try {
        await client.get(serviceAccounts, 'fresh', 'default');
        return (await client.get(configMaps, 'fresh', 'kube-root-ca.crt')).data?.['ca.crt'];
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    };
    await eventually(there, (text) => text === 'PEM', 2_000);
    await run(client.delete(serviceAccounts, 'fresh', 'default'));
    await run(client.delete(configMaps, 'fresh', 'kube-root-ca.crt'));
    await eventually(there, (text) => text === 'PEM', 2_000);
    await run(
      client.patch(configMaps, 'fresh', 'kube-root-ca.crt', 'merge', { data: { 'ca.crt': 'forged' } }),
    );
    await eventually(there, (text) => text === 'PEM', 2_000);
  });

  it('goes only when its pods are gone, and then at once', async () => {
    const { client, run, eventually, gone, kubelets } = await controllersWorld();
    kubelets.endsAfterMs = 3_000;
    await run(client.create(namespaces, { metadata: { name: 'doomed' } }));
    const web = deployment('web', 2);
    await run(client.create(deployments, { ...web, metadata: { ...web.metadata, namespace: 'doomed' } }));
    await run(
      client.create(configMaps, {
        metadata: { name: 'held', namespace: 'doomed', finalizers: ['test/hold'] },
      }),
    );
    const podCount = async () => (await client.list(pods, { namespace: 'doomed' })).items.length;
    await eventually(podCount, (count) => count === 2);
    await run(client.delete(namespaces, undefined, 'doomed'));
    const remaining = async () => {
      const { status } = await client.get(namespaces, undefined, 'doomed');
      return status?.conditions?.find(({ type }) => type === 'NamespaceContentRemaining')?.message ?? '';
    };
    await eventually(remaining, (message) => message.includes('pods. has 2'));
    assert.equal((await run(client.list(configMaps, { namespace: 'doomed' }))).items.length > 0, true);
    await eventually(remaining, (message) => message.includes('configmaps. has 1'), 10_000);
    assert.equal(await run(podCount()), 0);
    await run(client.patch(configMaps, 'doomed', 'held', 'merge', { metadata: { finalizers: null } }));
    await gone(namespaces, undefined, 'doomed');
  });
});
