/** The small texts that many columns share: ages, selectors, containers, reads of untyped objects. */
import type { JsonObject } from '../typed.js';
import { isObject } from '../typed.js';
import { compareText } from '../text-order.js';
import { parseTime } from '../time.js';

export type Cell = string | number | boolean;

export const none = '<none>';
export const unknown = '<unknown>';

/** The value at a path; undefined when anything on the way is missing. */
export function at(object: unknown, ...path: readonly string[]): unknown {
  let value = object;
  for (const key of path) {
    if (!isObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

export function textAt(object: unknown, ...path: readonly string[]): string {
  const value = at(object, ...path);
  return value === undefined || value === null || typeof value === 'object'
    ? ''
    : String(value as string | number);
}

export function numberAt(object: unknown, ...path: readonly string[]): number {
  const value = at(object, ...path);
  return typeof value === 'number' ? value : 0;
}

export function listAt(object: unknown, ...path: readonly string[]): readonly unknown[] {
  const value = at(object, ...path);
  return Array.isArray(value) ? value : [];
}

export function mapAt(object: unknown, ...path: readonly string[]): JsonObject {
  const value = at(object, ...path);
  return isObject(value) ? value : {};
}

/** Time since, as `5m` or `3d2h`; `<unknown>` without a time. */
export function ageOf(time: unknown, nowMs: number): string {
  if (typeof time !== 'string' || time === '') return unknown;
  return printDuration(nowMs - parseTime(time));
}

/** Two units at most, the second only while it says something (apimachinery util/duration, HumanDuration). */
export function printDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return withRest(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return withRest(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (hours < 192) return withRest(days, 'd', hours % 24, 'h');
  const years = Math.floor(hours / (24 * 365));
  if (years < 2) return `${days}d`;
  if (years < 8) return withRest(years, 'y', days % 365, 'd');
  return `${years}y`;
}

function withRest(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;
}

/** `a=b,c=d`, sorted. */
export function printMap(map: JsonObject): string {
  const pairs = Object.keys(map)
    .sort()
    .map((key) => `${key}=${String(map[key])}`);
  return pairs.length === 0 ? none : pairs.join(',');
}

/** A LabelSelector object, as a query would say it. */
export function printSelector(selector: unknown): string {
  if (!isObject(selector)) return none;
  const labels = mapAt(selector, 'matchLabels');
  const terms = Object.keys(labels).map((key) => ({ key, text: `${key}=${String(labels[key])}` }));
  for (const expression of listAt(selector, 'matchExpressions')) {
    const key = textAt(expression, 'key');
    const values = [...listAt(expression, 'values')].sort().join(',');
    const texts: Record<string, string> = {
      In: `${key} in (${values})`,
      NotIn: `${key} notin (${values})`,
      Exists: key,
      DoesNotExist: `!${key}`,
    };
    terms.push({ key, text: texts[textAt(expression, 'operator')] ?? key });
  }
  terms.sort((a, b) => compareText(a.key, b.key));
  return terms.length === 0 ? none : terms.map((term) => term.text).join(',');
}

/** Names and images of a template's containers. */
export function containersOf(podSpec: unknown): [string, string] {
  const containers = listAt(podSpec, 'containers');
  return [
    containers.map((container) => textAt(container, 'name')).join(','),
    containers.map((container) => textAt(container, 'image')).join(','),
  ];
}

export function conditionOf(object: unknown, type: string): JsonObject | undefined {
  const found = listAt(object, 'status', 'conditions').find((each) => textAt(each, 'type') === type);
  return isObject(found) ? found : undefined;
}
