/**
 * How each definition lies on the wire: field number to JSON field, worked out once per definition from the
 * schema table. Fields that Go embeds and JSON shows one level up (a Volume's source, a Container's common
 * part) have a plan of their own that writes into the same object.
 */
import assert from 'node:assert/strict';
import type { Definition, FieldType, ProtoField } from './schema-table.js';
import { schemaTable } from './schema-table.js';

export interface WireField {
  readonly name: string;
  readonly number: number;
  readonly type: FieldType;
  /** A list that protobuf wraps in a message of its own, `items` = 1 (ExtraValue, Verbs). */
  readonly wrapped: boolean;
  readonly pointer: boolean;
}

export type WireEntry =
  | { readonly type: 'field'; readonly field: WireField }
  | { readonly type: 'inline'; readonly number: number; readonly plan: WirePlan };

export interface WirePlan {
  readonly byNumber: ReadonlyMap<number, WireEntry>;
  /** In the order of field numbers, as Go writes them. */
  readonly entries: readonly WireEntry[];
}

const plans = new WeakMap<Definition, WirePlan>();

export function wirePlanOf(definition: Definition): WirePlan {
  const known = plans.get(definition);
  if (known) return known;
  const entries: WireEntry[] = [];
  for (const field of definition.fields.values()) {
    if (field.proto) entries.push({ type: 'field', field: wireField(field.name, field.proto, definition) });
  }
  for (const [name, inline] of Object.entries(definition.protoInline)) {
    // `xKubernetesListType` is `x-kubernetes-list-type` in JSON: the one message whose names differ.
    const dashed = name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
    if (definition.fields.has(dashed)) {
      entries.push({ type: 'field', field: wireField(dashed, inline, definition) });
    } else entries.push({ type: 'inline', number: inline.number, plan: inlinePlan(inline, definition) });
  }
  const plan = makePlan(entries);
  plans.set(definition, plan);
  return plan;
}

function makePlan(entries: WireEntry[]): WirePlan {
  const numberOf = (entry: WireEntry) => (entry.type === 'field' ? entry.field.number : entry.number);
  entries.sort((a, b) => numberOf(a) - numberOf(b));
  return { entries, byNumber: new Map(entries.map((entry) => [numberOf(entry), entry])) };
}

/** The embedded message's numbers, with the types that the outer definition gives the same JSON names. */
function inlinePlan(inline: ProtoField, owner: Definition): WirePlan {
  const entries: WireEntry[] = [];
  for (const [name, proto] of messageFields(inline.type, owner)) {
    if (owner.fields.has(name)) entries.push({ type: 'field', field: wireField(name, proto, owner) });
    else {
      // Embedded twice over: an ephemeral container's probe handler, say.
      entries.push({ type: 'inline', number: proto.number, plan: inlinePlan(proto, owner) });
    }
  }
  return makePlan(entries);
}

function messageFields(type: string, owner: Definition): [string, ProtoField][] {
  const table = schemaTable();
  const definitionName = type.includes('.')
    ? toDefinitionName(type)
    : `${owner.name.slice(0, owner.name.lastIndexOf('.') + 1)}${type}`;
  // Some beta messages are only listed in their v1 form; the numbers are the same.
  const inV1 = definitionName.replace(/\.v\d+(?:alpha|beta)\d+\./, '.v1.');
  const message =
    table.messages.get(toMessageName(definitionName)) ?? table.messages.get(toMessageName(inV1));
  if (message) return Object.entries(message);
  const definition = table.definitions.get(definitionName) ?? table.definitions.get(inV1);
  assert(definition, `the schema table does not know the protobuf message ${type} in ${owner.name}`);
  const own: [string, ProtoField][] = [...definition.fields.values()].flatMap((field) =>
    field.proto ? [[field.name, field.proto] as [string, ProtoField]] : [],
  );
  return [...own, ...Object.entries(definition.protoInline)];
}

/** `io.k8s.api.core.v1.X` is `k8s.io.api.core.v1.X` to protobuf. */
function toMessageName(definition: string): string {
  return definition
    .replace(/^io\.k8s\./, 'k8s.io.')
    .replace('apiextensions-apiserver', 'apiextensions_apiserver');
}

function toDefinitionName(message: string): string {
  return message
    .replace(/^\.?k8s\.io\./, 'io.k8s.')
    .replace('apiextensions_apiserver', 'apiextensions-apiserver')
    .replace('kube_aggregator', 'kube-aggregator');
}

function wireField(name: string, proto: ProtoField, owner: Definition): WireField {
  const field = owner.fields.get(name)!;
  return {
    name,
    number: proto.number,
    type: field.type,
    wrapped: field.type.kind === 'list' && !proto.type.startsWith('repeated '),
    pointer: field.pointer,
  };
}

/** JSONSchemaProps, which each of its unions (-OrArray, -OrBool, -OrStringArray) may hold. */
export function unionSchema(): Definition {
  return schemaTable().definition('io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps');
}
