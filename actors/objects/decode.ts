/**
 * Request bodies to objects: JSON, YAML or protobuf, checked against the schema of the kind that the URL
 * names, with `fieldValidation` as KEP-2885 has it (Strict refuses unknown and duplicate fields, Warn reports
 * them, Ignore drops them). Keys are case-sensitive.
 */
import { parseDocument } from 'yaml';
import { findDuplicateFields } from './duplicate-fields.js';
import { ObjectError } from './errors.js';
import { objectLimits } from './limits.js';
import { decodeProtobuf, decodeProtobufAs } from './protobuf-reader.js';
import { apiVersionOf } from './registry.js';
import type { Definition } from './schema-table.js';
import { schemaTable } from './schema-table.js';
import type { JsonObject } from './typed.js';
import { FieldIssues, isObject, setOwn, sortKeys, toTyped } from './typed.js';

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export type BodyFormat = 'json' | 'yaml' | 'protobuf';

/** What the request is about: a ResourceInfo or a SubresourceInfo will do. */
export interface ExpectedKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly definition: Definition | undefined;
  readonly subresources?: ReadonlyMap<string, unknown>;
}

export interface Decoded {
  /** With apiVersion and kind; typed, keys sorted. */
  readonly object: JsonObject;
  /** For `Warning: 299` headers, under `Warn`. */
  readonly warnings: readonly string[];
}

const summaryBytesMax = 30;

interface ParsedBody {
  readonly value: unknown;
  readonly duplicates: readonly string[];
}

/** Undefined for a content type that bodies do not come in; an absent one is JSON. */
export function bodyFormatOf(contentType: string | undefined): BodyFormat | undefined {
  const mediaType = (contentType ?? '').split(';')[0]!.trim().toLowerCase();
  switch (mediaType) {
    case '':
    case 'application/json':
      return 'json';
    case 'application/yaml':
      return 'yaml';
    case 'application/vnd.kubernetes.protobuf':
      return 'protobuf';
    default:
      return undefined;
  }
}

/**
 * Throws UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, MALFORMED (syntax, wrong types, another kind) and
 * STRICT_DECODING.
 */
export function decodeObject(
  body: Uint8Array,
  contentType: string | undefined,
  expected: ExpectedKind,
  fieldValidation: FieldValidation,
): Decoded {
  const format = bodyFormatOf(contentType);
  if (!format) {
    throw new ObjectError(
      'UNSUPPORTED_MEDIA_TYPE',
      'the body of the request was in an unknown format - accepted media types include: ' +
        'application/json, application/yaml, application/vnd.kubernetes.protobuf',
    );
  }
  if (format === 'protobuf') {
    checkSize(body);
    const { apiVersion, kind, object } = expected.definition
      ? decodeProtobufAs(body, expected.definition)
      : decodeProtobuf(body);
    checkKind({ apiVersion, kind }, expected);
    return { object: withKind(object, expected), warnings: [] };
  }
  const { value, duplicates } = recognized(body, format, expected);
  return toObject(value, duplicates, expected, fieldValidation);
}

/** A document whose kind cannot even be read is refused with its first bytes (apiserver, transformDecodeError). */
function recognized(body: Uint8Array, format: 'json' | 'yaml', expected: ExpectedKind): ParsedBody {
  try {
    const parsed = parseBody(body, format);
    if (isObject(parsed.value)) return parsed;
    const goType =
      'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';
    throw new ObjectError(
      'MALFORMED',
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${describe(parsed.value)} ` +
        `into Go value of type ${goType}`,
    );
  } catch (error) {
    if (!(error instanceof ObjectError) || error.code !== 'MALFORMED') throw error;
    throw new ObjectError(
      'MALFORMED',
      `the object provided is unrecognized (must be of type ${expected.kind}): ${error.message} (${summary(body)})`,
      { cause: error },
    );
  }
}

function summary(body: Uint8Array): string {
  if (body.length === 0) return '<empty>';
  const start = Buffer.from(body.subarray(0, summaryBytesMax));
  const shown = start.toString(body[0] === 0x7b ? 'utf8' : 'hex');
  return body.length > summaryBytesMax ? `${shown} ...` : shown;
}

/** The same for a value that is already parsed: what a patch made of an object. */
export function decodeValue(
  value: unknown,
  expected: ExpectedKind,
  fieldValidation: FieldValidation,
): Decoded {
  return toObject(value, [], expected, fieldValidation);
}

/** A JSON or YAML document of any shape: patches, options. Throws TOO_LARGE and MALFORMED. */
export function parseBody(body: Uint8Array, format: 'json' | 'yaml'): ParsedBody {
  checkSize(body);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (cause) {
    throw new ObjectError('MALFORMED', 'the body is not valid UTF-8', { cause });
  }
  return format === 'json' ? parseJson(text) : parseYaml(text);
}

function toObject(
  value: unknown,
  duplicates: readonly string[],
  expected: ExpectedKind,
  fieldValidation: FieldValidation,
): Decoded {
  if (!isObject(value)) {
    throw cannotHandle(
      expected,
      `json: cannot unmarshal ${describe(value)} into Go value of type ${expected.kind}`,
    );
  }
  checkKind(value, expected);
  const issues = new FieldIssues();
  let object: JsonObject;
  try {
    object = expected.definition ? toTyped(value, expected.definition, issues) : toCustom(value, issues);
  } catch (error) {
    if (error instanceof ObjectError && error.code === 'MALFORMED')
      throw cannotHandle(expected, error.message, error);
    throw error;
  }
  // A field that nobody knows is not reported for standing there twice as well.
  const unknown = new Set(issues.unknown.map((fault) => fault.slice('unknown '.length)));
  const known = duplicates.filter((fault) => !unknown.has(fault.slice('duplicate '.length)));
  const faults = [...issues.unknown, ...known];
  if (faults.length > 0 && fieldValidation === 'Strict') {
    const yaml = known.filter((fault) => fault.startsWith('line '));
    const rest = faults.filter((fault) => !fault.startsWith('line '));
    if (yaml.length > 0) rest.unshift(['yaml: unmarshal errors:', ...yaml].join('\n  '));
    throw new ObjectError(
      'STRICT_DECODING',
      cannotHandle(expected, `strict decoding error: ${rest.join(', ')}`).message,
    );
  }
  return {
    object: withKind(object, expected),
    warnings: fieldValidation === 'Warn' ? faults : [],
  };
}

/** Kind and apiVersion first, as Go's TypeMeta has them. */
function withKind(object: JsonObject, expected: ExpectedKind): JsonObject {
  const named: JsonObject = { kind: expected.kind, apiVersion: apiVersionOf(expected) };
  for (const key of Object.keys(object)) {
    if (key !== 'kind' && key !== 'apiVersion') setOwn(named, key, object[key]);
  }
  return named;
}

/** Custom resources: only metadata has a schema here, the rest is the CustomResourceDefinition's. */
function toCustom(value: JsonObject, issues: FieldIssues): JsonObject {
  const meta = schemaTable().definition('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta');
  const object: JsonObject = {};
  for (const key of Object.keys(value).sort()) {
    if (key === 'metadata') {
      const inner = new FieldIssues();
      object[key] = toTyped(value[key] ?? {}, meta, inner);
      issues.unknown.push(...inner.unknown.map((fault) => fault.replace('field "', 'field "metadata.')));
    } else setOwn(object, key, sortKeys(value[key], meta));
  }
  return object;
}

function checkKind(given: JsonObject | { apiVersion: string; kind: string }, expected: ExpectedKind): void {
  const apiVersion = apiVersionOf(expected);
  const { apiVersion: givenVersion, kind } = given;
  if (givenVersion !== undefined && givenVersion !== '' && givenVersion !== apiVersion) {
    throw new ObjectError(
      'MALFORMED',
      `the API version in the data (${String(givenVersion)}) does not match the expected API ` +
        `version (${apiVersion})`,
    );
  }
  if (kind !== undefined && kind !== '' && kind !== expected.kind) {
    const [given, wanted] = [
      `${expected.version}.${String(kind)}`,
      `${packageOf(expected)}.${expected.kind}`,
    ];
    throw new ObjectError(
      'MALFORMED',
      `${String(kind)} in version "${expected.version}" cannot be handled as a ${expected.kind}: ` +
        `converting (${given}) to (${wanted}): unknown conversion`,
    );
  }
}

/** Go's package of a group: `apps`, `core`, `rbac`. */
function packageOf({ group }: ExpectedKind): string {
  return group === '' ? 'core' : group.split('.', 1)[0]!;
}

function cannotHandle(expected: ExpectedKind, detail: string, cause?: unknown): ObjectError {
  return new ObjectError(
    'MALFORMED',
    `${expected.kind} in version "${expected.version}" cannot be handled as a ${expected.kind}: ${detail}`,
    { cause },
  );
}

function checkSize(body: Uint8Array): void {
  if (body.byteLength > objectLimits.bodyBytesMax) {
    throw new ObjectError(
      'TOO_LARGE',
      `Request entity too large: limit is ${objectLimits.bodyBytesMax}, got ${body.byteLength}`,
    );
  }
}

function parseJson(text: string): { value: unknown; duplicates: readonly string[] } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ObjectError('MALFORMED', `couldn't get version/kind; json parse error: ${jsonFault(cause)}`, {
      cause,
    });
  }
  return { value, duplicates: findDuplicateFields(text, value) };
}

/** Go's words for the commonest fault; V8's for the others. */
function jsonFault(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : 'unknown';
  return message.replace(/^Unexpected end of JSON input/, 'unexpected end of JSON input');
}

function parseYaml(text: string): { value: unknown; duplicates: readonly string[] } {
  // A JSON body under a YAML content type is the common case (server-side apply).
  if (text.trimStart().startsWith('{')) {
    try {
      return parseJson(text);
    } catch (error) {
      if (!(error instanceof ObjectError)) throw error;
    }
  }
  const document = parseDocument(text, { merge: true, logLevel: 'silent', prettyErrors: true });
  const duplicates: string[] = [];
  for (const error of document.errors) {
    if (error.code !== 'DUPLICATE_KEY') {
      throw new ObjectError('MALFORMED', `error converting YAML to JSON: yaml: ${error.message}`, {
        cause: error,
      });
    }
    const key = text
      .slice(...error.pos)
      .split(':', 1)[0]!
      .trim();
    duplicates.push(`line ${error.linePos?.[0].line ?? 0}: key ${JSON.stringify(key)} already set in map`);
  }
  try {
    return { value: document.toJS({ maxAliasCount: objectLimits.yamlAliasesMax }) as unknown, duplicates };
  } catch (cause) {
    throw new ObjectError(
      'MALFORMED',
      `error converting YAML to JSON: yaml: ${cause instanceof Error ? cause.message : 'unknown'}`,
      { cause },
    );
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}
