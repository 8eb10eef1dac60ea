import assert from 'node:assert/strict';
import type { JsonObject } from '../../../actors/objects/index.js';
import { builtinRegistry, convertObject, decodeValue } from '../../../actors/objects/index.js';

const registry = builtinRegistry();

describe('conversion between versions', () => {
  const event: JsonObject = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'e' },
    involvedObject: { kind: 'Pod', name: 'p' },
    reason: 'Started',
    message: 'm',
    source: { component: 'kubelet' },
    firstTimestamp: '2024-01-01T00:00:00Z',
    lastTimestamp: '2024-01-01T00:00:01Z',
    count: 2,
    type: 'Normal',
    reportingComponent: 'kubelet',
    reportingInstance: 'n',
  };

  it('shows one event in both groups, with fields that each knows', () => {
    const modern = convertObject(event, 'Event', { group: 'events.k8s.io', version: 'v1' });
    assert.equal(modern['note'], 'm');
    assert.deepEqual(modern['regarding'], { kind: 'Pod', name: 'p' });
    assert.equal(modern['reportingController'], 'kubelet');
    decodeValue(modern, registry.find('events.k8s.io', 'v1', 'events')!, 'Strict');
    assert.deepEqual(convertObject(modern, 'Event', { group: '', version: 'v1' }), event);
  });

  it('carries autoscalers through v1 and back with nothing lost', () => {
    const hpa: JsonObject = {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'h', annotations: { a: 'b' } },
      spec: {
        maxReplicas: 3,
        scaleTargetRef: { kind: 'Deployment', name: 'd' },
        behavior: { scaleDown: { stabilizationWindowSeconds: 1 } },
        metrics: [
          {
            type: 'Resource',
            resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } },
          },
          {
            type: 'Resource',
            resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } },
          },
        ],
      },
      status: { desiredReplicas: 1, conditions: [{ type: 'AbleToScale', status: 'True' }] },
    };
    const v1 = convertObject(hpa, 'HorizontalPodAutoscaler', { group: 'autoscaling', version: 'v1' });
    assert.equal((v1['spec'] as JsonObject)['targetCPUUtilizationPercentage'], 70);
    decodeValue(v1, registry.find('autoscaling', 'v1', 'horizontalpodautoscalers')!, 'Strict');
    assert.deepEqual(
      convertObject(v1, 'HorizontalPodAutoscaler', { group: 'autoscaling', version: 'v2' }),
      hpa,
    );
  });

  it('survives annotations that a user broke', () => {
    const broken = {
      apiVersion: 'autoscaling/v1',
      metadata: { annotations: { 'autoscaling.alpha.kubernetes.io/metrics': '{' } },
      spec: { targetCPUUtilizationPercentage: 5 },
    };
    const v2 = convertObject(broken, 'HorizontalPodAutoscaler', { group: 'autoscaling', version: 'v2' });
    assert.equal(((v2['spec'] as JsonObject)['metrics'] as unknown[]).length, 1);
  });

  it('renames where shapes are the same, and leaves alone what is already right', () => {
    const object = { apiVersion: 'networking.k8s.io/v1beta1', kind: 'IPAddress', spec: {} };
    assert.deepEqual(convertObject(object, 'IPAddress', { group: 'networking.k8s.io', version: 'v1' }), {
      ...object,
      apiVersion: 'networking.k8s.io/v1',
    });
    assert.equal(convertObject(event, 'Event', { group: '', version: 'v1' }), event);
  });
});
