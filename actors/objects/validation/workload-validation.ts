/** Rules of workloads (kubernetes pkg/apis/apps and pkg/apis/batch validation). */
import { isDeepStrictEqual } from 'node:util';
import { ObjectError } from '../errors.js';
import { labelSelectorFromMap, labelSelectorFromObject } from '../selectors.js';
import type { LabelSelectorObject, Labels } from '../selectors.js';
import { at, listAt, mapAt, textAt } from '../table/cells.js';
import { checkLabelValue, checkQualifiedName } from '../names.js';
import type { FieldErrors } from './field-errors.js';
import { validateTemplate } from './pod-validation.js';

const notNegative = 'must be greater than or equal to 0';

export function validateLabelSelector(selector: unknown, field: string, errors: FieldErrors): void {
  for (const [key, value] of Object.entries(mapAt(selector, 'matchLabels'))) {
    errors.invalidFor(`${field}.matchLabels`, key, checkQualifiedName(key));
    errors.invalidFor(`${field}.matchLabels`, value, checkLabelValue(String(value)));
  }
  for (const [index, expression] of listAt(selector, 'matchExpressions').entries()) {
    const path = `${field}.matchExpressions[${index}]`;
    const operator = textAt(expression, 'operator');
    const values = listAt(expression, 'values').length;
    if (operator === 'In' || operator === 'NotIn') {
      if (values === 0)
        errors.required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (values > 0) {
        errors.forbidden(
          `${path}.values`,
          "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        );
      }
    } else errors.invalid(`${path}.operator`, operator, 'not a valid selector operator');
    const key = textAt(expression, 'key');
    errors.invalidFor(`${path}.key`, key, checkQualifiedName(key));
  }
}

function validateCount(object: unknown, key: string, errors: FieldErrors): void {
  const value = at(object, 'spec', key);
  if (typeof value === 'number' && value < 0) errors.invalid(`spec.${key}`, value, notNegative);
}

/** ReplicaSets are called deployments here, in Kubernetes too. */
function selectorOwner(object: unknown): string {
  const kind = textAt(object, 'kind').toLowerCase();
  return kind === 'daemonset' || kind === 'statefulset' ? kind : 'deployment';
}

/** The selector must select what the template makes, or the controller would create pods for ever. */
function validateSelectorAndTemplate(object: unknown, errors: FieldErrors): void {
  const selector = at(object, 'spec', 'selector');
  const empty =
    Object.keys(mapAt(selector, 'matchLabels')).length === 0 &&
    listAt(selector, 'matchExpressions').length === 0;
  if (selector === undefined) errors.required('spec.selector');
  else {
    validateLabelSelector(selector, 'spec.selector', errors);
    if (empty)
      errors.invalid('spec.selector', selector, `empty selector is invalid for ${selectorOwner(object)}`);
  }
  const template = at(object, 'spec', 'template');
  const labels = mapAt(template, 'metadata', 'labels');
  const unselected = selector === undefined || (!empty && !selects(selector, labels));
  if (unselected) {
    errors.invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`');
  }
  validateTemplate(template, 'spec.template', errors);
  validateAlways(object, errors);
}

function selects(selector: unknown, labels: unknown): boolean {
  try {
    return labelSelectorFromObject(selector as LabelSelectorObject).matches(labels as Labels);
  } catch (error) {
    if (error instanceof ObjectError) return true; // The selector's own fault is already listed.
    throw error;
  }
}

function validateAlways(object: unknown, errors: FieldErrors): void {
  const policy = textAt(object, 'spec', 'template', 'spec', 'restartPolicy');
  if (policy !== '' && policy !== 'Always') {
    errors.notSupported('spec.template.spec.restartPolicy', policy, ['Always']);
  }
  if (at(object, 'spec', 'template', 'spec', 'activeDeadlineSeconds') !== undefined) {
    errors.forbidden(
      'spec.template.spec.activeDeadlineSeconds',
      'activeDeadlineSeconds in ReplicaSet is not Supported',
    );
  }
}

function isIntOrPercent(value: unknown): boolean {
  return typeof value === 'number' ? value >= 0 : typeof value === 'string' && /^\d+%$/.test(value);
}

function isZero(value: unknown): boolean {
  return value === 0 || value === '0%';
}

export function validateDeployment(object: unknown, errors: FieldErrors): void {
  validateCount(object, 'replicas', errors);
  validateCount(object, 'minReadySeconds', errors);
  validateCount(object, 'revisionHistoryLimit', errors);
  validateSelectorAndTemplate(object, errors);
  const strategy = at(object, 'spec', 'strategy');
  const rolling = at(strategy, 'rollingUpdate');
  switch (textAt(strategy, 'type')) {
    case 'Recreate':
      if (rolling !== undefined) {
        errors.forbidden(
          'spec.strategy.rollingUpdate',
          "may not be specified when strategy `type` is 'Recreate'",
        );
      }
      break;
    case 'RollingUpdate':
      if (rolling === undefined)
        errors.required('spec.strategy.rollingUpdate', 'this should be defaulted and never be nil');
      else validateRolling(rolling, 'spec.strategy.rollingUpdate', errors);
      break;
    default:
      errors.notSupported('spec.strategy.type', textAt(strategy, 'type'), ['Recreate', 'RollingUpdate']);
  }
  const deadline = at(object, 'spec', 'progressDeadlineSeconds');
  const ready = at(object, 'spec', 'minReadySeconds') ?? 0;
  if (typeof deadline === 'number' && deadline <= (ready as number)) {
    errors.invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds');
  }
}

function validateRolling(rolling: unknown, field: string, errors: FieldErrors): void {
  for (const key of ['maxUnavailable', 'maxSurge']) {
    const value = at(rolling, key);
    if (value !== undefined && !isIntOrPercent(value)) {
      errors.invalid(
        `${field}.${key}`,
        value,
        "a valid percent string must be a numeric string followed by an ending '%'",
      );
    }
  }
  if (isZero(at(rolling, 'maxUnavailable')) && isZero(at(rolling, 'maxSurge'))) {
    errors.invalid(
      `${field}.maxUnavailable`,
      at(rolling, 'maxUnavailable'),
      'may not be 0 when `maxSurge` is 0',
    );
  }
}

export function validateReplicaSet(object: unknown, errors: FieldErrors): void {
  validateCount(object, 'replicas', errors);
  validateCount(object, 'minReadySeconds', errors);
  validateSelectorAndTemplate(object, errors);
}

export function validateDaemonSet(object: unknown, errors: FieldErrors): void {
  validateSelectorAndTemplate(object, errors);
  const type = textAt(object, 'spec', 'updateStrategy', 'type');
  if (type !== 'RollingUpdate' && type !== 'OnDelete') {
    errors.notSupported('spec.updateStrategy.type', type, ['RollingUpdate', 'OnDelete']);
  }
}

export function validateStatefulSet(object: unknown, errors: FieldErrors): void {
  validateCount(object, 'replicas', errors);
  validateSelectorAndTemplate(object, errors);
  const policy = textAt(object, 'spec', 'podManagementPolicy');
  if (policy !== 'OrderedReady' && policy !== 'Parallel') {
    errors.notSupported('spec.podManagementPolicy', policy, ['OrderedReady', 'Parallel']);
  }
}

export function validateReplicationController(object: unknown, errors: FieldErrors): void {
  validateCount(object, 'replicas', errors);
  const selector = mapAt(object, 'spec', 'selector');
  if (Object.keys(selector).length === 0) errors.required('spec.selector');
  const template = at(object, 'spec', 'template');
  if (template === undefined) {
    errors.required('spec.template');
    return;
  }
  const labels = mapAt(template, 'metadata', 'labels');
  if (!labelSelectorFromMap(selector as Labels).matches(labels as Labels)) {
    errors.invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`');
  }
  validateTemplate(template, 'spec.template', errors);
  validateAlways(object, errors);
}

export function validateJob(object: unknown, errors: FieldErrors): void {
  for (const key of [
    'parallelism',
    'completions',
    'backoffLimit',
    'activeDeadlineSeconds',
    'ttlSecondsAfterFinished',
  ]) {
    validateCount(object, key, errors);
  }
  validateJobTemplate(at(object, 'spec', 'template'), 'spec.template', errors);
}

function validateJobTemplate(template: unknown, field: string, errors: FieldErrors): void {
  validateTemplate(template, field, errors);
  const policy = textAt(template, 'spec', 'restartPolicy');
  if (policy === 'Always' || policy === '') {
    errors.required(`${field}.spec.restartPolicy`, 'valid values: "OnFailure", "Never"');
  }
}

export function validateCronJob(object: unknown, errors: FieldErrors): void {
  const schedule = textAt(object, 'spec', 'schedule');
  if (schedule === '') errors.required('spec.schedule');
  else if (
    !/^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|@every \S+|(\S+\s+){4}\S+)$/.test(schedule)
  ) {
    errors.invalid(
      'spec.schedule',
      schedule,
      `expected exactly 5 fields, found ${schedule.trim().split(/\s+/).length}: [${schedule}]`,
    );
  }
  const policy = textAt(object, 'spec', 'concurrencyPolicy');
  if (!['Allow', 'Forbid', 'Replace'].includes(policy)) {
    errors.notSupported('spec.concurrencyPolicy', policy, ['Allow', 'Forbid', 'Replace']);
  }
  if (textAt(object, 'metadata', 'name').length > 52) {
    errors.invalid('metadata.name', textAt(object, 'metadata', 'name'), 'must be no more than 52 characters');
  }
  validateJobTemplate(
    at(object, 'spec', 'jobTemplate', 'spec', 'template'),
    'spec.jobTemplate.spec.template',
    errors,
  );
}

/** Fields of a spec that may never change. */
export function validateImmutable(
  object: unknown,
  old: unknown,
  keys: readonly string[],
  errors: FieldErrors,
): void {
  for (const key of keys) {
    const now = at(object, 'spec', key);
    if (!isDeepStrictEqual(now, at(old, 'spec', key))) errors.immutable(`spec.${key}`, now);
  }
}

const statefulSetMutable = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
];

export function validateStatefulSetUpdate(object: unknown, old: unknown, errors: FieldErrors): void {
  const fixed = (each: unknown) =>
    Object.fromEntries(
      Object.entries(mapAt(each, 'spec')).filter(([key]) => !statefulSetMutable.includes(key)),
    );
  if (!isDeepStrictEqual(fixed(object), fixed(old))) {
    const named = statefulSetMutable.map((key) => `'${key}'`);
    errors.forbidden(
      'spec',
      `updates to statefulset spec for fields other than ${named.slice(0, -1).join(', ')} and ` +
        `${named.at(-1)!} are forbidden`,
    );
  }
}

export function validateJobUpdate(object: unknown, old: unknown, errors: FieldErrors): void {
  const indexed = textAt(old, 'spec', 'completionMode') === 'Indexed';
  const suspended = at(old, 'spec', 'suspend') === true;
  const keys = ['selector', 'completionMode', 'podFailurePolicy', 'backoffLimitPerIndex'];
  if (!indexed) keys.push('completions');
  // A suspended job that has not started may still get its scheduling directives (KEP-2926).
  if (!suspended) keys.push('template');
  validateImmutable(object, old, keys, errors);
}
