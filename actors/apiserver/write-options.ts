/**
 * The query parameters of writes: dryRun, fieldManager, fieldValidation, force; refused together and in the words of
 * apimachinery's ValidateCreateOptions, ValidateUpdateOptions and ValidatePatchOptions.
 */
import type { ApiRequest } from './request.js';
import { isTrue, type ResourceRequestInfo } from './request-info.js';
import type { RequestContext } from './server-context.js';
import { invalidOptions, type StatusCause } from './status.js';

export type WriteOptions = Pick<RequestContext, 'dryRun' | 'fieldManager' | 'fieldValidation'>;

const kinds: Readonly<Record<string, string>> = {
  create: 'CreateOptions',
  update: 'UpdateOptions',
  patch: 'PatchOptions',
};

const fieldManagerBytesMax = 128;
const applyPatch = 'application/apply-patch+yaml';
const validations = ['', 'Ignore', 'Strict', 'Warn'];

/** Of requests that write nothing: what holds without options. Throws 422. */
export function writeOptionsOf(request: ApiRequest, { verb, query }: ResourceRequestInfo): WriteOptions {
  const agent = (request.headers['user-agent'] ?? 'unknown').split('/')[0]!.slice(0, fieldManagerBytesMax);
  const fieldManager = query.get('fieldManager') || agent || 'unknown';
  const kind = kinds[verb];
  const dryRun = query.getAll('dryRun');
  if (!kind) return { dryRun: dryRun.includes('All'), fieldManager, fieldValidation: 'Warn' };
  const causes: StatusCause[] = [...managerFaults(query.get('fieldManager') ?? '')];
  if (verb === 'patch') causes.push(...patchFaults(request, query));
  causes.push(...dryRunFaults(dryRun));
  const validation = query.get('fieldValidation') ?? '';
  if (!validations.includes(validation))
    causes.push(notSupported('fieldValidation', validation, validations));
  if (causes.length > 0) throw invalidOptions(kind, causes);
  return {
    dryRun: dryRun.length > 0,
    fieldManager,
    fieldValidation: (validation || 'Warn') as WriteOptions['fieldValidation'],
  };
}

export function dryRunFaults(values: readonly string[]): StatusCause[] {
  if (values.every((value) => value === 'All')) return [];
  return [notSupported('dryRun', values, ['All'])];
}

function managerFaults(manager: string): StatusCause[] {
  const faults: StatusCause[] = [];
  if (Buffer.byteLength(manager) > fieldManagerBytesMax) {
    const message = `Too long: may not be more than ${fieldManagerBytesMax} bytes`;
    faults.push({ reason: 'FieldValueTooLong', field: 'fieldManager', message });
  }
  const strange = [...manager].findIndex((letter) => /[\p{C}\p{Z}]/u.test(letter) && letter !== ' ');
  if (strange !== -1) {
    faults.push({
      reason: 'FieldValueInvalid',
      field: 'fieldManager',
      message:
        `Invalid value: ${JSON.stringify(manager)}: invalid character ` +
        `${JSON.stringify([...manager][strange])} (at position ${strange})`,
    });
  }
  return faults;
}

function patchFaults(request: ApiRequest, query: URLSearchParams): StatusCause[] {
  const applies = (request.headers['content-type'] ?? '').split(';')[0]!.trim() === applyPatch;
  if (applies && !query.get('fieldManager')) {
    const message = 'Required value: is required for apply patch';
    return [{ reason: 'FieldValueRequired', field: 'fieldManager', message }];
  }
  if (!applies && isTrue(query.get('force'))) {
    const message = 'Forbidden: may not be specified for non-apply patch';
    return [{ reason: 'FieldValueForbidden', field: 'force', message }];
  }
  return [];
}

export function notSupported(field: string, value: unknown, supported: readonly string[]): StatusCause {
  const list = supported.map((each) => JSON.stringify(each)).join(', ');
  return {
    reason: 'FieldValueNotSupported',
    field,
    message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${list}`,
  };
}
