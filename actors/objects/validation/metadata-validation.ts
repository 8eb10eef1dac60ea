/** Rules of metadata that hold for every kind (apimachinery api/validation/objectmeta.go). */
import { isDeepStrictEqual } from 'node:util';
import { objectLimits } from '../limits.js';
import type { NameCheck } from '../names.js';
import {
  annotationsSize,
  checkDns1035Label,
  checkDns1123Label,
  checkDns1123Subdomain,
  checkLabelValue,
  checkPathSegment,
  checkPrefix,
  checkQualifiedName,
} from '../names.js';
import { at, listAt, mapAt, textAt } from '../table/cells.js';
import type { FieldErrors } from './field-errors.js';

export interface ValidatedKind {
  readonly group: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

const nameChecks: Readonly<Record<string, NameCheck>> = {
  '/Service': checkDns1035Label,
  '/Namespace': checkDns1123Label,
  'rbac.authorization.k8s.io/Role': checkPathSegment,
  'rbac.authorization.k8s.io/RoleBinding': checkPathSegment,
  'rbac.authorization.k8s.io/ClusterRole': checkPathSegment,
  'rbac.authorization.k8s.io/ClusterRoleBinding': checkPathSegment,
};

function nameCheckOf(kind: ValidatedKind): NameCheck {
  return nameChecks[`${kind.group}/${kind.kind}`] ?? checkDns1123Subdomain;
}

export function validateMetadata(object: unknown, kind: ValidatedKind, errors: FieldErrors): void {
  const metadata = at(object, 'metadata');
  const check = nameCheckOf(kind);
  const generateName = textAt(metadata, 'generateName');
  const name = textAt(metadata, 'name');
  if (generateName !== '') {
    errors.invalidFor('metadata.generateName', generateName, checkPrefix(check, generateName));
  }
  if (name === '') errors.required('metadata.name', 'name or generateName is required');
  else errors.invalidFor('metadata.name', name, check(name));
  validateNamespace(textAt(metadata, 'namespace'), kind, errors);
  validateLabels(mapAt(metadata, 'labels'), 'metadata.labels', errors);
  validateAnnotations(mapAt(metadata, 'annotations'), 'metadata.annotations', errors);
  validateOwners(metadata, errors);
  for (const [index, finalizer] of listAt(metadata, 'finalizers').entries()) {
    validateFinalizer(`metadata.finalizers[${index}]`, String(finalizer), errors);
  }
}

const standardFinalizers = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);

export function validateFinalizer(field: string, finalizer: string, errors: FieldErrors): void {
  const faults = checkQualifiedName(finalizer);
  errors.invalidFor(field, finalizer, faults);
  if (faults.length > 0) return;
  if (finalizer.includes('/') || standardFinalizers.has(finalizer)) return;
  errors.invalid(field, finalizer, 'name is neither a standard finalizer name nor is it fully qualified');
}

function validateNamespace(namespace: string, kind: ValidatedKind, errors: FieldErrors): void {
  if (!kind.namespaced) {
    if (namespace !== '') errors.forbidden('metadata.namespace', 'not allowed on this type');
  } else if (namespace === '') errors.required('metadata.namespace');
  else errors.invalidFor('metadata.namespace', namespace, checkDns1123Label(namespace));
}

export function validateLabels(labels: Record<string, unknown>, field: string, errors: FieldErrors): void {
  for (const [key, value] of Object.entries(labels)) {
    errors.invalidFor(field, key, checkQualifiedName(key));
    errors.invalidFor(field, value, checkLabelValue(String(value)));
  }
}

export function validateAnnotations(
  annotations: Record<string, unknown>,
  field: string,
  errors: FieldErrors,
): void {
  for (const key of Object.keys(annotations))
    errors.invalidFor(field, key, checkQualifiedName(key.toLowerCase()));
  if (annotationsSize(annotations as Record<string, string>) > objectLimits.annotationsBytesMax) {
    errors.tooLong(field, objectLimits.annotationsBytesMax);
  }
}

function validateOwners(metadata: unknown, errors: FieldErrors): void {
  let controller = '';
  for (const [index, owner] of listAt(metadata, 'ownerReferences').entries()) {
    const field = `metadata.ownerReferences[${index}]`;
    if (textAt(owner, 'apiVersion') === '')
      errors.invalid(`${field}.apiVersion`, '', 'version must not be empty');
    if (textAt(owner, 'kind') === '') errors.invalid(`${field}.kind`, '', 'must not be empty');
    if (textAt(owner, 'name') === '') errors.invalid(`${field}.name`, '', 'must not be empty');
    if (textAt(owner, 'uid') === '') errors.invalid(`${field}.uid`, '', 'must not be empty');
    if (at(owner, 'controller') !== true) continue;
    const name = `${textAt(owner, 'kind')}/${textAt(owner, 'name')}`;
    if (controller !== '') {
      const detail =
        'Only one reference can have Controller set to true. Found "true" in references for ' +
        `${controller} and ${name}`;
      errors.invalid('metadata.ownerReferences', listAt(metadata, 'ownerReferences'), detail);
    }
    controller = name;
  }
}

/** What no update may change, once the server has carried uid and times over. */
export function validateMetadataUpdate(object: unknown, old: unknown, errors: FieldErrors): void {
  for (const key of ['name', 'namespace', 'uid', 'creationTimestamp', 'deletionTimestamp']) {
    const before = at(old, 'metadata', key);
    const now = at(object, 'metadata', key);
    if (!isDeepStrictEqual(before, now)) errors.immutable(`metadata.${key}`, now ?? '');
  }
  const generation = at(object, 'metadata', 'generation');
  const before = at(old, 'metadata', 'generation');
  if (typeof generation === 'number' && typeof before === 'number' && generation < before) {
    errors.invalid('metadata.generation', generation, 'must not be decremented');
  }
  if (at(old, 'metadata', 'deletionTimestamp') === undefined) return;
  const known = new Set(listAt(old, 'metadata', 'finalizers'));
  const added = listAt(object, 'metadata', 'finalizers').filter((finalizer) => !known.has(finalizer));
  if (added.length > 0) {
    const shown = added.map((finalizer) => JSON.stringify(finalizer)).join(', ');
    errors.forbidden(
      'metadata.finalizers',
      'no new finalizers can be added if the object is being deleted, found new finalizers ' +
        `[]string{${shown}}`,
    );
  }
}
