/**
 * What is wrong with an object, field by field, in Kubernetes' words; and the 422 that lists it (apimachinery
 * util/validation/field).
 */
import { ObjectError } from '../errors.js';
import type { StatusCause } from '../errors.js';

const causeReasons = {
  'Required value': 'FieldValueRequired',
  'Invalid value': 'FieldValueInvalid',
  'Unsupported value': 'FieldValueNotSupported',
  Forbidden: 'FieldValueForbidden',
  'Duplicate value': 'FieldValueDuplicate',
  'Too long': 'FieldValueTooLong',
  'Too many': 'FieldValueTooMany',
  'Not found': 'FieldValueNotFound',
} as const;

export interface FieldError {
  readonly type: keyof typeof causeReasons;
  readonly field: string;
  /** `Invalid value: "x": must be ...`, without the field. */
  readonly message: string;
}

/** Collects faults; every method names the field first. */
export class FieldErrors {
  readonly list: FieldError[] = [];

  required(field: string, detail = ''): void {
    this.#add('Required value', field, '', detail);
  }

  invalid(field: string, value: unknown, detail: string): void {
    this.#add('Invalid value', field, show(value), detail);
  }

  /** One fault per sentence; none when the list is empty. */
  invalidFor(field: string, value: unknown, faults: readonly string[]): void {
    for (const fault of faults) this.invalid(field, value, fault);
  }

  notSupported(field: string, value: unknown, supported: readonly string[]): void {
    const values = [...supported].sort().map((each) => JSON.stringify(each));
    this.#add('Unsupported value', field, show(value), `supported values: ${values.join(', ')}`);
  }

  forbidden(field: string, detail: string): void {
    this.#add('Forbidden', field, '', detail);
  }

  duplicate(field: string, value: unknown): void {
    this.#add('Duplicate value', field, show(value), '');
  }

  notFound(field: string, value: unknown): void {
    this.#add('Not found', field, show(value), '');
  }

  tooLong(field: string, bytesMax: number): void {
    this.#add('Too long', field, '', `may not be more than ${bytesMax} bytes`);
  }

  tooMany(field: string, count: number, max: number): void {
    this.#add('Too many', field, String(count), `must have at most ${max} items`);
  }

  immutable(field: string, value: unknown): void {
    this.invalid(field, value, 'field is immutable');
  }

  #add(type: FieldError['type'], field: string, value: string, detail: string): void {
    this.list.push({ type, field, message: [type, value, detail].filter((part) => part !== '').join(': ') });
  }
}

/**
 * The answer for an object with faults: `Deployment.apps "web" is invalid: spec.replicas: Invalid value:
 * ...`.
 */
export function invalidObject(
  kind: { readonly group: string; readonly kind: string },
  name: string,
  errors: readonly FieldError[],
): ObjectError {
  const texts = [...new Set(errors.map(({ field, message }) => `${field}: ${message}`))];
  const causes: StatusCause[] = errors.map(({ type, field, message }) => ({
    reason: causeReasons[type],
    message,
    field,
  }));
  const qualified = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`;
  const all = texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`;
  return new ObjectError('INVALID', `${qualified} ${JSON.stringify(name)} is invalid: ${all}`, { causes });
}

function show(value: unknown): string {
  if (value === undefined) return 'null';
  return JSON.stringify(value);
}
