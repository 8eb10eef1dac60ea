/**
 * meta.k8s.io/v1 Tables: what `kubectl get` asks for. Columns belong to a kind, cells are made from an object
 * and the time of the answer; a row carries the object, its metadata, or nothing.
 */
import type { JsonObject } from '../typed.js';
import { mapAt } from './cells.js';
import type { Cell } from './cells.js';
import type { Column, Printer } from './columns.js';
import { defaultPrinter } from './columns.js';
import { corePrinters } from './core-printers.js';
import { extensionPrinters } from './extension-printers.js';
import { workloadPrinters } from './workload-printers.js';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableRow {
  readonly cells: readonly Cell[];
  readonly object?: unknown;
}

export interface Table {
  readonly kind: 'Table';
  readonly apiVersion: 'meta.k8s.io/v1';
  readonly metadata: JsonObject;
  readonly columnDefinitions: readonly Column[];
  readonly rows: readonly TableRow[];
}

export interface TableOptions {
  readonly group: string;
  readonly kind: string;
  readonly nowMs: number;
  /** `Metadata` when a request does not say. */
  readonly includeObject: IncludeObject;
  /** The list's metadata: resourceVersion, continue, remainingItemCount. */
  readonly metadata?: JsonObject;
  /** Watches send the columns with the first event only. */
  readonly withoutColumns?: boolean;
  /** additionalPrinterColumns of a custom resource. */
  readonly printer?: Printer;
}

const printers: Readonly<Record<string, Printer>> = {
  ...corePrinters,
  ...extensionPrinters,
  ...workloadPrinters,
};

function printerOf(group: string, kind: string): Printer {
  return printers[`${group}/${kind}`] ?? defaultPrinter;
}

/** Objects must carry apiVersion and kind when they are to be included whole. */
export function toTable(objects: readonly unknown[], options: TableOptions): Table {
  const printer = options.printer ?? printerOf(options.group, options.kind);
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: options.metadata ?? {},
    columnDefinitions: options.withoutColumns === true ? [] : printer.columns,
    rows: objects.map((object) => toRow(object, printer, options)),
  };
}

function toRow(object: unknown, printer: Printer, options: TableOptions): TableRow {
  const cells = printer.cells(object, options.nowMs);
  switch (options.includeObject) {
    case 'None':
      return { cells };
    case 'Metadata':
      return { cells, object: toPartialObject(object) };
    case 'Object':
      return { cells, object };
    default:
      return options.includeObject satisfies never;
  }
}

function toPartialObject(object: unknown): JsonObject {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: mapAt(object, 'metadata'),
  };
}
