/**
 * The Kubernetes 1.36 schema as facts: every definition with its field types, protobuf numbers, list types
 * and patch marks, and every path with its verbs. Read once, on first use, from schema/kubernetes-1.36.json
 * (an edge: the only file this folder touches), then turned into linked definitions so that nobody parses
 * type strings twice.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

export type FieldType =
  | { readonly kind: 'string' | 'bytes' | 'boolean' | 'double' | 'int32' | 'int64' }
  | { readonly kind: 'list' | 'map'; readonly of: FieldType }
  | { readonly kind: 'object'; readonly definition: Definition };

/** Definitions that are written as one JSON value instead of an object with known fields. */
export type Special = 'quantity' | 'time' | 'microTime' | 'intOrString' | 'raw' | 'json' | 'union';

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly required: boolean;
  /** Go keeps it behind a pointer, so an explicit zero is told from an absent value. */
  readonly pointer: boolean;
  /** Printed even when zero (no `omitempty`). */
  readonly always: boolean;
  /** A struct that is dropped when it is zero (`omitzero`). */
  readonly omitZero: boolean;
  readonly proto: ProtoField | undefined;
  readonly listType: 'atomic' | 'set' | 'map' | undefined;
  readonly listMapKeys: readonly string[];
  readonly mapType: 'atomic' | 'granular' | undefined;
  readonly patchStrategy: readonly string[];
  readonly patchMergeKey: string | undefined;
}

export interface ProtoField {
  readonly number: number;
  /** As the .proto file has it: `repeated Container`, `map<string, bytes>`, `int32`. */
  readonly type: string;
}

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export interface Definition {
  /** `io.k8s.api.core.v1.Pod` */
  readonly name: string;
  /** Undefined fields: a free-form object. */
  readonly fields: ReadonlyMap<string, Field>;
  readonly special: Special | undefined;
  readonly mapType: 'atomic' | 'granular' | undefined;
  readonly gvks: readonly GroupVersionKind[];
  /** Fields of the protobuf message that its JSON form shows one level up (Go embedding). */
  readonly protoInline: Readonly<Record<string, ProtoField>>;
  /** Published as a string, with this format. */
  readonly format: string | undefined;
}

export interface PathOperation {
  readonly path: string;
  readonly method: string;
  readonly action: string;
  readonly gvk: GroupVersionKind;
}

interface RawField {
  type: string;
  proto?: [number, string];
  listType?: 'atomic' | 'set' | 'map';
  listMapKeys?: string[];
  mapType?: 'atomic' | 'granular';
  patchStrategy?: string;
  patchMergeKey?: string;
  pointer?: true;
  always?: true;
  omitZero?: true;
}

interface RawDefinition {
  fields?: Record<string, RawField>;
  required?: string[];
  /** 'many' for DeleteOptions and WatchEvent, which every group version has. */
  gvk?: string[] | 'many';
  mapType?: 'atomic' | 'granular';
  protoInline?: Record<string, [number, string]>;
  format?: string;
}

interface RawSchema {
  definitions: Record<string, RawDefinition>;
  messages: Record<string, Record<string, [number, string]>>;
  paths: Record<string, Record<string, [string, string]>>;
}

const tableUrl = new URL('../../../actors/objects/schema/kubernetes-1.36.json', import.meta.url);

const deleteOptions = 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions';

const specials: Readonly<Record<string, Special>> = {
  'io.k8s.apimachinery.pkg.api.resource.Quantity': 'quantity',
  'io.k8s.apimachinery.pkg.apis.meta.v1.Time': 'time',
  'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime': 'microTime',
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': 'intOrString',
  'io.k8s.apimachinery.pkg.runtime.RawExtension': 'raw',
  'io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1': 'raw',
  'io.k8s.apimachinery.pkg.apis.meta.v1.Patch': 'json',
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON': 'json',
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray': 'union',
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool': 'union',
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray': 'union',
};

export class SchemaTable {
  readonly definitions: ReadonlyMap<string, Definition>;
  /**
   * Protobuf messages that OpenAPI does not define, by full message name
   * (`k8s.io.apimachinery...ListOptions`).
   */
  readonly messages: ReadonlyMap<string, Readonly<Record<string, ProtoField>>>;
  readonly operations: readonly PathOperation[];
  readonly #byGvk: ReadonlyMap<string, Definition>;

  constructor(raw: RawSchema) {
    const definitions = linkDefinitions(raw.definitions);
    this.definitions = definitions;
    this.messages = new Map(
      Object.entries(raw.messages).map(([name, fields]) => [name, mapProtoFields(fields)]),
    );
    this.operations = Object.entries(raw.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, [action, gvk]]) => ({
        path,
        method,
        action,
        gvk: parseGvk(gvk),
      })),
    );
    const byGvk = new Map<string, Definition>();
    for (const definition of definitions.values()) {
      for (const gvk of definition.gvks) byGvk.set(`${gvk.group}/${gvk.version}/${gvk.kind}`, definition);
    }
    this.#byGvk = byGvk;
  }

  definition(name: string): Definition {
    const definition = this.definitions.get(name);
    assert(definition, `the schema table has no definition ${name}`);
    return definition;
  }

  byGvk(group: string, version: string, kind: string): Definition | undefined {
    if (kind === 'DeleteOptions') return this.definitions.get(deleteOptions);
    return this.#byGvk.get(`${group}/${version}/${kind}`);
  }
}

let loaded: SchemaTable | undefined;

/** The table of this release. */
export function schemaTable(): SchemaTable {
  loaded ??= new SchemaTable(JSON.parse(readFileSync(tableUrl, 'utf8')) as RawSchema);
  return loaded;
}

/** `apps/v1/Deployment`, and `/v1/Pod` for the core. */
function parseGvk(text: string): GroupVersionKind {
  const parts = text.split('/');
  assert(parts.length === 3, `not a group/version/kind: ${text}`);
  return { group: parts[0]!, version: parts[1]!, kind: parts[2]! };
}

function mapProtoFields(fields: Record<string, [number, string]>): Record<string, ProtoField> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, [number, type]]) => [name, { number, type }] as const),
  );
}

function linkDefinitions(raw: Record<string, RawDefinition>): Map<string, Definition> {
  const definitions = new Map<string, Definition & { fields: Map<string, Field> }>();
  for (const [name, definition] of Object.entries(raw)) {
    definitions.set(name, {
      name,
      fields: new Map(),
      special: specials[name],
      mapType: definition.mapType,
      gvks: Array.isArray(definition.gvk) ? definition.gvk.map(parseGvk) : [],
      protoInline: mapProtoFields(definition.protoInline ?? {}),
      format: definition.format,
    });
  }
  for (const [name, definition] of Object.entries(raw)) {
    const target = definitions.get(name)!.fields;
    const required = new Set(definition.required);
    for (const [field, facts] of Object.entries(definition.fields ?? {})) {
      target.set(field, linkField(field, facts, required.has(field), definitions));
    }
  }
  return definitions;
}

function linkField(
  name: string,
  raw: RawField,
  required: boolean,
  definitions: ReadonlyMap<string, Definition>,
): Field {
  return {
    name,
    type: parseType(raw.type, definitions),
    required,
    pointer: raw.pointer ?? false,
    always: raw.always ?? false,
    omitZero: raw.omitZero ?? false,
    proto: raw.proto && { number: raw.proto[0], type: raw.proto[1] },
    listType: raw.listType,
    listMapKeys: raw.listMapKeys ?? [],
    mapType: raw.mapType,
    patchStrategy: raw.patchStrategy?.split(',') ?? [],
    patchMergeKey: raw.patchMergeKey,
  };
}

/** The table's type grammar: `string`, `string:byte`, `integer:int32`, `#definition`, `[list]`, `{map}`. */
function parseType(text: string, definitions: ReadonlyMap<string, Definition>): FieldType {
  if (text.startsWith('[')) return { kind: 'list', of: parseType(text.slice(1, -1), definitions) };
  if (text.startsWith('{')) return { kind: 'map', of: parseType(text.slice(1, -1), definitions) };
  if (text.startsWith('#')) {
    const definition = definitions.get(text.slice(1));
    assert(definition, `the schema table refers to ${text}, which it does not define`);
    return { kind: 'object', definition };
  }
  switch (text) {
    case 'string':
    case 'boolean':
      return { kind: text };
    case 'string:byte':
      return { kind: 'bytes' };
    case 'number:double':
      return { kind: 'double' };
    case 'integer:int32':
      return { kind: 'int32' };
    case 'integer:int64':
      return { kind: 'int64' };
    default:
      return assert.fail(`the schema table has an unknown type ${text}`);
  }
}
