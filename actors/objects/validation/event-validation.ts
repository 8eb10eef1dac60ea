/** Rules of events in their two groups (kubernetes pkg/apis/core/validation/events.go). */
import { isDeepStrictEqual } from 'node:util';
import { checkQualifiedName } from '../names.js';
import { at, textAt } from '../table/cells.js';
import type { FieldErrors } from './field-errors.js';

const reasonBytesMax = 128;
const actionBytesMax = 128;
const instanceBytesMax = 128;
const noteBytesMax = 1024;

/** Old clients write these: only the namespaces must agree. */
export function validateCoreEvent(event: unknown, errors: FieldErrors): void {
  validateNamespaces(event, 'involvedObject', errors);
}

/** Cluster-wide objects have their events in `default`. */
function validateNamespaces(event: unknown, subject: string, errors: FieldErrors): void {
  const own = textAt(event, 'metadata', 'namespace');
  const other = textAt(event, subject, 'namespace');
  const agree = other === '' ? own === 'default' || own === 'kube-system' : own === other;
  if (!agree) errors.invalid(`${subject}.namespace`, other, 'does not match event.namespace');
}

export function validateNewEvent(event: unknown, errors: FieldErrors): void {
  validateNamespaces(event, 'regarding', errors);
  if (at(event, 'eventTime') === undefined) errors.required('eventTime');
  const controller = textAt(event, 'reportingController');
  if (controller === '') errors.required('reportingController');
  else errors.invalidFor('reportingController', controller, checkQualifiedName(controller));
  bounded(event, 'reportingInstance', instanceBytesMax, errors);
  bounded(event, 'action', actionBytesMax, errors);
  bounded(event, 'reason', reasonBytesMax, errors);
  const note = textAt(event, 'note');
  if (Buffer.byteLength(note) > noteBytesMax)
    errors.invalid('note', '', `can have at most ${noteBytesMax} characters`);
  const type = textAt(event, 'type');
  if (type !== 'Normal' && type !== 'Warning') errors.invalid('type', '', 'has invalid value: ' + type);
}

function bounded(event: unknown, key: string, bytesMax: number, errors: FieldErrors): void {
  const value = textAt(event, key);
  if (value === '') errors.required(key);
  else if (Buffer.byteLength(value) > bytesMax)
    errors.invalid(key, '', `can have at most ${bytesMax} characters`);
}

const fixedKeys = [
  'regarding',
  'related',
  'reason',
  'action',
  'reportingController',
  'reportingInstance',
  'note',
  'type',
];

/** Only the series, and the deprecated counters, of an event go on. */
export function validateEventUpdate(event: unknown, old: unknown, errors: FieldErrors): void {
  for (const key of fixedKeys) {
    const value = at(event, key);
    if (!isDeepStrictEqual(value, at(old, key))) errors.immutable(key, value ?? '');
  }
}
