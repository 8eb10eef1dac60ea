/** Rules of services, configuration, nodes, endpoints, access control and the rest. */
import { isDeepStrictEqual } from 'node:util';
import ipaddr from 'ipaddr.js';
import {
  checkConfigMapKey,
  checkDns1123Label,
  checkDns1123Subdomain,
  checkLabelValue,
  checkPortName,
  checkPortNumber,
  checkQualifiedName,
} from '../names.js';
import { at, listAt, mapAt, numberAt, textAt } from '../table/cells.js';
import type { FieldErrors } from './field-errors.js';
import { validateFinalizer, validateLabels } from './metadata-validation.js';
import { protocols } from './container-validation.js';
import { validateLabelSelector } from './workload-validation.js';

const dataBytesMax = 1024 * 1024;
const endpointsPerSliceMax = 1000;
const portsPerSliceMax = 100;
const serviceTypes = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const ipText = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';

function isIPv4(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text);
}

function isIPv6(text: string): boolean {
  return ipaddr.IPv6.isValid(text) && !text.includes('%');
}

function isAddress(text: string): boolean {
  return isIPv4(text) || isIPv6(text);
}

export function validateService(object: unknown, errors: FieldErrors): void {
  const type = textAt(object, 'spec', 'type');
  const headless = textAt(object, 'spec', 'clusterIP') === 'None';
  if (!serviceTypes.includes(type)) errors.notSupported('spec.type', type, serviceTypes);
  const affinity = textAt(object, 'spec', 'sessionAffinity');
  if (affinity !== 'None' && affinity !== 'ClientIP') {
    errors.notSupported('spec.sessionAffinity', affinity, ['ClientIP', 'None']);
  }
  validateLabels(mapAt(object, 'spec', 'selector'), 'spec.selector', errors);
  if (type === 'ExternalName') {
    const name = textAt(object, 'spec', 'externalName');
    if (name === '') errors.required('spec.externalName');
    else errors.invalidFor('spec.externalName', name, checkDns1123Subdomain(name.replace(/\.$/, '')));
  } else if (listAt(object, 'spec', 'ports').length === 0 && !headless) errors.required('spec.ports');
  validateServicePorts(object, type, errors);
  for (const [index, ip] of listAt(object, 'spec', 'clusterIPs').entries()) {
    if (ip !== 'None' && !isAddress(String(ip))) errors.invalid(`spec.clusterIPs[${index}]`, ip, ipText);
  }
  for (const [index, ip] of listAt(object, 'spec', 'externalIPs').entries()) {
    if (!isAddress(String(ip))) errors.invalid(`spec.externalIPs[${index}]`, ip, ipText);
  }
}

function validateServicePorts(object: unknown, type: string, errors: FieldErrors): void {
  const ports = listAt(object, 'spec', 'ports');
  const names = new Set<string>();
  const numbers = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const field = `spec.ports[${index}]`;
    const name = textAt(port, 'name');
    if (name !== '') {
      errors.invalidFor(`${field}.name`, name, checkDns1123Label(name));
      if (names.has(name)) errors.duplicate(`${field}.name`, name);
      names.add(name);
    } else if (ports.length > 1) errors.required(`${field}.name`);
    errors.invalidFor(`${field}.port`, numberAt(port, 'port'), checkPortNumber(numberAt(port, 'port')));
    const protocol = textAt(port, 'protocol');
    if (!protocols.includes(protocol)) errors.notSupported(`${field}.protocol`, protocol, protocols);
    const key = `${protocol}/${numberAt(port, 'port')}`;
    if (numbers.has(key)) errors.duplicate(field, { port: numberAt(port, 'port'), protocol });
    numbers.add(key);
    const target = at(port, 'targetPort');
    if (typeof target === 'number') errors.invalidFor(`${field}.targetPort`, target, checkPortNumber(target));
    else if (typeof target === 'string')
      errors.invalidFor(`${field}.targetPort`, target, checkPortName(target));
    if (numberAt(port, 'nodePort') !== 0 && (type === 'ClusterIP' || type === 'ExternalName')) {
      errors.forbidden(`${field}.nodePort`, `may not be used when \`type\` is '${type}'`);
    }
  }
}

/** A cluster IP, once given, stays, unless the service turns into or out of an external name. */
export function validateServiceUpdate(object: unknown, old: unknown, errors: FieldErrors): void {
  const wasExternal = textAt(old, 'spec', 'type') === 'ExternalName';
  const isExternal = textAt(object, 'spec', 'type') === 'ExternalName';
  if (wasExternal || isExternal) return;
  const before = textAt(old, 'spec', 'clusterIP');
  const now = textAt(object, 'spec', 'clusterIP');
  if (before !== '' && now !== before) {
    errors.invalid('spec.clusterIPs[0]', now, 'may not change once set');
  }
}

function validateKeys(map: Record<string, unknown>, field: string, errors: FieldErrors): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(map)) {
    errors.invalidFor(`${field}[${key}]`, key, checkConfigMapKey(key));
    bytes += field === 'data' ? Buffer.byteLength(String(value)) : Buffer.byteLength(String(value), 'base64');
  }
  return bytes;
}

export function validateConfigMap(object: unknown, errors: FieldErrors): void {
  const data = mapAt(object, 'data');
  const binary = mapAt(object, 'binaryData');
  const bytes = validateKeys(data, 'data', errors) + validateKeys(binary, 'binaryData', errors);
  for (const key of Object.keys(binary)) {
    if (Object.hasOwn(data, key))
      errors.invalid(`data[${key}]`, key, 'duplicate of key present in binaryData');
  }
  if (bytes > dataBytesMax) errors.tooLong('', dataBytesMax);
}

/** Shared by secrets: `immutable` seals the data and itself. */
export function validateSealed(
  object: unknown,
  old: unknown,
  keys: readonly string[],
  errors: FieldErrors,
): void {
  if (at(old, 'immutable') !== true) return;
  const text = 'field is immutable when `immutable` is set';
  if (at(object, 'immutable') !== true) errors.forbidden('immutable', text);
  for (const key of keys) {
    if (!isDeepStrictEqual(mapAt(object, key), mapAt(old, key))) errors.forbidden(key, text);
  }
}

const secretKeys: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
};
const serviceAccountAnnotation = 'kubernetes.io/service-account.name';

export function validateSecret(object: unknown, errors: FieldErrors): void {
  const data = mapAt(object, 'data');
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) {
    errors.invalidFor(`data[${key}]`, key, checkConfigMapKey(key));
    bytes += Buffer.byteLength(String(value), 'base64');
  }
  if (bytes > dataBytesMax) errors.tooLong('data', dataBytesMax);
  const type = textAt(object, 'type');
  for (const key of secretKeys[type] ?? []) {
    if (!Object.hasOwn(data, key)) errors.required(`data[${key}]`);
  }
  if (type === 'kubernetes.io/basic-auth' && !('username' in data) && !('password' in data)) {
    errors.required('data[username]');
    errors.required('data[password]');
  }
  if (
    type === 'kubernetes.io/service-account-token' &&
    textAt(object, 'metadata', 'annotations', serviceAccountAnnotation) === ''
  ) {
    errors.required(`metadata.annotations[${serviceAccountAnnotation}]`);
  }
}

export function validateNamespace(object: unknown, errors: FieldErrors): void {
  for (const [index, finalizer] of listAt(object, 'spec', 'finalizers').entries()) {
    validateFinalizer(`spec.finalizers[${index}]`, String(finalizer), errors);
  }
}

export function validateNode(object: unknown, errors: FieldErrors): void {
  const seen = new Set<string>();
  for (const [index, taint] of listAt(object, 'spec', 'taints').entries()) {
    const field = `spec.taints[${index}]`;
    const [key, effect] = [textAt(taint, 'key'), textAt(taint, 'effect')];
    errors.invalidFor(`${field}.key`, key, checkQualifiedName(key));
    errors.invalidFor(`${field}.value`, textAt(taint, 'value'), checkLabelValue(textAt(taint, 'value')));
    if (!['NoSchedule', 'PreferNoSchedule', 'NoExecute'].includes(effect)) {
      errors.notSupported(`${field}.effect`, effect, ['NoSchedule', 'PreferNoSchedule', 'NoExecute']);
    }
    if (seen.has(`${key}:${effect}`)) errors.duplicate(field, taint);
    seen.add(`${key}:${effect}`);
  }
}

export function validateNodeUpdate(object: unknown, old: unknown, errors: FieldErrors): void {
  for (const key of ['podCIDR', 'providerID']) {
    const before = textAt(old, 'spec', key);
    if (before !== '' && textAt(object, 'spec', key) !== before) {
      errors.forbidden(`spec.${key}`, 'node updates may not change ' + `${key} except from "" to valid`);
    }
  }
}

export function validateEndpoints(object: unknown, errors: FieldErrors): void {
  for (const [index, subset] of listAt(object, 'subsets').entries()) {
    const field = `subsets[${index}]`;
    if (listAt(subset, 'addresses').length === 0 && listAt(subset, 'notReadyAddresses').length === 0) {
      errors.required(field, 'must specify `addresses` or `notReadyAddresses`');
    }
    for (const list of ['addresses', 'notReadyAddresses']) {
      for (const [position, address] of listAt(subset, list).entries()) {
        const ip = textAt(address, 'ip');
        if (!isAddress(ip)) errors.invalid(`${field}.${list}[${position}].ip`, ip, ipText);
      }
    }
    const ports = listAt(subset, 'ports');
    for (const [position, port] of ports.entries()) {
      const path = `${field}.ports[${position}]`;
      errors.invalidFor(`${path}.port`, numberAt(port, 'port'), checkPortNumber(numberAt(port, 'port')));
      if (ports.length > 1 && textAt(port, 'name') === '') errors.required(`${path}.name`);
    }
  }
}

export function validateEndpointSlice(object: unknown, errors: FieldErrors): void {
  const type = textAt(object, 'addressType');
  const types = ['IPv4', 'IPv6', 'FQDN'];
  if (type === '') errors.required('addressType');
  else if (!types.includes(type)) errors.notSupported('addressType', type, types);
  const endpoints = listAt(object, 'endpoints');
  if (endpoints.length > endpointsPerSliceMax)
    errors.tooMany('endpoints', endpoints.length, endpointsPerSliceMax);
  const ports = listAt(object, 'ports');
  if (ports.length > portsPerSliceMax) errors.tooMany('ports', ports.length, portsPerSliceMax);
  for (const [index, endpoint] of endpoints.entries()) {
    const addresses = listAt(endpoint, 'addresses');
    const field = `endpoints[${index}].addresses`;
    if (addresses.length === 0) errors.required(field, 'must contain at least 1 address');
    for (const [position, address] of addresses.entries()) {
      const text = String(address);
      const fits = type === 'FQDN' || (type === 'IPv4' ? isIPv4(text) : isIPv6(text));
      if (!fits) errors.invalid(`${field}[${position}]`, text, `must be a valid ${type} address`);
    }
  }
}

export function validateLease(object: unknown, errors: FieldErrors): void {
  const duration = at(object, 'spec', 'leaseDurationSeconds');
  if (typeof duration === 'number' && duration <= 0) {
    errors.invalid('spec.leaseDurationSeconds', duration, 'must be greater than 0');
  }
  const transitions = at(object, 'spec', 'leaseTransitions');
  if (typeof transitions === 'number' && transitions < 0) {
    errors.invalid('spec.leaseTransitions', transitions, 'must be greater than or equal to 0');
  }
}

export function validateRole(namespaced: boolean): (object: unknown, errors: FieldErrors) => void {
  return (object, errors) => {
    for (const [index, rule] of listAt(object, 'rules').entries()) {
      const field = `rules[${index}]`;
      if (listAt(rule, 'verbs').length === 0)
        errors.required(`${field}.verbs`, 'verbs must contain at least one value');
      const urls = listAt(rule, 'nonResourceURLs');
      const resources = listAt(rule, 'resources');
      if (urls.length > 0) {
        if (namespaced) {
          errors.invalid(
            `${field}.nonResourceURLs`,
            urls,
            'namespaced rules cannot apply to non-resource URLs',
          );
        }
        if (listAt(rule, 'apiGroups').length > 0 || resources.length > 0) {
          errors.invalid(
            `${field}.nonResourceURLs`,
            urls,
            'rules cannot apply to both regular resources and non-resource URLs',
          );
        }
        continue;
      }
      if (listAt(rule, 'apiGroups').length === 0) {
        errors.required(`${field}.apiGroups`, 'resource rules must supply at least one api group');
      }
      if (resources.length === 0)
        errors.required(`${field}.resources`, 'resource rules must supply at least one resource');
    }
  };
}

const rbacGroup = 'rbac.authorization.k8s.io';

export function validateBinding(namespaced: boolean): (object: unknown, errors: FieldErrors) => void {
  return (object, errors) => {
    const roleRef = at(object, 'roleRef');
    const group = textAt(roleRef, 'apiGroup');
    if (group !== rbacGroup) errors.notSupported('roleRef.apiGroup', group, [rbacGroup]);
    const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
    const kind = textAt(roleRef, 'kind');
    if (!kinds.includes(kind)) errors.notSupported('roleRef.kind', kind, kinds);
    if (textAt(roleRef, 'name') === '') errors.required('roleRef.name');
    for (const [index, subject] of listAt(object, 'subjects').entries()) {
      const field = `subjects[${index}]`;
      const subjectKind = textAt(subject, 'kind');
      if (textAt(subject, 'name') === '') errors.required(`${field}.name`);
      if (!['ServiceAccount', 'User', 'Group'].includes(subjectKind)) {
        errors.notSupported(`${field}.kind`, subjectKind, ['ServiceAccount', 'User', 'Group']);
      } else if (subjectKind === 'ServiceAccount' && !namespaced && textAt(subject, 'namespace') === '') {
        errors.required(`${field}.namespace`);
      }
    }
  };
}

export function validateBindingUpdate(object: unknown, old: unknown, errors: FieldErrors): void {
  if (!isDeepStrictEqual(at(object, 'roleRef'), at(old, 'roleRef'))) {
    errors.invalid('roleRef', at(object, 'roleRef'), 'cannot change roleRef');
  }
}

export function validatePodDisruptionBudget(object: unknown, errors: FieldErrors): void {
  const spec = at(object, 'spec');
  const bounds = ['minAvailable', 'maxUnavailable'].filter((key) => at(spec, key) !== undefined);
  if (bounds.length === 2) {
    errors.invalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set');
  }
  for (const key of bounds) {
    const value = at(spec, key);
    if (typeof value === 'number' && value < 0) {
      errors.invalid(`spec.${key}`, value, 'must be greater than or equal to 0');
    } else if (typeof value === 'string' && !/^(\d{1,2}|100)%$/.test(value)) {
      errors.invalid(
        `spec.${key}`,
        value,
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or " +
          "'93%', regex used for validation is '[0-9]+%')",
      );
    }
  }
  validateLabelSelector(at(spec, 'selector'), 'spec.selector', errors);
}

const claimUpdateText =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';

export function validateClaimUpdate(object: unknown, old: unknown, errors: FieldErrors): void {
  const fixed = (claim: unknown) => {
    const spec = structuredClone(mapAt(claim, 'spec'));
    delete spec['resources'];
    delete spec['volumeAttributesClassName'];
    return spec;
  };
  const [now, before] = [fixed(object), fixed(old)];
  // The binder fills these in once.
  for (const key of ['volumeName', 'storageClassName']) {
    if (before[key] === undefined) delete now[key];
  }
  if (!isDeepStrictEqual(now, before)) errors.forbidden('spec', claimUpdateText);
}
