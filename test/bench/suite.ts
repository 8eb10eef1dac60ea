/** What a benchmark is given and what it returns. */
import type { ClientKind } from './calls.js';
import type { BenchRow } from './table.js';

export interface BenchOptions {
  /** Empty, on the disk that is measured; removed afterwards. */
  readonly folder: string;
  readonly rounds: number;
  /** What the store is compared with: the first line of `etcd --version`; undefined: with nothing. */
  readonly etcd: string | undefined;
  /** Length of a round. */
  readonly seconds: number;
  /** What loads a store over gRPC. */
  readonly client: ClientKind;
  /** For the processes of the store; to try V8's options. */
  readonly nodeFlags: readonly string[];
  /** Progress, on stderr. */
  say(line: string): void;
}

export type Bench = (options: BenchOptions) => Promise<BenchRow[]>;
