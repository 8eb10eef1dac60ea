/**
 * Component schemas out of the table: types, references, required fields, and the marks that merging goes by.
 */
import type { ResourceInfo } from './registry.js';
import type { Definition, Field, FieldType } from './schema-table.js';
import { schemaTable } from './schema-table.js';
import type { JsonObject } from './typed.js';

export function refTo(definition: Definition): string {
  return `#/components/schemas/${definition.name}`;
}

/** Everything that the resources, their lists and the bodies of their operations reach. */
export function collectSchemas(resources: readonly ResourceInfo[]): JsonObject {
  const table = schemaTable();
  const pending: Definition[] = ['Status', 'DeleteOptions', 'Patch', 'WatchEvent'].map((name) =>
    table.definition(`io.k8s.apimachinery.pkg.apis.meta.v1.${name}`),
  );
  for (const info of resources) {
    if (info.definition) pending.push(info.definition);
    const list = table.byGvk(info.group, info.version, info.listKind);
    if (list) pending.push(list);
    for (const { definition } of info.subresources.values()) if (definition) pending.push(definition);
  }
  const reached = new Map<string, Definition>();
  for (let definition = pending.pop(); definition; definition = pending.pop()) {
    if (reached.has(definition.name)) continue;
    reached.set(definition.name, definition);
    for (const field of definition.fields.values()) {
      const target = referenceOf(field.type);
      if (target) pending.push(target);
    }
  }
  const gvkOfAll = resources.map(({ group, version }) => ({ group, version }))[0]!;
  const names = [...reached.keys()].sort();
  return Object.fromEntries(names.map((name) => [name, schemaOf(reached.get(name)!, gvkOfAll)]));
}

function referenceOf(type: FieldType): Definition | undefined {
  switch (type.kind) {
    case 'list':
    case 'map':
      return referenceOf(type.of);
    case 'object':
      return type.definition;
    default:
      return undefined;
  }
}

function schemaOf(
  definition: Definition,
  owner: { readonly group: string; readonly version: string },
): JsonObject {
  const special = specialSchema(definition);
  if (special) return special;
  const required = [...definition.fields.values()]
    .filter((field) => field.required)
    .map((field) => field.name);
  const properties = [...definition.fields.values()].map((field) => [field.name, propertyOf(field)] as const);
  return {
    description: describe(definition),
    type: 'object',
    ...(required.length > 0 ? { required } : {}),
    ...(properties.length > 0 ? { properties: Object.fromEntries(properties) } : {}),
    ...(definition.mapType ? { 'x-kubernetes-map-type': definition.mapType } : {}),
    ...kindsOf(definition, owner),
  };
}

/**
 * DeleteOptions belongs to every group version; in a document it is named with the one that the document is
 * about.
 */
function kindsOf(
  definition: Definition,
  owner: { readonly group: string; readonly version: string },
): JsonObject {
  const shared =
    definition.name.endsWith('.meta.v1.DeleteOptions') || definition.name.endsWith('.meta.v1.WatchEvent');
  const kind = definition.name.slice(definition.name.lastIndexOf('.') + 1);
  const gvks = shared ? [{ ...owner, kind }] : definition.gvks;
  return gvks.length > 0 ? { 'x-kubernetes-group-version-kind': gvks } : {};
}

function specialSchema(definition: Definition): JsonObject | undefined {
  const description = describe(definition);
  switch (definition.special) {
    case undefined:
      return undefined;
    case 'quantity':
      return { description, oneOf: [{ type: 'string' }, { type: 'number' }] };
    case 'intOrString':
      return { description, format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] };
    case 'time':
    case 'microTime':
      return { description, type: 'string', format: 'date-time' };
    case 'raw':
      return { description, type: 'object' };
    case 'json':
    case 'union':
      return { description };
    default:
      return definition.special satisfies never;
  }
}

function propertyOf(field: Field): JsonObject {
  return {
    description: `${field.name} of the object.`,
    ...typeOf(field.type),
    ...(field.listType ? { 'x-kubernetes-list-type': field.listType } : {}),
    ...(field.listMapKeys.length > 0 ? { 'x-kubernetes-list-map-keys': field.listMapKeys } : {}),
    ...(field.mapType ? { 'x-kubernetes-map-type': field.mapType } : {}),
    ...(field.patchStrategy.length > 0
      ? { 'x-kubernetes-patch-strategy': field.patchStrategy.join(',') }
      : {}),
    ...(field.patchMergeKey === undefined ? {} : { 'x-kubernetes-patch-merge-key': field.patchMergeKey }),
  };
}

function typeOf(type: FieldType): JsonObject {
  switch (type.kind) {
    case 'string':
      return { type: 'string' };
    case 'bytes':
      return { type: 'string', format: 'byte' };
    case 'boolean':
      return { type: 'boolean' };
    case 'double':
      return { type: 'number', format: 'double' };
    case 'int32':
    case 'int64':
      return { type: 'integer', format: type.kind };
    case 'list':
      return { type: 'array', items: typeOf(type.of) };
    case 'map':
      return { type: 'object', additionalProperties: typeOf(type.of) };
    case 'object':
      // OpenAPI 3.0 ignores what stands beside a $ref, so it is wrapped, as the real server does.
      return { allOf: [{ $ref: refTo(type.definition) }] };
    default:
      return type satisfies never;
  }
}

function describe(definition: Definition): string {
  const kind = definition.name.slice(definition.name.lastIndexOf('.') + 1);
  return `${kind} (see the Kubernetes API reference).`;
}
