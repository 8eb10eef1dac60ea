/**
 * The one place where the apiserver meets the object machinery: decoding, defaults, validation, versions, managed
 * fields and tables, each in the shape that the verbs need.
 */
import {
  apiVersionOf,
  applyDefaults as fillDefaults,
  applyServerSide,
  applyStrategicMergePatch,
  bodyFormatOf,
  convertObject,
  decodeObject,
  decodeProtobufAs,
  decodeValue,
  type ExpectedKind,
  type FieldValidation,
  invalidObject,
  isProtobuf,
  type JsonObject,
  ObjectError,
  parseBody,
  prepareForCreate,
  type ResourceInfo,
  schemaTable,
  toTable,
  trackUpdate as creditUpdate,
  validateCreate,
  validateSubresourceUpdate,
  validateUpdate,
} from '../objects/index.js';
import type { KubeObject } from '../objects/meta.js';
import type { Form } from './negotiation.js';
import { badRequest, type StatusCause, unsupportedMediaType } from './status.js';

export type { ExpectedKind, FieldValidation };

export interface Decoded {
  readonly object: KubeObject;
  readonly warnings: readonly string[];
}

const bodyTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];

/** A request body as an object of the kind expected. */
export function decodeBody(
  kind: ExpectedKind,
  contentType: string | undefined,
  body: Uint8Array,
  fieldValidation: FieldValidation,
): Decoded {
  const { object, warnings } = decodeObject(body, contentType, kind, fieldValidation);
  return { object: object as KubeObject, warnings };
}

/** What a patch made of an object, checked against the schema as a body is. */
export function checkFields(
  kind: ExpectedKind,
  object: KubeObject,
  fieldValidation: FieldValidation,
): Decoded {
  const checked = decodeValue(object, kind, fieldValidation);
  return { object: checked.object as KubeObject, warnings: checked.warnings };
}

/** DeleteOptions come with any group's apiVersion, or none. */
export function decodeDeleteOptions(contentType: string | undefined, body: Uint8Array): unknown {
  const definition = schemaTable().definition('io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions');
  const format = bodyFormatOf(contentType);
  if (!format) throw unsupportedMediaType(bodyTypes);
  if (format === 'protobuf' || isProtobuf(body)) return decodeProtobufAs(body, definition).object;
  const { value } = parseBody(body, format);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badRequest('DeleteOptions must be an object');
  }
  const { kind, apiVersion: _apiVersion, ...options } = value as Record<string, unknown>;
  if (kind !== undefined && kind !== '' && kind !== 'DeleteOptions') {
    throw badRequest('decoded object cannot be converted to DeleteOptions');
  }
  const expected = { group: 'meta.k8s.io', version: 'v1', kind: 'DeleteOptions', definition };
  return decodeValue(options, expected, 'Ignore').object;
}

/** A patch document. */
export function parsePatch(body: Uint8Array | undefined, format: 'json' | 'yaml'): unknown {
  try {
    return parseBody(body ?? new Uint8Array(), format).value;
  } catch (error) {
    if (!(error instanceof ObjectError) || error.code !== 'MALFORMED') throw error;
    const [, fault] = /json parse error: (.*)$/s.exec(error.message) ?? [];
    const what = format === 'yaml' ? 'error decoding YAML' : 'error decoding patch';
    throw badRequest(`${what}: ${fault ?? error.message}`, { cause: error });
  }
}

/** The stored object in the version of `info`; itself when that is the stored one. */
export function convertFromStored(info: ResourceInfo, object: KubeObject): KubeObject {
  if (isStoredVersion(info)) return object;
  const stored = { ...object, apiVersion: apiVersionOf(info.storage) } as JsonObject;
  const { apiVersion: _apiVersion, ...converted } = convertObject(stored, info.kind, info);
  return converted as KubeObject;
}

/** An object in the version of `info` as it is stored. */
export function convertToStored(info: ResourceInfo, object: KubeObject): KubeObject {
  if (isStoredVersion(info)) return object;
  const shown = { ...object, apiVersion: apiVersionOf(info) } as JsonObject;
  return convertObject(shown, info.kind, info.storage) as KubeObject;
}

export function isStoredVersion({ group, version, storage }: ResourceInfo): boolean {
  return storage.group === group && storage.version === version;
}

export function applyDefaults(kind: GroupKind, object: KubeObject): void {
  fillDefaults(object as JsonObject, kind);
}

/** The status of a kind as it prints when nothing has written one yet; undefined when it is left out. */
export function firstStatus(kind: ExpectedKind): unknown {
  if (!kind.definition) return undefined;
  const known = firstStatuses.get(kind.definition);
  if (known) return structuredClone(known.status);
  const { status } = decodeValue({ metadata: {} }, kind, 'Ignore').object;
  firstStatuses.set(kind.definition, { status });
  return structuredClone(status);
}

const firstStatuses = new WeakMap<object, { readonly status: unknown }>();

/** What the server writes into a new object: its first status, selectors that follow from the uid. */
export function prepareNew(kind: GroupKind, object: KubeObject): void {
  prepareForCreate(object as JsonObject, kind);
}

interface GroupKind {
  readonly group: string;
  readonly kind: string;
}

/** What is wrong with an object that is complete; `old` of an update. */
export function validateObject(
  info: ResourceInfo,
  object: KubeObject,
  old: KubeObject | undefined,
  subresource: string,
): readonly StatusCause[] {
  const faults =
    old === undefined
      ? validateCreate(object, info)
      : subresource === ''
        ? validateUpdate(object, old, info)
        : validateSubresourceUpdate(object, old, info);
  if (faults.length === 0) return [];
  return invalidObject(info, object.metadata?.name ?? '', faults).causes;
}

export function tableOf(
  info: ResourceInfo,
  objects: readonly KubeObject[],
  options: {
    readonly includeObject: Form['includeObject'];
    readonly nowMs: number;
    readonly metadata: object;
    readonly withoutColumns: boolean;
  },
): unknown {
  const { metadata, ...rest } = options;
  return toTable(objects, { group: info.group, kind: info.kind, metadata: { ...metadata }, ...rest });
}

export interface Writer {
  readonly manager: string;
  readonly nowMs: number;
  /** '' for the object itself. */
  readonly subresource: string;
}

/** The object with managedFields that credit the writer with what it changed by hand (no apply). */
export function trackUpdate(
  kind: ExpectedKind,
  live: KubeObject | undefined,
  object: KubeObject,
  writer: Writer,
): KubeObject {
  return creditUpdate({
    kind,
    live: live as JsonObject | undefined,
    object: object as JsonObject,
    ...writer,
  }) as KubeObject;
}

export function strategicMerge(kind: ExpectedKind, object: KubeObject, patch: unknown): KubeObject {
  const { definition } = kind;
  if (!definition)
    throw unsupportedMediaType(['application/json-patch+json', 'application/merge-patch+json']);
  return applyStrategicMergePatch(object as JsonObject, patch, definition) as KubeObject;
}

/** The object as server-side apply wants it written; 409 when others own its fields and it is not forced. */
export function serverSideApply(
  kind: ExpectedKind,
  live: KubeObject | undefined,
  patch: unknown,
  writer: Writer & { readonly force: boolean },
): KubeObject {
  return applyServerSide({ kind, live: live as JsonObject | undefined, patch, ...writer }) as KubeObject;
}
