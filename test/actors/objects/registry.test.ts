import assert from 'node:assert/strict';
import {
  allResources,
  builtinRegistry,
  compareVersions,
  parseApiVersion,
} from '../../../actors/objects/index.js';

describe('the registry of resources', () => {
  const registry = builtinRegistry();

  it('knows pods with their verbs, names and subresources', () => {
    const pods = registry.find('', 'v1', 'pods');
    assert(pods);
    assert.equal(pods.kind, 'Pod');
    assert.equal(pods.listKind, 'PodList');
    assert.equal(pods.namespaced, true);
    assert.deepEqual(pods.verbs, [
      'create',
      'delete',
      'deletecollection',
      'get',
      'list',
      'patch',
      'update',
      'watch',
    ]);
    assert.deepEqual(pods.shortNames, ['po']);
    assert.deepEqual(
      [...pods.subresources.keys()],
      [
        'attach',
        'binding',
        'ephemeralcontainers',
        'eviction',
        'exec',
        'log',
        'portforward',
        'proxy',
        'resize',
        'status',
      ],
    );
    const eviction = pods.subresources.get('eviction')!;
    assert.deepEqual([eviction.group, eviction.version, eviction.kind], ['policy', 'v1', 'Eviction']);
    assert.equal(pods.subresources.get('exec')!.connects, true);
    assert.equal(pods.definition?.name, 'io.k8s.api.core.v1.Pod');
  });

  it('gives namespaces, nodes and other cluster resources no namespace', () => {
    for (const [group, resource] of [
      ['', 'namespaces'],
      ['', 'nodes'],
      ['rbac.authorization.k8s.io', 'clusterroles'],
      ['storage.k8s.io', 'storageclasses'],
    ] as const) {
      assert.equal(registry.find(group, 'v1', resource)?.namespaced, false, resource);
    }
    assert.deepEqual([...registry.find('', 'v1', 'namespaces')!.subresources.keys()], ['finalize', 'status']);
  });

  it('answers creations that are not kept: reviews and bindings', () => {
    assert.deepEqual(registry.find('authorization.k8s.io', 'v1', 'subjectaccessreviews')?.verbs, ['create']);
    assert.deepEqual(registry.find('', 'v1', 'bindings')?.verbs, ['create']);
  });

  it('serves generally available versions and knows the others', () => {
    assert.equal(registry.find('networking.k8s.io', 'v1beta1', 'ipaddresses'), undefined);
    assert(allResources().find('networking.k8s.io', 'v1beta1', 'ipaddresses'));
    assert.equal(registry.groups()[0], '');
    assert.deepEqual(registry.versions('autoscaling'), ['v2', 'v1']);
  });

  it('stores one form of a kind that several versions or groups serve', () => {
    assert.equal(registry.find('autoscaling', 'v1', 'horizontalpodautoscalers')?.storage.version, 'v2');
    assert.deepEqual(registry.find('events.k8s.io', 'v1', 'events')?.storage, {
      group: '',
      version: 'v1',
      resource: 'events',
    });
  });

  it('finds kinds with the preferred version first', () => {
    const versions = registry.findKind('autoscaling', 'HorizontalPodAutoscaler').map((info) => info.version);
    assert.deepEqual(versions, ['v2', 'v1']);
    assert.equal(registry.findGvk('apps', 'v1', 'Deployment')?.resource, 'deployments');
    assert.deepEqual(registry.findKind('', 'Nonesuch'), []);
  });

  it('takes custom resources without changing itself', () => {
    const widget = {
      ...registry.find('', 'v1', 'pods')!,
      group: 'example.com',
      resource: 'widgets',
      kind: 'Widget',
    };
    const wider = registry.withResources([widget]);
    assert.equal(wider.find('example.com', 'v1', 'widgets')?.kind, 'Widget');
    assert.equal(registry.find('example.com', 'v1', 'widgets'), undefined);
    assert.equal(wider.groups().at(-1), 'example.com');
  });

  it('orders versions as Kubernetes does', () => {
    const versions = [
      'foo10',
      'v1alpha1',
      'v10',
      'v2',
      'v1',
      'v11beta2',
      'v10beta3',
      'v3beta1',
      'foo1',
      'v12alpha1',
      'v11alpha2',
    ];
    assert.deepEqual(versions.sort(compareVersions), [
      'v10',
      'v2',
      'v1',
      'v11beta2',
      'v10beta3',
      'v3beta1',
      'v12alpha1',
      'v11alpha2',
      'v1alpha1',
      'foo1',
      'foo10',
    ]);
  });

  it('parses apiVersion', () => {
    assert.deepEqual(parseApiVersion('v1'), { group: '', version: 'v1' });
    assert.deepEqual(parseApiVersion('apps/v1'), { group: 'apps', version: 'v1' });
    assert.equal(parseApiVersion('a/b/c'), undefined);
    assert.equal(parseApiVersion(''), undefined);
  });
});
