/** Columns of the core group apart from workloads, and of discovery and events. */
import { ageOf, at, conditionOf, listAt, mapAt, none, numberAt, printMap, textAt, unknown } from './cells.js';
import type { Cell } from './cells.js';
import { ageCell, columnsOf, nameOf, printer } from './columns.js';
import type { Printer } from './columns.js';

/** What ports and endpoint lists are cut to before `+ n more...`. */
const shownMax = 3;

function externalIp(service: unknown): string {
  const external = listAt(service, 'spec', 'externalIPs').map(String);
  switch (textAt(service, 'spec', 'type')) {
    case 'ExternalName':
      return textAt(service, 'spec', 'externalName') || none;
    case 'LoadBalancer': {
      const ingress = listAt(service, 'status', 'loadBalancer', 'ingress')
        .map((each) => textAt(each, 'ip') || textAt(each, 'hostname'))
        .filter((each) => each !== '');
      const all = [...ingress, ...external];
      return all.length === 0 ? '<pending>' : all.join(',');
    }
    default:
      return external.length === 0 ? none : external.join(',');
  }
}

function servicePorts(service: unknown): string {
  const ports = listAt(service, 'spec', 'ports').map((port) => {
    const nodePort = numberAt(port, 'nodePort');
    const protocol = textAt(port, 'protocol') || 'TCP';
    return `${numberAt(port, 'port')}${nodePort > 0 ? `:${nodePort}` : ''}/${protocol}`;
  });
  return ports.length === 0 ? none : ports.join(',');
}

const service = printer(
  columnsOf('Name', 'Type', 'Cluster-IP', 'External-IP', 'Port(s)', 'Age', 'Selector*'),
  (object, nowMs) => [
    nameOf(object),
    textAt(object, 'spec', 'type') || 'ClusterIP',
    textAt(object, 'spec', 'clusterIP') || none,
    externalIp(object),
    servicePorts(object),
    ageCell(object, nowMs),
    printMap(mapAt(object, 'spec', 'selector')),
  ],
);

function shorten(texts: readonly string[]): string {
  if (texts.length === 0) return none;
  const shown = texts.slice(0, shownMax).join(',');
  return texts.length > shownMax ? `${shown} + ${texts.length - shownMax} more...` : shown;
}

function endpointAddresses(endpoints: unknown): string {
  const texts: string[] = [];
  for (const subset of listAt(endpoints, 'subsets')) {
    const ports = listAt(subset, 'ports');
    const addresses = listAt(subset, 'addresses').map((address) => textAt(address, 'ip'));
    if (ports.length === 0) texts.push(...addresses);
    for (const port of ports) {
      for (const ip of addresses) texts.push(hostPort(ip, numberAt(port, 'port')));
    }
  }
  return shorten(texts);
}

function hostPort(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

const endpoints = printer(columnsOf('Name', 'Endpoints', 'Age'), (object, nowMs) => [
  nameOf(object),
  endpointAddresses(object),
  ageCell(object, nowMs),
]);

const endpointSlice = printer(
  columnsOf('Name', 'AddressType', 'Ports', 'Endpoints', 'Age'),
  (object, nowMs) => {
    const ports = listAt(object, 'ports').map((port) => textAt(port, 'port') || '*');
    const addresses = listAt(object, 'endpoints').flatMap((each) => listAt(each, 'addresses').map(String));
    const unset = ports.length === 0 && listAt(object, 'endpoints').length === 0;
    return [
      nameOf(object),
      textAt(object, 'addressType'),
      ports.length === 0 ? (unset ? '<unset>' : '*') : shorten(ports),
      addresses.length === 0 ? '<unset>' : shorten(addresses),
      ageCell(object, nowMs),
    ];
  },
);

function nodeStatus(node: unknown): string {
  const ready = textAt(conditionOf(node, 'Ready'), 'status');
  const status = ready === '' ? 'Unknown' : ready === 'True' ? 'Ready' : 'NotReady';
  return at(node, 'spec', 'unschedulable') === true ? `${status},SchedulingDisabled` : status;
}

function nodeRoles(node: unknown): string {
  const prefix = 'node-role.kubernetes.io/';
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(mapAt(node, 'metadata', 'labels'))) {
    if (key.startsWith(prefix) && key.length > prefix.length) roles.add(key.slice(prefix.length));
    else if (key === 'kubernetes.io/role' && value !== '') roles.add(String(value));
  }
  return roles.size === 0 ? none : [...roles].sort().join(',');
}

function nodeAddress(node: unknown, type: string): string {
  const found = listAt(node, 'status', 'addresses').find((each) => textAt(each, 'type') === type);
  return textAt(found, 'address') || none;
}

const node = printer(
  columnsOf(
    'Name',
    'Status',
    'Roles',
    'Age',
    'Version',
    'Internal-IP*',
    'External-IP*',
    'OS-Image*',
    'Kernel-Version*',
    'Container-Runtime*',
  ),
  (object, nowMs) => {
    const info = at(object, 'status', 'nodeInfo');
    return [
      nameOf(object),
      nodeStatus(object),
      nodeRoles(object),
      ageCell(object, nowMs),
      textAt(info, 'kubeletVersion'),
      nodeAddress(object, 'InternalIP'),
      nodeAddress(object, 'ExternalIP'),
      textAt(info, 'osImage') || unknown,
      textAt(info, 'kernelVersion') || unknown,
      textAt(info, 'containerRuntimeVersion') || unknown,
    ];
  },
);

function eventSource(event: unknown): string {
  const component = textAt(event, 'source', 'component') || textAt(event, 'deprecatedSource', 'component');
  const host = textAt(event, 'source', 'host') || textAt(event, 'deprecatedSource', 'host');
  if (component === '') return textAt(event, 'reportingComponent') || textAt(event, 'reportingController');
  return host === '' ? component : `${component}, ${host}`;
}

const event = printer(
  columnsOf(
    'Last Seen',
    'Type',
    'Reason',
    'Object',
    'Subobject*',
    'Source*',
    'Message',
    'First Seen*',
    'Count:integer*',
    'Name*',
  ),
  (object, nowMs) => {
    const subject = at(object, 'involvedObject') ?? at(object, 'regarding');
    const eventTime = at(object, 'eventTime');
    const first = at(object, 'firstTimestamp') ?? at(object, 'deprecatedFirstTimestamp') ?? eventTime;
    const series = at(object, 'series');
    const last =
      at(series, 'lastObservedTime') ??
      at(object, 'lastTimestamp') ??
      at(object, 'deprecatedLastTimestamp') ??
      first;
    const count =
      numberAt(series, 'count') || numberAt(object, 'count') || numberAt(object, 'deprecatedCount') || 1;
    return [
      ageOf(last, nowMs),
      textAt(object, 'type'),
      textAt(object, 'reason'),
      `${textAt(subject, 'kind').toLowerCase()}/${textAt(subject, 'name')}`,
      textAt(subject, 'fieldPath'),
      eventSource(object),
      (textAt(object, 'message') || textAt(object, 'note')).trim(),
      ageOf(first, nowMs),
      count,
      nameOf(object),
    ];
  },
);

const namespace = printer(columnsOf('Name', 'Status', 'Age'), (object, nowMs) => [
  nameOf(object),
  textAt(object, 'status', 'phase'),
  ageCell(object, nowMs),
]);

const secret = printer(columnsOf('Name', 'Type', 'Data:integer', 'Age'), (object, nowMs) => [
  nameOf(object),
  textAt(object, 'type'),
  Object.keys(mapAt(object, 'data')).length,
  ageCell(object, nowMs),
]);

const configMap = printer(columnsOf('Name', 'Data:integer', 'Age'), (object, nowMs) => [
  nameOf(object),
  Object.keys(mapAt(object, 'data')).length + Object.keys(mapAt(object, 'binaryData')).length,
  ageCell(object, nowMs),
]);

const serviceAccount = printer(columnsOf('Name', 'Secrets:integer', 'Age'), (object, nowMs) => [
  nameOf(object),
  listAt(object, 'secrets').length,
  ageCell(object, nowMs),
]);

const accessModeTexts: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};

function accessModes(object: unknown, ...path: readonly string[]): string {
  const given = new Set(listAt(object, ...path).map(String));
  return Object.entries(accessModeTexts)
    .filter(([mode]) => given.has(mode))
    .map(([, text]) => text)
    .join(',');
}

function withDeletion(object: unknown, phase: string): string {
  return at(object, 'metadata', 'deletionTimestamp') === undefined ? phase : 'Terminating';
}

const persistentVolume = printer(
  columnsOf(
    'Name',
    'Capacity',
    'Access Modes',
    'Reclaim Policy',
    'Status',
    'Claim',
    'StorageClass',
    'VolumeAttributesClass',
    'Reason',
    'Age',
    'VolumeMode*',
  ),
  (object, nowMs) => {
    const claim = at(object, 'spec', 'claimRef');
    return [
      nameOf(object),
      textAt(object, 'spec', 'capacity', 'storage'),
      accessModes(object, 'spec', 'accessModes'),
      textAt(object, 'spec', 'persistentVolumeReclaimPolicy'),
      withDeletion(object, textAt(object, 'status', 'phase')),
      claim === undefined ? '' : `${textAt(claim, 'namespace')}/${textAt(claim, 'name')}`,
      textAt(object, 'spec', 'storageClassName'),
      textAt(object, 'spec', 'volumeAttributesClassName') || '<unset>',
      textAt(object, 'status', 'reason'),
      ageCell(object, nowMs),
      textAt(object, 'spec', 'volumeMode') || '<unset>',
    ];
  },
);

const persistentVolumeClaim = printer(
  columnsOf(
    'Name',
    'Status',
    'Volume',
    'Capacity',
    'Access Modes',
    'StorageClass',
    'VolumeAttributesClass',
    'Age',
    'VolumeMode*',
  ),
  (object, nowMs) => {
    const bound = textAt(object, 'spec', 'volumeName') !== '';
    return [
      nameOf(object),
      withDeletion(object, textAt(object, 'status', 'phase')),
      textAt(object, 'spec', 'volumeName'),
      bound ? textAt(object, 'status', 'capacity', 'storage') : '',
      bound ? accessModes(object, 'status', 'accessModes') : '',
      textAt(object, 'spec', 'storageClassName'),
      textAt(object, 'spec', 'volumeAttributesClassName') || '<unset>',
      ageCell(object, nowMs),
      textAt(object, 'spec', 'volumeMode') || '<unset>',
    ];
  },
);

function quotaText(quota: unknown, wanted: (name: string) => boolean): string {
  const used = mapAt(quota, 'status', 'used');
  const hard = mapAt(quota, 'status', 'hard');
  return Object.keys(hard)
    .filter(wanted)
    .sort()
    .map((name) => `${name}: ${textAt(used, name) || '0'}/${textAt(hard, name)}`)
    .join(', ');
}

const resourceQuota = printer(columnsOf('Name', 'Request', 'Limit', 'Age'), (object, nowMs) => {
  const isLimit = (name: string) => name.startsWith('limits.');
  return [
    nameOf(object),
    quotaText(object, (name) => !isLimit(name)),
    quotaText(object, isLimit),
    ageCell(object, nowMs),
  ];
});

const limitRange = printer(columnsOf('Name', 'Created At'), (object) => [
  nameOf(object),
  textAt(object, 'metadata', 'creationTimestamp'),
]);

const componentStatus = printer(columnsOf('Name', 'Status', 'Message', 'Error'), (object) => {
  const healthy = listAt(object, 'conditions').find((each) => textAt(each, 'type') === 'Healthy');
  const status: Cell =
    textAt(healthy, 'status') === 'True' ? 'Healthy' : healthy === undefined ? 'Unknown' : 'Unhealthy';
  return [nameOf(object), status, textAt(healthy, 'message'), textAt(healthy, 'error')];
});

export const corePrinters: Readonly<Record<string, Printer>> = {
  '/ComponentStatus': componentStatus,
  '/ConfigMap': configMap,
  '/Endpoints': endpoints,
  '/Event': event,
  '/LimitRange': limitRange,
  '/Namespace': namespace,
  '/Node': node,
  '/PersistentVolume': persistentVolume,
  '/PersistentVolumeClaim': persistentVolumeClaim,
  '/ResourceQuota': resourceQuota,
  '/Secret': secret,
  '/Service': service,
  '/ServiceAccount': serviceAccount,
  'discovery.k8s.io/EndpointSlice': endpointSlice,
  'events.k8s.io/Event': event,
};
