/**
 * Columns of the remaining groups: access control, autoscaling, policy, networking, storage, certificates,
 * scheduling.
 */
import {
  at,
  conditionOf,
  listAt,
  mapAt,
  none,
  numberAt,
  printDuration,
  printMap,
  printSelector,
  textAt,
  unknown,
} from './cells.js';
import { ageCell, columnsOf, nameOf, printer } from './columns.js';
import type { Printer } from './columns.js';

const lease = printer(columnsOf('Name', 'Holder', 'Age'), (object, nowMs) => [
  nameOf(object),
  textAt(object, 'spec', 'holderIdentity'),
  ageCell(object, nowMs),
]);

const role = printer(columnsOf('Name', 'Created At'), (object) => [
  nameOf(object),
  textAt(object, 'metadata', 'creationTimestamp'),
]);

const binding = printer(
  columnsOf('Name', 'Role', 'Age', 'Users*', 'Groups*', 'ServiceAccounts*'),
  (object, nowMs) => {
    const subjects = listAt(object, 'subjects');
    const named = (kind: string, text: (subject: unknown) => string) =>
      subjects
        .filter((subject) => textAt(subject, 'kind') === kind)
        .map(text)
        .join(', ');
    return [
      nameOf(object),
      `${textAt(object, 'roleRef', 'kind')}/${textAt(object, 'roleRef', 'name')}`,
      ageCell(object, nowMs),
      named('User', (subject) => textAt(subject, 'name')),
      named('Group', (subject) => textAt(subject, 'name')),
      named('ServiceAccount', (subject) => `${textAt(subject, 'namespace')}/${textAt(subject, 'name')}`),
    ];
  },
);

/** `cpu: 12%/80%`; what is not measured yet is `<unknown>`. */
function metricText(spec: unknown, status: unknown): string {
  const type = textAt(spec, 'type');
  const source = type.charAt(0).toLowerCase() + type.slice(1);
  const target = at(spec, source, 'target');
  const current = at(status, source, 'current');
  const utilization = at(target, 'averageUtilization');
  const show = (value: string) => value || unknown;
  if (type === 'Resource' || type === 'ContainerResource') {
    const name = textAt(spec, source, 'name');
    if (typeof utilization === 'number') {
      const measured = at(current, 'averageUtilization');
      return `${name}: ${typeof measured === 'number' ? `${measured}%` : unknown}/${utilization}%`;
    }
    return `${name}: ${show(textAt(current, 'averageValue'))}/${textAt(target, 'averageValue')}`;
  }
  const average = textAt(target, 'averageValue');
  if (average !== '') {
    const suffix = type === 'Pods' ? '' : ' (avg)';
    return `${show(textAt(current, 'averageValue'))}/${average}${suffix}`;
  }
  return `${show(textAt(current, 'value'))}/${textAt(target, 'value')}`;
}

function hpaTargets(object: unknown): string {
  const specs = listAt(object, 'spec', 'metrics');
  if (specs.length === 0) {
    const target = at(object, 'spec', 'targetCPUUtilizationPercentage');
    if (typeof target !== 'number') return none;
    const current = at(object, 'status', 'currentCPUUtilizationPercentage');
    return `cpu: ${typeof current === 'number' ? `${current}%` : unknown}/${target}%`;
  }
  const statuses = listAt(object, 'status', 'currentMetrics');
  const texts = specs.map((spec, index) => metricText(spec, statuses[index]));
  return texts.length > 2
    ? `${texts.slice(0, 2).join(', ')} + ${texts.length - 2} more...`
    : texts.join(', ');
}

const horizontalPodAutoscaler = printer(
  columnsOf('Name', 'Reference', 'Targets', 'MinPods', 'MaxPods', 'Replicas', 'Age'),
  (object, nowMs) => [
    nameOf(object),
    `${textAt(object, 'spec', 'scaleTargetRef', 'kind')}/${textAt(object, 'spec', 'scaleTargetRef', 'name')}`,
    hpaTargets(object),
    textAt(object, 'spec', 'minReplicas') || '<unset>',
    numberAt(object, 'spec', 'maxReplicas'),
    numberAt(object, 'status', 'currentReplicas'),
    ageCell(object, nowMs),
  ],
);

const podDisruptionBudget = printer(
  columnsOf('Name', 'Min Available', 'Max Unavailable', 'Allowed Disruptions:integer', 'Age'),
  (object, nowMs) => [
    nameOf(object),
    textAt(object, 'spec', 'minAvailable') || 'N/A',
    textAt(object, 'spec', 'maxUnavailable') || 'N/A',
    numberAt(object, 'status', 'disruptionsAllowed'),
    ageCell(object, nowMs),
  ],
);

function ingressHosts(object: unknown): string {
  const hosts = listAt(object, 'spec', 'rules')
    .map((rule) => textAt(rule, 'host'))
    .filter((host) => host !== '');
  const shown = hosts.slice(0, 3).join(',');
  if (hosts.length === 0) return '*';
  return hosts.length > 3 ? `${shown} + ${hosts.length - 3} more...` : shown;
}

const ingress = printer(columnsOf('Name', 'Class', 'Hosts', 'Address', 'Ports', 'Age'), (object, nowMs) => [
  nameOf(object),
  textAt(object, 'spec', 'ingressClassName') || none,
  ingressHosts(object),
  listAt(object, 'status', 'loadBalancer', 'ingress')
    .map((each) => textAt(each, 'ip') || textAt(each, 'hostname'))
    .join(','),
  listAt(object, 'spec', 'tls').length > 0 ? '80, 443' : '80',
  ageCell(object, nowMs),
]);

const ingressClass = printer(columnsOf('Name', 'Controller', 'Parameters', 'Age'), (object, nowMs) => {
  const parameters = at(object, 'spec', 'parameters');
  const group = textAt(parameters, 'apiGroup');
  const kind = `${textAt(parameters, 'kind')}${group === '' ? '' : `.${group}`}`;
  return [
    nameOf(object),
    textAt(object, 'spec', 'controller'),
    parameters === undefined ? none : `${kind}/${textAt(parameters, 'name')}`,
    ageCell(object, nowMs),
  ];
});

const networkPolicy = printer(columnsOf('Name', 'Pod-Selector', 'Age'), (object, nowMs) => [
  nameOf(object),
  printSelector(at(object, 'spec', 'podSelector')),
  ageCell(object, nowMs),
]);

const defaultClass = 'storageclass.kubernetes.io/is-default-class';

const storageClass = printer(
  columnsOf(
    'Name',
    'Provisioner',
    'ReclaimPolicy',
    'VolumeBindingMode',
    'AllowVolumeExpansion:boolean',
    'Age',
  ),
  (object, nowMs) => [
    textAt(object, 'metadata', 'annotations', defaultClass) === 'true'
      ? `${nameOf(object)} (default)`
      : nameOf(object),
    textAt(object, 'provisioner'),
    textAt(object, 'reclaimPolicy') || 'Delete',
    textAt(object, 'volumeBindingMode') || 'Immediate',
    at(object, 'allowVolumeExpansion') === true,
    ageCell(object, nowMs),
  ],
);

function requestCondition(request: unknown): string {
  const isTrue = (type: string) => textAt(conditionOf(request, type), 'status') === 'True';
  const words = ['Approved', 'Denied', 'Failed'].filter(isTrue);
  if (textAt(request, 'status', 'certificate') !== '') words.push('Issued');
  return words.length === 0 ? 'Pending' : words.join(',');
}

const certificateSigningRequest = printer(
  columnsOf('Name', 'Age', 'SignerName', 'Requestor', 'RequestedDuration', 'Condition'),
  (object, nowMs) => {
    const seconds = at(object, 'spec', 'expirationSeconds');
    return [
      nameOf(object),
      ageCell(object, nowMs),
      textAt(object, 'spec', 'signerName') || none,
      textAt(object, 'spec', 'username'),
      typeof seconds === 'number' ? printDuration(seconds * 1000) : none,
      requestCondition(object),
    ];
  },
);

const priorityClass = printer(
  columnsOf('Name', 'Value:integer', 'Global-Default:boolean', 'Age', 'PreemptionPolicy'),
  (object, nowMs) => [
    nameOf(object),
    numberAt(object, 'value'),
    at(object, 'globalDefault') === true,
    ageCell(object, nowMs),
    textAt(object, 'preemptionPolicy') || 'PreemptLowerPriority',
  ],
);

const runtimeClass = printer(columnsOf('Name', 'Handler', 'Age'), (object, nowMs) => [
  nameOf(object),
  textAt(object, 'handler'),
  ageCell(object, nowMs),
]);

const scale = printer(columnsOf('Name', 'Desired:integer', 'Available:integer', 'Age'), (object, nowMs) => [
  nameOf(object),
  numberAt(object, 'spec', 'replicas'),
  numberAt(object, 'status', 'replicas'),
  ageCell(object, nowMs),
]);

const flowSchema = printer(
  columnsOf('Name', 'PriorityLevel', 'MatchingPrecedence:integer', 'DistinguisherMethod', 'Age', 'MissingPL'),
  (object, nowMs) => [
    nameOf(object),
    textAt(object, 'spec', 'priorityLevelConfiguration', 'name'),
    numberAt(object, 'spec', 'matchingPrecedence'),
    textAt(object, 'spec', 'distinguisherMethod', 'type') || none,
    ageCell(object, nowMs),
    textAt(conditionOf(object, 'Dangling'), 'status') || '?',
  ],
);

const webhooks = printer(columnsOf('Name', 'Webhooks:integer', 'Age'), (object, nowMs) => [
  nameOf(object),
  listAt(object, 'webhooks').length,
  ageCell(object, nowMs),
]);

const customResourceDefinition = printer(columnsOf('Name', 'Created At'), (object) => [
  nameOf(object),
  textAt(object, 'metadata', 'creationTimestamp'),
]);

const apiService = printer(columnsOf('Name', 'Service', 'Available', 'Age'), (object, nowMs) => {
  const service = at(object, 'spec', 'service');
  const available = conditionOf(object, 'Available');
  const status = textAt(available, 'status');
  return [
    nameOf(object),
    service === undefined ? 'Local' : `${textAt(service, 'namespace')}/${textAt(service, 'name')}`,
    status === 'True' || status === '' ? status || 'Unknown' : `${status} (${textAt(available, 'reason')})`,
    ageCell(object, nowMs),
  ];
});

const volumeAttachment = printer(
  columnsOf('Name', 'Attacher', 'PV', 'Node', 'Attached:boolean', 'Age'),
  (object, nowMs) => [
    nameOf(object),
    textAt(object, 'spec', 'attacher'),
    textAt(object, 'spec', 'source', 'persistentVolumeName'),
    textAt(object, 'spec', 'nodeName'),
    at(object, 'status', 'attached') === true,
    ageCell(object, nowMs),
  ],
);

const serviceCidr = printer(columnsOf('Name', 'CIDRs', 'Age'), (object, nowMs) => [
  nameOf(object),
  listAt(object, 'spec', 'cidrs').map(String).join(','),
  ageCell(object, nowMs),
]);

const ipAddress = printer(columnsOf('Name', 'ParentRef', 'Age'), (object, nowMs) => {
  const parent = at(object, 'spec', 'parentRef');
  const group = textAt(parent, 'group');
  const path = [group, textAt(parent, 'resource'), textAt(parent, 'namespace'), textAt(parent, 'name')];
  return [nameOf(object), path.filter((part) => part !== '').join('/') || none, ageCell(object, nowMs)];
});

const csiDriver = printer(
  columnsOf('Name', 'AttachRequired:boolean', 'PodInfoOnMount:boolean', 'Modes', 'Age'),
  (object, nowMs) => [
    nameOf(object),
    at(object, 'spec', 'attachRequired') !== false,
    at(object, 'spec', 'podInfoOnMount') === true,
    listAt(object, 'spec', 'volumeLifecycleModes').map(String).join(',') || unknown,
    ageCell(object, nowMs),
  ],
);

const csiNode = printer(columnsOf('Name', 'Drivers:integer', 'Age'), (object, nowMs) => [
  nameOf(object),
  listAt(object, 'spec', 'drivers').length,
  ageCell(object, nowMs),
]);

const admissionPolicy = printer(
  columnsOf('Name', 'Validations:integer', 'ParamKind', 'Age'),
  (object, nowMs) => {
    const kind = at(object, 'spec', 'paramKind');
    return [
      nameOf(object),
      listAt(object, 'spec', 'validations').length,
      kind === undefined ? '<unset>' : `${textAt(kind, 'apiVersion')}/${textAt(kind, 'kind')}`,
      ageCell(object, nowMs),
    ];
  },
);

const admissionPolicyBinding = printer(
  columnsOf('Name', 'PolicyName', 'ParamRef', 'Age'),
  (object, nowMs) => {
    const reference = at(object, 'spec', 'paramRef');
    const namespace = textAt(reference, 'namespace');
    const name = textAt(reference, 'name');
    const shown =
      name !== ''
        ? `${namespace === '' ? '*' : namespace}/${name}`
        : printMap(mapAt(reference, 'selector', 'matchLabels'));
    return [
      nameOf(object),
      textAt(object, 'spec', 'policyName'),
      reference === undefined ? '<unset>' : shown,
      ageCell(object, nowMs),
    ];
  },
);

export const extensionPrinters: Readonly<Record<string, Printer>> = {
  'admissionregistration.k8s.io/MutatingWebhookConfiguration': webhooks,
  'admissionregistration.k8s.io/ValidatingAdmissionPolicy': admissionPolicy,
  'admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding': admissionPolicyBinding,
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration': webhooks,
  'apiextensions.k8s.io/CustomResourceDefinition': customResourceDefinition,
  'apiregistration.k8s.io/APIService': apiService,
  'autoscaling/HorizontalPodAutoscaler': horizontalPodAutoscaler,
  'autoscaling/Scale': scale,
  'certificates.k8s.io/CertificateSigningRequest': certificateSigningRequest,
  'coordination.k8s.io/Lease': lease,
  'flowcontrol.apiserver.k8s.io/FlowSchema': flowSchema,
  'networking.k8s.io/IPAddress': ipAddress,
  'networking.k8s.io/Ingress': ingress,
  'networking.k8s.io/IngressClass': ingressClass,
  'networking.k8s.io/NetworkPolicy': networkPolicy,
  'networking.k8s.io/ServiceCIDR': serviceCidr,
  'node.k8s.io/RuntimeClass': runtimeClass,
  'policy/PodDisruptionBudget': podDisruptionBudget,
  'rbac.authorization.k8s.io/ClusterRole': role,
  'rbac.authorization.k8s.io/ClusterRoleBinding': binding,
  'rbac.authorization.k8s.io/Role': role,
  'rbac.authorization.k8s.io/RoleBinding': binding,
  'scheduling.k8s.io/PriorityClass': priorityClass,
  'storage.k8s.io/CSIDriver': csiDriver,
  'storage.k8s.io/CSINode': csiNode,
  'storage.k8s.io/StorageClass': storageClass,
  'storage.k8s.io/VolumeAttachment': volumeAttachment,
};
