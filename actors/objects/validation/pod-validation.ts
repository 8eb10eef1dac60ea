/** Rules of pods and pod templates (kubernetes pkg/apis/core/validation). */
import { isDeepStrictEqual } from 'node:util';
import { checkDns1123Label, checkDns1123Subdomain, checkQualifiedName } from '../names.js';
import { at, listAt, mapAt, textAt } from '../table/cells.js';
import type { JsonObject } from '../typed.js';
import { isObject } from '../typed.js';
import { oneOf, validateContainers, validateOwnName } from './container-validation.js';
import type { FieldErrors } from './field-errors.js';
import { validateAnnotations, validateLabels } from './metadata-validation.js';

const graceMin = 0;

export function validatePod(pod: unknown, errors: FieldErrors): void {
  validatePodSpec(at(pod, 'spec'), 'spec', errors);
}

export function validateTemplate(template: unknown, field: string, errors: FieldErrors): void {
  validateLabels(mapAt(template, 'metadata', 'labels'), `${field}.metadata.labels`, errors);
  validateAnnotations(mapAt(template, 'metadata', 'annotations'), `${field}.metadata.annotations`, errors);
  validatePodSpec(at(template, 'spec'), `${field}.spec`, errors);
}

function validatePodSpec(spec: unknown, field: string, errors: FieldErrors): void {
  const volumes = validateVolumes(spec, field, errors);
  const names = new Set<string>();
  validateContainers(spec, 'initContainers', field, volumes, names, errors);
  validateContainers(spec, 'containers', field, volumes, names, errors);
  validateContainers(spec, 'ephemeralContainers', field, volumes, names, errors);
  if (listAt(spec, 'containers').length === 0) errors.required(`${field}.containers`);
  oneOf(spec, 'restartPolicy', ['Always', 'OnFailure', 'Never'], field, errors);
  oneOf(spec, 'dnsPolicy', ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'], field, errors);
  const grace = at(spec, 'terminationGracePeriodSeconds');
  if (typeof grace === 'number' && grace < graceMin) {
    errors.invalid(`${field}.terminationGracePeriodSeconds`, grace, 'must be greater than or equal to 0');
  }
  const deadline = at(spec, 'activeDeadlineSeconds');
  if (typeof deadline === 'number' && deadline < 1) {
    errors.invalid(`${field}.activeDeadlineSeconds`, deadline, 'must be between 1 and 2147483647, inclusive');
  }
  checkText(spec, 'serviceAccountName', checkDns1123Subdomain, field, errors);
  checkText(spec, 'nodeName', checkDns1123Subdomain, field, errors);
  checkText(spec, 'hostname', checkDns1123Label, field, errors);
  checkText(spec, 'subdomain', checkDns1123Label, field, errors);
  validateLabels(mapAt(spec, 'nodeSelector'), `${field}.nodeSelector`, errors);
  validateTolerations(spec, field, errors);
  validateSysctls(spec, field, errors);
}

function checkText(
  object: unknown,
  key: string,
  check: (value: string) => string[],
  field: string,
  errors: FieldErrors,
): void {
  const value = textAt(object, key);
  if (value !== '') errors.invalidFor(`${field}.${key}`, value, check(value));
}

function validateVolumes(spec: unknown, field: string, errors: FieldErrors): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [index, volume] of listAt(spec, 'volumes').entries()) {
    const path = `${field}.volumes[${index}]`;
    validateOwnName(volume, path, names, errors);
    const sources = isObject(volume) ? Object.keys(volume).filter((key) => key !== 'name') : [];
    if (sources.length === 0) errors.required(path, 'must specify a volume type');
    for (const extra of sources.slice(1))
      errors.forbidden(`${path}.${extra}`, 'may not specify more than 1 volume type');
    const hostPath = at(volume, 'hostPath');
    if (hostPath !== undefined && textAt(hostPath, 'path') === '') errors.required(`${path}.hostPath.path`);
    if (at(volume, 'secret') !== undefined && textAt(volume, 'secret', 'secretName') === '') {
      errors.required(`${path}.secret.secretName`);
    }
    if (at(volume, 'configMap') !== undefined && textAt(volume, 'configMap', 'name') === '') {
      errors.required(`${path}.configMap.name`);
    }
  }
  return names;
}

function validateTolerations(spec: unknown, field: string, errors: FieldErrors): void {
  for (const [index, toleration] of listAt(spec, 'tolerations').entries()) {
    const path = `${field}.tolerations[${index}]`;
    const key = textAt(toleration, 'key');
    const operator = textAt(toleration, 'operator');
    if (key !== '') errors.invalidFor(`${path}.key`, key, checkQualifiedName(key));
    else if (operator !== 'Exists') {
      errors.invalid(
        `${path}.operator`,
        operator,
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      );
    }
    if (operator === 'Exists' && textAt(toleration, 'value') !== '') {
      errors.invalid(`${path}.operator`, toleration, "value must be empty when `operator` is 'Exists'");
    }
    if (operator !== '' && !['Equal', 'Exists', 'Lt', 'Gt'].includes(operator)) {
      errors.notSupported(`${path}.operator`, operator, ['Equal', 'Exists']);
    }
    const effect = textAt(toleration, 'effect');
    if (at(toleration, 'tolerationSeconds') !== undefined && effect !== 'NoExecute') {
      errors.invalid(`${path}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    if (effect !== '' && !['NoSchedule', 'PreferNoSchedule', 'NoExecute'].includes(effect)) {
      errors.notSupported(`${path}.effect`, effect, ['NoSchedule', 'PreferNoSchedule', 'NoExecute']);
    }
  }
}

const sysctlPattern = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;

function validateSysctls(spec: unknown, field: string, errors: FieldErrors): void {
  for (const [index, sysctl] of listAt(spec, 'securityContext', 'sysctls').entries()) {
    const path = `${field}.securityContext.sysctls[${index}].name`;
    const name = textAt(sysctl, 'name');
    if (name === '') errors.required(path);
    else if (name.length > 253 || !sysctlPattern.test(name)) {
      errors.invalid(path, name, `must have at most 253 characters and match regex ${sysctlPattern.source}`);
    }
  }
}

const podUpdateText =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,' +
  '`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),' +
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** A pod's spec is fixed once it exists, but for images, deadlines, more tolerations and fewer gates. */
export function validatePodUpdate(pod: unknown, old: unknown, errors: FieldErrors): void {
  const before = structuredClone(mapAt(old, 'spec'));
  const now = structuredClone(mapAt(pod, 'spec'));
  validateDeadlineUpdate(now, before, errors);
  validateTolerationUpdate(now, before, errors);
  const gates = new Set(listAt(before, 'schedulingGates').map((gate) => textAt(gate, 'name')));
  for (const gate of listAt(now, 'schedulingGates')) {
    if (!gates.has(textAt(gate, 'name'))) {
      errors.forbidden(
        'spec.schedulingGates',
        'only deletion is allowed, but found new scheduling gate ' + `'${textAt(gate, 'name')}'`,
      );
    }
  }
  for (const key of ['containers', 'initContainers']) {
    for (const [index, container] of listAt(now, key).entries()) {
      const other = listAt(before, key)[index];
      if (isObject(container) && isObject(other)) other['image'] = container['image'];
    }
  }
  // A gated pod may still be steered: its node selector and affinity may be narrowed.
  const free = [
    'activeDeadlineSeconds',
    'tolerations',
    'schedulingGates',
    ...(gates.size > 0 ? ['nodeSelector', 'affinity'] : []),
  ];
  if (
    before['terminationGracePeriodSeconds'] === undefined ||
    (before['terminationGracePeriodSeconds'] as number) < 0
  ) {
    free.push('terminationGracePeriodSeconds');
  }
  for (const key of free) {
    delete before[key];
    delete now[key];
  }
  if (!isDeepStrictEqual(before, now)) errors.forbidden('spec', podUpdateText);
}

function validateDeadlineUpdate(now: JsonObject, before: JsonObject, errors: FieldErrors): void {
  const deadline = now['activeDeadlineSeconds'];
  const old = before['activeDeadlineSeconds'];
  if (typeof old !== 'number') return;
  if (typeof deadline !== 'number') {
    errors.invalid(
      'spec.activeDeadlineSeconds',
      null,
      'must not update from a positive integer to nil value',
    );
  } else if (deadline > old) {
    errors.invalid('spec.activeDeadlineSeconds', deadline, 'must be less than or equal to previous value');
  }
}

function validateTolerationUpdate(now: JsonObject, before: JsonObject, errors: FieldErrors): void {
  const kept = listAt(before, 'tolerations').every((old) =>
    listAt(now, 'tolerations').some((toleration) => {
      const same = (value: unknown) => ({ ...(value as JsonObject), tolerationSeconds: undefined });
      return isDeepStrictEqual(same(toleration), same(old));
    }),
  );
  if (!kept)
    errors.forbidden(
      'spec.tolerations',
      'existing toleration can not be modified except its tolerationSeconds',
    );
}
