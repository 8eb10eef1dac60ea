/** metadata.managedFields, read into managers with their sets and written back in Kubernetes' order. */
import { objectLimits } from '../limits.js';
import { compareText } from '../text-order.js';
import { listAt, textAt, at } from '../table/cells.js';
import type { JsonObject } from '../typed.js';
import { isObject } from '../typed.js';
import { FieldSet } from './field-set.js';

export interface FieldManager {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string;
  readonly fields: FieldSet;
}

/** Fields that the server keeps for itself, and that nobody owns. */
const ownerless = [
  ['f:apiVersion'],
  ['f:kind'],
  ...[
    'creationTimestamp',
    'deletionGracePeriodSeconds',
    'deletionTimestamp',
    'generation',
    'managedFields',
    'name',
    'namespace',
    'resourceVersion',
    'selfLink',
    'uid',
  ].map((key) => ['f:metadata', `f:${key}`]),
];

export function withoutServerFields(fields: FieldSet): FieldSet {
  const gone = new FieldSet();
  for (const path of ownerless) gone.insert(path);
  const rest = fields.recursiveDifference(gone);
  const metadata = rest.children.get('f:metadata');
  // `metadata: {}` is no field of anyone's.
  if (metadata && metadata.children.size === 0) rest.children.delete('f:metadata');
  return rest;
}

/** A single empty entry is how a client asks for managedFields to be wiped. */
export function isReset(managedFields: unknown): boolean {
  return (
    Array.isArray(managedFields) &&
    managedFields.length === 1 &&
    isObject(managedFields[0]) &&
    Object.keys(managedFields[0]).length === 0
  );
}

export function readManagers(object: unknown): FieldManager[] {
  return listAt(object, 'metadata', 'managedFields').map((entry) => ({
    manager: textAt(entry, 'manager'),
    operation: textAt(entry, 'operation') === 'Apply' ? 'Apply' : 'Update',
    apiVersion: textAt(entry, 'apiVersion'),
    subresource: textAt(entry, 'subresource'),
    time: textAt(entry, 'time'),
    fields: FieldSet.fromFieldsV1(at(entry, 'fieldsV1')),
  }));
}

export function sameManager(a: FieldManager, b: Omit<FieldManager, 'fields' | 'time'>): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    a.subresource === b.subresource &&
    // An applier is one manager whatever version it speaks.
    (a.operation === 'Apply' || a.apiVersion === b.apiVersion)
  );
}

/** Empty sets are dropped; too many old updaters become one. */
export function writeManagers(managers: readonly FieldManager[]): JsonObject[] {
  const sorted = limitUpdaters(managers.filter((manager) => !manager.fields.isEmpty)).sort(
    (a, b) =>
      compareText(a.operation, b.operation) ||
      compareText(a.time, b.time) ||
      compareText(a.manager, b.manager) ||
      compareText(a.apiVersion, b.apiVersion) ||
      compareText(a.subresource, b.subresource),
  );
  return sorted.map(({ manager, operation, apiVersion, subresource, time, fields }) => ({
    apiVersion,
    fieldsType: 'FieldsV1',
    fieldsV1: fields.toFieldsV1(),
    manager,
    operation,
    ...(subresource === '' ? {} : { subresource }),
    ...(time === '' ? {} : { time }),
  }));
}

function limitUpdaters(managers: readonly FieldManager[]): FieldManager[] {
  const updaters = managers
    .filter((manager) => manager.operation === 'Update' && manager.subresource === '')
    .sort((a, b) => compareText(a.time, b.time));
  const excess = updaters.slice(0, Math.max(0, updaters.length - objectLimits.updateManagersMax));
  if (excess.length === 0) return [...managers];
  const merged = excess.reduce((all, manager) => all.union(manager.fields), new FieldSet());
  const rest = managers.filter((manager) => !excess.includes(manager));
  return [...rest, { ...excess.at(-1)!, manager: 'ancient-changes', fields: merged }];
}
