/**
 * Walks over values by the schema: which fields a value sets, what differs between two, how one is merged
 * into another and how fields are taken out. A list is atomic unless the table calls it a set or a map;
 * without a schema (custom resources) objects are granular and lists atomic.
 */
import { isDeepStrictEqual } from 'node:util';
import { mergeSortedLists, sortByOrder } from '../patch/element-order.js';
import type { Definition, Field, FieldType } from '../schema-table.js';
import type { JsonObject } from '../typed.js';
import { isObject, setOwn } from '../typed.js';
import { FieldSet } from './field-set.js';

/** How a value takes part: whole, by field, or by element. */
export type Shape =
  | { readonly type: 'atomic' }
  | { readonly type: 'struct'; readonly definition: Definition }
  | { readonly type: 'map'; readonly of: FieldType | undefined }
  | { readonly type: 'set' }
  | { readonly type: 'keyed'; readonly keys: readonly string[]; readonly of: FieldType };

const atomic: Shape = { type: 'atomic' };
/** What the elements of lists are keyed by when an applied object leaves it to its default. */
const keyDefaults: Readonly<Record<string, unknown>> = { protocol: 'TCP' };

export function shapeOfDefinition(definition: Definition | undefined): Shape {
  if (!definition) return { type: 'map', of: undefined };
  if (definition.special || definition.mapType === 'atomic') return atomic;
  return definition.fields.size === 0 ? atomic : { type: 'struct', definition };
}

function shapeOfField(field: Field): Shape {
  const { type } = field;
  if (type.kind === 'list') {
    if (field.listType === 'set') return { type: 'set' };
    if (field.listType === 'map') return { type: 'keyed', keys: field.listMapKeys, of: type.of };
    return atomic;
  }
  if (field.mapType === 'atomic') return atomic;
  return shapeOfType(type);
}

function shapeOfType(type: FieldType): Shape {
  if (type.kind === 'map') return { type: 'map', of: type.of };
  if (type.kind === 'object') return shapeOfDefinition(type.definition);
  return atomic;
}

/** The shape of an entry of a struct or map; of an unknown field, by the look of it. */
function shapeOfEntry(shape: Shape, key: string, value: unknown): Shape {
  if (shape.type === 'struct') {
    const field = shape.definition.fields.get(key);
    return field ? shapeOfField(field) : guess(value);
  }
  if (shape.type === 'map' && shape.of) return shapeOfType(shape.of);
  return guess(value);
}

function guess(value: unknown): Shape {
  return isObject(value) ? { type: 'map', of: undefined } : atomic;
}

interface Element {
  readonly edge: string;
  readonly value: unknown;
}

function elementsOf(list: readonly unknown[], shape: Shape): Element[] {
  return list.map((value) => ({ edge: edgeOf(value, shape), value }));
}

function edgeOf(value: unknown, shape: Shape): string {
  if (shape.type !== 'keyed') return `v:${JSON.stringify(value)}`;
  const keys: JsonObject = {};
  for (const key of [...shape.keys].sort()) {
    const given = isObject(value) ? value[key] : undefined;
    const known = given === undefined || given === '' ? keyDefaults[key] : given;
    if (known !== undefined) keys[key] = known;
  }
  return `k:${JSON.stringify(keys)}`;
}

/** Every field that a value sets. */
export function fieldsOf(value: unknown, shape: Shape): FieldSet {
  const set = new FieldSet();
  if ((shape.type === 'struct' || shape.type === 'map') && isObject(value)) {
    for (const [key, entry] of Object.entries(value)) {
      const inner = shapeOfEntry(shape, key, entry);
      const below = fieldsOf(entry, inner);
      // An entry of a map is a member besides what is below it; so is a struct that sets nothing.
      const isMapEntry = shape.type === 'map' && shape.of !== undefined;
      if (isMapEntry || (isObject(entry) && Object.keys(entry).length === 0)) below.member = true;
      if (!below.isEmpty) set.children.set(`f:${key}`, below);
    }
  } else if ((shape.type === 'set' || shape.type === 'keyed') && Array.isArray(value)) {
    const inner: Shape = shape.type === 'keyed' ? shapeOfType(shape.of) : atomic;
    for (const element of elementsOf(value, shape)) {
      const below = fieldsOf(element.value, inner);
      below.member = true;
      set.children.set(element.edge, below);
    }
  } else set.member = true;
  return set;
}

export interface Difference {
  /** Added or given another value. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

export function differenceOf(old: unknown, now: unknown, shape: Shape): Difference {
  if (old === undefined) return { changed: fieldsOf(now, shape), removed: new FieldSet() };
  if (now === undefined) return { changed: new FieldSet(), removed: fieldsOf(old, shape) };
  const changed = new FieldSet();
  const removed = new FieldSet();
  const descend = (edge: string, a: unknown, b: unknown, inner: Shape) => {
    const below = differenceOf(a, b, inner);
    if (!below.changed.isEmpty) changed.children.set(edge, below.changed);
    if (!below.removed.isEmpty) removed.children.set(edge, below.removed);
    // An element that comes or goes is a member itself, besides its fields.
    if (edge.startsWith('f:') || (a !== undefined && b !== undefined)) return;
    (b === undefined ? removed : changed).child(edge).member = true;
  };
  if ((shape.type === 'struct' || shape.type === 'map') && isObject(old) && isObject(now)) {
    for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
      descend(`f:${key}`, old[key], now[key], shapeOfEntry(shape, key, now[key] ?? old[key]));
    }
  } else if ((shape.type === 'set' || shape.type === 'keyed') && Array.isArray(old) && Array.isArray(now)) {
    const inner: Shape = shape.type === 'keyed' ? shapeOfType(shape.of) : atomic;
    const before = new Map(elementsOf(old, shape).map(({ edge, value }) => [edge, value]));
    const after = new Map(elementsOf(now, shape).map(({ edge, value }) => [edge, value]));
    for (const edge of new Set([...before.keys(), ...after.keys()])) {
      descend(edge, before.get(edge), after.get(edge), inner);
    }
  } else if (!isDeepStrictEqual(old, now)) changed.member = true;
  return { changed, removed };
}

/** `applied` over `live`; neither is changed. */
export function mergeValues(live: unknown, applied: unknown, shape: Shape): unknown {
  if (live === undefined) return applied;
  if ((shape.type === 'struct' || shape.type === 'map') && isObject(live) && isObject(applied)) {
    const merged: JsonObject = { ...live };
    for (const [key, value] of Object.entries(applied)) {
      setOwn(merged, key, mergeValues(live[key], value, shapeOfEntry(shape, key, value)));
    }
    return merged;
  }
  if ((shape.type === 'set' || shape.type === 'keyed') && Array.isArray(live) && Array.isArray(applied)) {
    return mergeElements(live, applied, shape);
  }
  return applied;
}

/** Applied elements in their order, the others woven in where they stood. */
function mergeElements(live: readonly unknown[], applied: readonly unknown[], shape: Shape): unknown[] {
  const inner: Shape = shape.type === 'keyed' ? shapeOfType(shape.of) : atomic;
  const before = new Map(elementsOf(live, shape).map(({ edge, value }) => [edge, value]));
  const wanted = new Map(elementsOf(applied, shape).map(({ edge, value }) => [edge, value]));
  const same = (a: unknown, b: unknown) => a === b;
  const liveEdges = [...before.keys()];
  const liveOnly = liveEdges.filter((edge) => !wanted.has(edge));
  const order = mergeSortedLists(
    liveOnly,
    sortByOrder([...wanted.keys()], [...wanted.keys()], same),
    liveEdges,
    same,
  );
  return order.map((edge) => {
    const key = edge as string;
    return wanted.has(key) ? mergeValues(before.get(key), wanted.get(key), inner) : before.get(key);
  });
}

/** Takes `gone` out of a value, unless something in `kept` lies at or below the same place. */
export function removeFields(
  value: unknown,
  gone: FieldSet,
  kept: FieldSet | undefined,
  shape: Shape,
): unknown {
  if (isObject(value) && (shape.type === 'struct' || shape.type === 'map')) {
    const result: JsonObject = { ...value };
    for (const [edge, below] of gone.children) {
      const key = edge.slice(2);
      if (!Object.hasOwn(result, key)) continue;
      const keptBelow = kept?.children.get(edge);
      if (below.member && (!keptBelow || keptBelow.isEmpty)) delete result[key];
      else {
        const rest = removeFields(result[key], below, keptBelow, shapeOfEntry(shape, key, result[key]));
        const emptied =
          (isObject(rest) && Object.keys(rest).length === 0) || (Array.isArray(rest) && rest.length === 0);
        if (emptied && (!keptBelow || keptBelow.isEmpty)) delete result[key];
        else setOwn(result, key, rest);
      }
    }
    return result;
  }
  if (Array.isArray(value) && (shape.type === 'set' || shape.type === 'keyed')) {
    const inner: Shape = shape.type === 'keyed' ? shapeOfType(shape.of) : atomic;
    return elementsOf(value, shape).flatMap(({ edge, value: element }) => {
      const below = gone.children.get(edge);
      if (!below) return [element];
      const keptBelow = kept?.children.get(edge);
      if (below.member && (!keptBelow || keptBelow.isEmpty)) return [];
      return [removeFields(element, below, keptBelow, inner)];
    });
  }
  return value;
}
