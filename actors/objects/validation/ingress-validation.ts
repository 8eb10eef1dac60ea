/** Rules of ingresses (kubernetes pkg/apis/networking/validation). */
import { at, listAt, textAt } from '../table/cells.js';
import type { FieldErrors } from './field-errors.js';

const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix'];

export function validateIngress(ingress: unknown, errors: FieldErrors): void {
  const spec = at(ingress, 'spec');
  const rules = listAt(spec, 'rules');
  const backend = at(spec, 'defaultBackend');
  if (rules.length === 0 && backend === undefined) {
    errors.invalid('spec', spec ?? {}, 'either `defaultBackend` or `rules` must be specified');
  }
  if (backend !== undefined) validateBackend(backend, 'spec.defaultBackend', errors);
  for (const [index, rule] of rules.entries()) {
    for (const [position, path] of listAt(rule, 'http', 'paths').entries()) {
      validatePath(path, `spec.rules[${index}].http.paths[${position}]`, errors);
    }
  }
}

function validatePath(path: unknown, field: string, errors: FieldErrors): void {
  const type = textAt(path, 'pathType');
  const text = textAt(path, 'path');
  if (type === '') errors.required(`${field}.pathType`, 'pathType must be specified');
  else if (!pathTypes.includes(type)) errors.notSupported(`${field}.pathType`, type, pathTypes);
  else if (type !== 'ImplementationSpecific' && !text.startsWith('/')) {
    errors.invalid(`${field}.path`, text, 'must be an absolute path');
  }
  validateBackend(at(path, 'backend'), `${field}.backend`, errors);
}

function validateBackend(backend: unknown, field: string, errors: FieldErrors): void {
  const service = at(backend, 'service');
  if (service === undefined) {
    if (at(backend, 'resource') === undefined) errors.required(field, 'port name or number is required');
    return;
  }
  if (textAt(service, 'name') === '') errors.required(`${field}.service.name`);
  const port = at(service, 'port');
  if (textAt(port, 'name') === '' && !at(port, 'number')) {
    errors.required(field, 'port name or number is required');
  }
}
