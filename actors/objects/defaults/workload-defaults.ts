/** Defaults of workloads (kubernetes pkg/apis, the defaults.go of apps, batch and autoscaling). */
import type { JsonObject } from '../typed.js';
import { isObject } from '../typed.js';
import { child, children, ensure, fill } from './fill.js';
import { defaultTemplate } from './pod-defaults.js';

export function defaultDeployment(object: JsonObject): void {
  const spec = ensure(object, 'spec');
  fill(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 });
  const strategy = ensure(spec, 'strategy');
  fill(strategy, { type: 'RollingUpdate' });
  if (strategy['type'] === 'RollingUpdate') {
    fill(ensure(strategy, 'rollingUpdate'), { maxUnavailable: '25%', maxSurge: '25%' });
  }
  defaultTemplate(spec);
}

export function defaultReplicaSet(object: JsonObject): void {
  const spec = ensure(object, 'spec');
  fill(spec, { replicas: 1 });
  defaultTemplate(spec);
}

export function defaultReplicationController(object: JsonObject): void {
  const spec = ensure(object, 'spec');
  const labels = child(child(child(spec, 'template'), 'metadata'), 'labels');
  if (Object.keys(labels).length > 0) {
    if (Object.keys(child(spec, 'selector')).length === 0) spec['selector'] = { ...labels };
    const metadata = ensure(object, 'metadata');
    if (Object.keys(child(metadata, 'labels')).length === 0) metadata['labels'] = { ...labels };
  }
  fill(spec, { replicas: 1 });
  defaultTemplate(spec);
}

export function defaultDaemonSet(object: JsonObject): void {
  const spec = ensure(object, 'spec');
  fill(spec, { revisionHistoryLimit: 10 });
  const strategy = ensure(spec, 'updateStrategy');
  fill(strategy, { type: 'RollingUpdate' });
  if (strategy['type'] === 'RollingUpdate') {
    fill(ensure(strategy, 'rollingUpdate'), { maxUnavailable: 1, maxSurge: 0 });
  }
  defaultTemplate(spec);
}

export function defaultStatefulSet(object: JsonObject): void {
  const spec = ensure(object, 'spec');
  fill(spec, { podManagementPolicy: 'OrderedReady', replicas: 1, revisionHistoryLimit: 10 });
  const strategy = ensure(spec, 'updateStrategy');
  fill(strategy, { type: 'RollingUpdate' });
  if (strategy['type'] === 'RollingUpdate') fill(ensure(strategy, 'rollingUpdate'), { partition: 0 });
  fill(ensure(spec, 'persistentVolumeClaimRetentionPolicy'), { whenDeleted: 'Retain', whenScaled: 'Retain' });
  for (const claim of children(spec, 'volumeClaimTemplates')) {
    fill(claim, { apiVersion: 'v1', kind: 'PersistentVolumeClaim' });
    defaultPersistentVolumeClaim(claim);
  }
  defaultTemplate(spec);
}

export function defaultPersistentVolumeClaim(object: JsonObject): void {
  fill(ensure(object, 'spec'), { volumeMode: 'Filesystem' });
  fill(ensure(object, 'status'), { phase: 'Pending' });
}

const int32Max = 2 ** 31 - 1;

export function defaultJob(object: JsonObject): void {
  const spec = ensure(object, 'spec');
  if (spec['completions'] === undefined && spec['parallelism'] === undefined) spec['completions'] = 1;
  fill(spec, {
    parallelism: 1,
    backoffLimit: spec['backoffLimitPerIndex'] === undefined ? 6 : int32Max,
    completionMode: 'NonIndexed',
    suspend: false,
    podReplacementPolicy: spec['podFailurePolicy'] === undefined ? 'TerminatingOrFailed' : 'Failed',
  });
  const labels = child(child(child(spec, 'template'), 'metadata'), 'labels');
  const metadata = ensure(object, 'metadata');
  if (Object.keys(labels).length > 0 && Object.keys(child(metadata, 'labels')).length === 0) {
    metadata['labels'] = { ...labels };
  }
  for (const rule of children(child(spec, 'podFailurePolicy'), 'rules')) {
    for (const pattern of children(rule, 'onPodConditions')) fill(pattern, { status: 'True' });
  }
  defaultTemplate(spec);
}

export function defaultCronJob(object: JsonObject): void {
  const spec = ensure(object, 'spec');
  fill(spec, {
    concurrencyPolicy: 'Allow',
    suspend: false,
    successfulJobsHistoryLimit: 3,
    failedJobsHistoryLimit: 1,
  });
  defaultTemplate(child(child(spec, 'jobTemplate'), 'spec'));
}

export function defaultHorizontalPodAutoscaler(object: JsonObject): void {
  const spec = ensure(object, 'spec');
  fill(spec, { minReplicas: 1 });
  if (object['apiVersion'] === 'autoscaling/v1') return;
  if (children(spec, 'metrics').length === 0) {
    spec['metrics'] = [
      {
        type: 'Resource',
        resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
      },
    ];
  }
  const behavior = spec['behavior'];
  if (!isObject(behavior)) return;
  const scaleUp = ensure(behavior, 'scaleUp');
  fill(scaleUp, {
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Max',
    policies: [
      { type: 'Pods', value: 4, periodSeconds: 15 },
      { type: 'Percent', value: 100, periodSeconds: 15 },
    ],
  });
  const scaleDown = ensure(behavior, 'scaleDown');
  fill(scaleDown, { selectPolicy: 'Max', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] });
}
