/**
 * Sets of fields, as managedFields holds them: a tree whose edges are `f:name`, `k:{keys}` (an element of a
 * list by its keys) and `v:value` (of a set). In `fieldsV1` a leaf is `{}`, and `.` marks a branch that is a
 * member itself (structured-merge-diff, fieldpath).
 */
import type { JsonObject } from '../typed.js';
import { isObject } from '../typed.js';

export class FieldSet {
  member = false;
  readonly children = new Map<string, FieldSet>();

  static fromFieldsV1(fields: unknown): FieldSet {
    const set = new FieldSet();
    if (!isObject(fields)) return set;
    for (const [edge, below] of Object.entries(fields)) {
      if (edge === '.') {
        set.member = true;
        continue;
      }
      const child = FieldSet.fromFieldsV1(below);
      if (child.children.size === 0) child.member = true;
      set.children.set(edge, child);
    }
    return set;
  }

  toFieldsV1(): JsonObject {
    const fields: JsonObject = {};
    if (this.member && this.children.size > 0) fields['.'] = {};
    for (const edge of [...this.children.keys()].sort()) fields[edge] = this.children.get(edge)!.toFieldsV1();
    return fields;
  }

  get isEmpty(): boolean {
    return !this.member && [...this.children.values()].every((child) => child.isEmpty);
  }

  insert(path: readonly string[]): void {
    const [edge, ...rest] = path;
    if (edge === undefined) this.member = true;
    else this.child(edge).insert(rest);
  }

  /** Made when missing. */
  child(edge: string): FieldSet {
    let child = this.children.get(edge);
    if (!child) {
      child = new FieldSet();
      this.children.set(edge, child);
    }
    return child;
  }

  union(other: FieldSet): FieldSet {
    const result = new FieldSet();
    result.member = this.member || other.member;
    for (const edge of new Set([...this.children.keys(), ...other.children.keys()])) {
      const [left, right] = [this.children.get(edge), other.children.get(edge)];
      result.children.set(edge, left && right ? left.union(right) : (left ?? right)!);
    }
    return result;
  }

  /** Members of this that are not members of `other`. */
  difference(other: FieldSet): FieldSet {
    const result = new FieldSet();
    result.member = this.member && !other.member;
    for (const [edge, child] of this.children) {
      const match = other.children.get(edge);
      const rest = match ? child.difference(match) : child;
      if (!rest.isEmpty) result.children.set(edge, rest);
    }
    return result;
  }

  /** Without the members of `other` and everything below them. */
  recursiveDifference(other: FieldSet): FieldSet {
    const result = new FieldSet();
    if (other.member) return result;
    result.member = this.member;
    for (const [edge, child] of this.children) {
      const match = other.children.get(edge);
      const rest = match ? child.recursiveDifference(match) : child;
      if (!rest.isEmpty) result.children.set(edge, rest);
    }
    return result;
  }

  intersection(other: FieldSet): FieldSet {
    const result = new FieldSet();
    result.member = this.member && other.member;
    for (const [edge, child] of this.children) {
      const match = other.children.get(edge);
      const common = match && child.intersection(match);
      if (common && !common.isEmpty) result.children.set(edge, common);
    }
    return result;
  }

  equals(other: FieldSet): boolean {
    return this.difference(other).isEmpty && other.difference(this).isEmpty;
  }

  /** Every member, as a path of edges. */
  paths(prefix: readonly string[] = []): string[][] {
    const own = this.member && prefix.length > 0 ? [[...prefix]] : [];
    const below = [...this.children.keys()]
      .sort()
      .flatMap((edge) => this.children.get(edge)!.paths([...prefix, edge]));
    return [...own, ...below];
  }
}

/** `.spec.template.spec.containers[name="c"].image`, as conflicts name it. */
export function printPath(path: readonly string[]): string {
  return path
    .map((edge) => {
      const rest = edge.slice(2);
      if (edge.startsWith('f:')) return `.${rest}`;
      if (edge.startsWith('v:')) return `[=${rest}]`;
      const keys = Object.entries(JSON.parse(rest) as JsonObject);
      return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
    })
    .join('');
}
