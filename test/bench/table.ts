/** Rows of a benchmark, as a table for people and as JSON for machines: `{name, ours, peer, ratio, unit}`. */
import { writeFileSync } from 'node:fs';

export interface BenchRow {
  readonly name: string;
  readonly ours: number;
  /** Absent: nothing to compare with in the same run; then `aim` says what we want. */
  readonly peer?: number;
  readonly ratio?: number;
  readonly unit: string;
  readonly aim?: string;
}

export function compared(name: string, ours: number, peer: number, unit: string): BenchRow {
  return { name, ours, peer, ratio: ours / peer, unit };
}

export function formatRows(rows: readonly BenchRow[]): string {
  const number = (value: number | undefined) =>
    value === undefined ? '' : value >= 100 ? value.toFixed(0) : value.toPrecision(3);
  const cells = rows.map((row) => [
    row.name,
    number(row.ours),
    number(row.peer),
    number(row.ratio),
    row.unit,
    row.aim ?? '',
  ]);
  const head = ['NAME', 'OURS', 'PEER', 'RATIO', 'UNIT', 'AIM'];
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]?.length ?? 0)));
  return [head, ...cells]
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function writeRows(path: string, rows: readonly BenchRow[]): void {
  writeFileSync(path, `${JSON.stringify(rows, null, 2)}\n`);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
