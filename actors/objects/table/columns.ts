/** What a printer is: its columns, and the cells of one object. Kinds without one print NAME and AGE. */
import type { Cell } from './cells.js';
import { ageOf, at, textAt } from './cells.js';

export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly format: string;
  readonly description: string;
  /** 0 is always shown, 1 only by `-o wide`. */
  readonly priority: number;
}

export interface Printer {
  readonly columns: readonly Column[];
  cells(object: unknown, nowMs: number): Cell[];
}

const descriptions: Readonly<Record<string, string>> = {
  Name: 'Name must be unique within its namespace.',
  Age: 'Time since the object was created.',
};

/** `Name`, `Desired:integer`, `IP*` for a wide one. */
export function columnsOf(...specs: readonly string[]): Column[] {
  return specs.map((spec) => {
    const wide = spec.endsWith('*');
    const [name, type = 'string'] = (wide ? spec.slice(0, -1) : spec).split(':') as [string, Column['type']?];
    return {
      name,
      type,
      format: name === 'Name' ? 'name' : '',
      description: descriptions[name] ?? `${name} of the object.`,
      priority: wide ? 1 : 0,
    };
  });
}

export function printer(
  columns: readonly Column[],
  cells: (object: unknown, nowMs: number) => Cell[],
): Printer {
  return { columns, cells };
}

export function nameOf(object: unknown): string {
  return textAt(object, 'metadata', 'name');
}

export function ageCell(object: unknown, nowMs: number): string {
  return ageOf(at(object, 'metadata', 'creationTimestamp'), nowMs);
}

export const defaultPrinter: Printer = printer(columnsOf('Name', 'Age'), (object, nowMs) => [
  nameOf(object),
  ageCell(object, nowMs),
]);
