/** Rules of containers: their names, ports, environment, mounts, resources and probes (kubernetes pkg/apis/core/validation). */
import {
  checkDns1123Label,
  checkEnvVarName,
  checkPortName,
  checkPortNumber,
  checkQualifiedName,
} from '../names.js';
import { compareQuantities, parseQuantity } from '../quantity.js';
import { at, listAt, mapAt, textAt } from '../table/cells.js';
import { isObject } from '../typed.js';
import type { FieldErrors } from './field-errors.js';

export const protocols = ['SCTP', 'TCP', 'UDP'];

export function validateContainers(
  spec: unknown,
  key: string,
  field: string,
  volumes: ReadonlySet<string>,
  names: Set<string>,
  errors: FieldErrors,
): void {
  for (const [index, container] of listAt(spec, key).entries()) {
    const path = `${field}.${key}[${index}]`;
    validateOwnName(container, path, names, errors);
    validateContainer(container, path, volumes, errors);
  }
}

function validateContainer(
  container: unknown,
  path: string,
  volumes: ReadonlySet<string>,
  errors: FieldErrors,
): void {
  const image = textAt(container, 'image');
  if (image === '') errors.required(`${path}.image`);
  else if (image.trim() !== image) {
    errors.invalid(`${path}.image`, image, 'must not have leading or trailing whitespace');
  }
  oneOf(container, 'imagePullPolicy', ['Always', 'IfNotPresent', 'Never'], path, errors);
  oneOf(container, 'terminationMessagePolicy', ['File', 'FallbackToLogsOnError'], path, errors);
  validatePorts(container, path, errors);
  validateEnvironment(container, path, errors);
  validateMounts(container, path, volumes, errors);
  validateResources(at(container, 'resources'), `${path}.resources`, errors);
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    if (at(container, probe) !== undefined)
      validateProbe(at(container, probe), `${path}.${probe}`, probe, errors);
  }
  for (const hook of ['postStart', 'preStop']) {
    const handler = at(container, 'lifecycle', hook);
    if (handler !== undefined)
      validateHandler(
        handler,
        `${path}.lifecycle.${hook}`,
        ['exec', 'httpGet', 'tcpSocket', 'sleep'],
        errors,
      );
  }
}

function validatePorts(container: unknown, path: string, errors: FieldErrors): void {
  const names = new Set<string>();
  for (const [index, port] of listAt(container, 'ports').entries()) {
    const field = `${path}.ports[${index}]`;
    const name = textAt(port, 'name');
    if (name !== '') {
      errors.invalidFor(`${field}.name`, name, checkPortName(name));
      if (names.has(name)) errors.duplicate(`${field}.name`, name);
      names.add(name);
    }
    const number = at(port, 'containerPort');
    if (number === undefined || number === 0) errors.required(`${field}.containerPort`);
    else errors.invalidFor(`${field}.containerPort`, number, checkPortNumber(number as number));
    const hostPort = at(port, 'hostPort');
    if (typeof hostPort === 'number' && hostPort !== 0) {
      errors.invalidFor(`${field}.hostPort`, hostPort, checkPortNumber(hostPort));
    }
    oneOf(port, 'protocol', protocols, field, errors);
  }
}

function validateEnvironment(container: unknown, path: string, errors: FieldErrors): void {
  for (const [index, variable] of listAt(container, 'env').entries()) {
    const field = `${path}.env[${index}]`;
    const name = textAt(variable, 'name');
    if (name === '') errors.required(`${field}.name`);
    else errors.invalidFor(`${field}.name`, name, checkEnvVarName(name));
    const source = at(variable, 'valueFrom');
    if (source === undefined) continue;
    if (textAt(variable, 'value') !== '') {
      errors.invalid(`${field}.valueFrom`, '', 'may not be specified when `value` is not empty');
    }
    const count = isObject(source) ? Object.keys(source).length : 0;
    if (count === 0) {
      errors.invalid(
        `${field}.valueFrom`,
        '',
        'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or ' +
          '`fileKeyRef`',
      );
    } else if (count > 1)
      errors.invalid(`${field}.valueFrom`, '', 'may not have more than one field specified at a time');
    for (const reference of ['configMapKeyRef', 'secretKeyRef']) {
      if (at(source, reference) !== undefined && textAt(source, reference, 'key') === '') {
        errors.required(`${field}.valueFrom.${reference}.key`);
      }
    }
  }
}

function validateMounts(
  container: unknown,
  path: string,
  volumes: ReadonlySet<string>,
  errors: FieldErrors,
): void {
  const paths = new Set<string>();
  for (const [index, mount] of listAt(container, 'volumeMounts').entries()) {
    const field = `${path}.volumeMounts[${index}]`;
    const name = textAt(mount, 'name');
    if (name === '') errors.required(`${field}.name`);
    else if (!volumes.has(name)) errors.notFound(`${field}.name`, name);
    const mountPath = textAt(mount, 'mountPath');
    if (mountPath === '') errors.required(`${field}.mountPath`);
    else if (paths.has(mountPath)) errors.invalid(`${field}.mountPath`, mountPath, 'must be unique');
    paths.add(mountPath);
    for (const key of ['subPath', 'subPathExpr']) {
      const value = textAt(mount, key);
      if (value.startsWith('/')) errors.invalid(`${field}.${key}`, value, 'must be a relative path');
      if (value.split('/').includes('..')) errors.invalid(`${field}.${key}`, value, "must not contain '..'");
    }
  }
}

function validateResources(resources: unknown, path: string, errors: FieldErrors): void {
  const limits = mapAt(resources, 'limits');
  for (const list of ['limits', 'requests']) {
    for (const [name, value] of Object.entries(mapAt(resources, list))) {
      errors.invalidFor(`${path}.${list}[${name}]`, name, checkQualifiedName(name));
      if (parseQuantity(String(value)).nanos < 0n) {
        errors.invalid(`${path}.${list}[${name}]`, value, 'must be greater than or equal to 0');
      }
    }
  }
  for (const [name, value] of Object.entries(mapAt(resources, 'requests'))) {
    const limit = limits[name];
    if (limit !== undefined && compareQuantities(String(value), String(limit)) > 0) {
      errors.invalid(
        `${path}.requests`,
        value,
        `must be less than or equal to ${name} limit of ${String(limit)}`,
      );
    }
  }
}

function validateProbe(probe: unknown, path: string, kind: string, errors: FieldErrors): void {
  validateHandler(probe, path, ['exec', 'httpGet', 'tcpSocket', 'grpc'], errors);
  for (const key of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ]) {
    const value = at(probe, key);
    if (typeof value === 'number' && value < 0) {
      errors.invalid(`${path}.${key}`, value, 'must be greater than or equal to 0');
    }
  }
  const successes = at(probe, 'successThreshold');
  if (kind !== 'readinessProbe' && typeof successes === 'number' && successes !== 1) {
    errors.invalid(`${path}.successThreshold`, successes, 'must be 1');
  }
}

function validateHandler(
  handler: unknown,
  path: string,
  types: readonly string[],
  errors: FieldErrors,
): void {
  const given = types.filter((type) => at(handler, type) !== undefined);
  if (given.length === 0) errors.required(path, 'must specify a handler type');
  for (const extra of given.slice(1))
    errors.forbidden(`${path}.${extra}`, 'may not specify more than 1 handler type');
  if (at(handler, 'exec') !== undefined && listAt(handler, 'exec', 'command').length === 0) {
    errors.required(`${path}.exec.command`);
  }
  for (const type of ['httpGet', 'tcpSocket', 'grpc']) {
    const port = at(handler, type, 'port');
    if (typeof port === 'number') errors.invalidFor(`${path}.${type}.port`, port, checkPortNumber(port));
    else if (typeof port === 'string') errors.invalidFor(`${path}.${type}.port`, port, checkPortName(port));
  }
}

/** Of a container or a volume: a label that no other in `names` has; it is put there. */
export function validateOwnName(
  object: unknown,
  path: string,
  names: Set<string>,
  errors: FieldErrors,
): void {
  const name = textAt(object, 'name');
  if (name === '') return errors.required(`${path}.name`);
  errors.invalidFor(`${path}.name`, name, checkDns1123Label(name));
  if (names.has(name)) errors.duplicate(`${path}.name`, name);
  names.add(name);
}

export function oneOf(
  object: unknown,
  key: string,
  supported: readonly string[],
  field: string,
  errors: FieldErrors,
): void {
  const value = textAt(object, key);
  if (value === '') errors.required(`${field}.${key}`);
  else if (!supported.includes(value)) errors.notSupported(`${field}.${key}`, value, supported);
}
