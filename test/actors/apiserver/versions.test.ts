import assert from 'node:assert/strict';
import { afterEach } from 'mocha';
import { serverWorld, type ServerWorld } from './server-world.js';

describe('several versions of one object', () => {
  let cluster: ServerWorld;
  beforeEach(async () => {
    cluster = await serverWorld({ authorizer: 'always-allow' });
  });
  afterEach(() => cluster.world.end());

  it('an event written to the core is seen in events.k8s.io, watches included', async () => {
    const modern = '/apis/events.k8s.io/v1/namespaces/default/events';
    const watch = await cluster.watch(`${modern}?watch=true`);
    await cluster.create('/api/v1/namespaces/default/events', {
      metadata: { name: 'e' },
      involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
      reason: 'Started',
      message: 'it runs',
      type: 'Normal',
    });
    const { json } = await cluster.call('GET', `${modern}/e`);
    assert.equal(json.apiVersion, 'events.k8s.io/v1');
    assert.equal(json.note, 'it runs');
    assert.equal(json.regarding.name, 'p');
    assert.equal(json.message, undefined);
    await cluster.world.until(() => watch.lines.length === 1);
    assert.equal(watch.lines[0]!.object['note'], 'it runs');
    const chosen = '/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dp';
    assert.equal((await cluster.call('GET', chosen)).json.items.length, 1);
  });

  it('an autoscaler of v1 is one of v2', async () => {
    await cluster.create('/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers', {
      metadata: { name: 'h' },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
        maxReplicas: 5,
        targetCPUUtilizationPercentage: 60,
      },
    });
    const { json } = await cluster.call(
      'GET',
      '/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/h',
    );
    assert.equal(json.spec.metrics[0].resource.target.averageUtilization, 60);
    const v1 = await cluster.call(
      'GET',
      '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers/h',
    );
    assert.equal(v1.json.spec.targetCPUUtilizationPercentage, 60);
  });
});
