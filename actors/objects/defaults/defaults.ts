/**
 * Type-specific defaults, applied on create, update and patch after decoding and before admission, as the
 * real server does. Clients rely on them: one that is missing makes `kubectl diff` differ for ever, or panics
 * a client.
 */
import type { JsonObject } from '../typed.js';
import { isObject } from '../typed.js';
import { child, children, ensure, fill } from './fill.js';
import { defaultPod, defaultTemplate } from './pod-defaults.js';
import {
  defaultEndpointSlice,
  defaultEndpoints,
  defaultIngressClass,
  defaultNetworkPolicy,
  defaultService,
} from './service-defaults.js';
import {
  defaultCronJob,
  defaultDaemonSet,
  defaultDeployment,
  defaultHorizontalPodAutoscaler,
  defaultJob,
  defaultPersistentVolumeClaim,
  defaultReplicaSet,
  defaultReplicationController,
  defaultStatefulSet,
} from './workload-defaults.js';

type Defaulter = (object: JsonObject) => void;

const rbacGroup = 'rbac.authorization.k8s.io';

const defaulters: Readonly<Record<string, Defaulter>> = {
  '/Pod': defaultPod,
  '/PodTemplate': defaultTemplate,
  '/ReplicationController': defaultReplicationController,
  '/Service': defaultService,
  '/Endpoints': defaultEndpoints,
  '/Secret': defaultSecret,
  '/Namespace': defaultNamespace,
  '/Node': defaultNode,
  '/PersistentVolume': defaultPersistentVolume,
  '/PersistentVolumeClaim': defaultPersistentVolumeClaim,
  '/LimitRange': defaultLimitRange,
  'admissionregistration.k8s.io/MutatingWebhookConfiguration': defaultMutatingWebhooks,
  'admissionregistration.k8s.io/ValidatingAdmissionPolicy': defaultAdmissionPolicy,
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration': defaultWebhooks,
  'apps/DaemonSet': defaultDaemonSet,
  'apps/Deployment': defaultDeployment,
  'apps/ReplicaSet': defaultReplicaSet,
  'apps/StatefulSet': defaultStatefulSet,
  'autoscaling/HorizontalPodAutoscaler': defaultHorizontalPodAutoscaler,
  'batch/CronJob': defaultCronJob,
  'batch/Job': defaultJob,
  'discovery.k8s.io/EndpointSlice': defaultEndpointSlice,
  'networking.k8s.io/IngressClass': defaultIngressClass,
  'networking.k8s.io/NetworkPolicy': defaultNetworkPolicy,
  'rbac.authorization.k8s.io/ClusterRoleBinding': defaultBinding,
  'rbac.authorization.k8s.io/RoleBinding': defaultBinding,
  'scheduling.k8s.io/PriorityClass': (object) => fill(object, { preemptionPolicy: 'PreemptLowerPriority' }),
  'storage.k8s.io/CSIDriver': defaultCsiDriver,
  'storage.k8s.io/StorageClass': (object) =>
    fill(object, { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' }),
};

/** Changes the object in place; it must be typed (decode.ts). */
export function applyDefaults(
  object: JsonObject,
  kind: { readonly group: string; readonly kind: string },
): void {
  defaulters[`${kind.group}/${kind.kind}`]?.(object);
}

function defaultSecret(object: JsonObject): void {
  fill(object, { type: 'Opaque' });
  const { stringData } = object;
  if (!isObject(stringData)) return;
  // Write-only convenience: it is folded into data and never stored.
  const data = ensure(object, 'data');
  for (const [key, value] of Object.entries(stringData)) {
    data[key] = Buffer.from(String(value), 'utf8').toString('base64');
  }
  delete object['stringData'];
}

function defaultNamespace(object: JsonObject): void {
  const metadata = ensure(object, 'metadata');
  if (typeof metadata['name'] === 'string' && metadata['name'] !== '') {
    ensure(metadata, 'labels')['kubernetes.io/metadata.name'] = metadata['name'];
  }
  fill(ensure(object, 'status'), { phase: 'Active' });
}

function defaultNode(object: JsonObject): void {
  const status = ensure(object, 'status');
  if (isObject(status['capacity'])) fill(status, { allocatable: { ...status['capacity'] } });
}

function defaultPersistentVolume(object: JsonObject): void {
  const spec = ensure(object, 'spec');
  fill(spec, { persistentVolumeReclaimPolicy: 'Retain', volumeMode: 'Filesystem' });
  const hostPath = spec['hostPath'];
  if (isObject(hostPath)) fill(hostPath, { type: '' });
  fill(ensure(object, 'status'), { phase: 'Pending' });
}

function defaultLimitRange(object: JsonObject): void {
  for (const item of children(child(object, 'spec'), 'limits')) {
    if (item['type'] !== 'Container') continue;
    const limits = ensure(item, 'default');
    fill(limits, child(item, 'max'));
    const requests = ensure(item, 'defaultRequest');
    fill(requests, limits);
    fill(requests, child(item, 'min'));
    for (const key of ['default', 'defaultRequest']) {
      if (Object.keys(child(item, key)).length === 0) delete item[key];
    }
  }
}

function defaultBinding(object: JsonObject): void {
  const roleRef = child(object, 'roleRef');
  if (roleRef['apiGroup'] === '' || roleRef['apiGroup'] === undefined) roleRef['apiGroup'] = rbacGroup;
  for (const subject of children(object, 'subjects')) {
    if (subject['kind'] === 'User' || subject['kind'] === 'Group') fill(subject, { apiGroup: rbacGroup });
  }
}

function defaultMutatingWebhooks(object: JsonObject): void {
  defaultWebhooks(object);
  for (const webhook of children(object, 'webhooks')) fill(webhook, { reinvocationPolicy: 'Never' });
}

function defaultWebhooks(object: JsonObject): void {
  for (const webhook of children(object, 'webhooks')) {
    fill(webhook, {
      failurePolicy: 'Fail',
      matchPolicy: 'Equivalent',
      namespaceSelector: {},
      objectSelector: {},
      timeoutSeconds: 10,
    });
    fill(child(child(webhook, 'clientConfig'), 'service'), { port: 443 });
    for (const rule of children(webhook, 'rules')) fill(rule, { scope: '*' });
  }
}

function defaultAdmissionPolicy(object: JsonObject): void {
  const spec = ensure(object, 'spec');
  fill(spec, { failurePolicy: 'Fail' });
  const constraints = spec['matchConstraints'];
  if (!isObject(constraints)) return;
  fill(constraints, { matchPolicy: 'Equivalent', namespaceSelector: {}, objectSelector: {} });
  for (const key of ['resourceRules', 'excludeResourceRules']) {
    for (const rule of children(constraints, key)) fill(rule, { scope: '*' });
  }
}

function defaultCsiDriver(object: JsonObject): void {
  const spec = ensure(object, 'spec');
  fill(spec, {
    attachRequired: true,
    podInfoOnMount: false,
    storageCapacity: false,
    fsGroupPolicy: 'ReadWriteOnceWithFSType',
    volumeLifecycleModes: ['Persistent'],
    requiresRepublish: false,
    seLinuxMount: false,
  });
}
