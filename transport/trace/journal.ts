/**
 * The trace journal: one event per thing that happened to a message, an actor or the network, in the order
 * in which this node saw them. Faults stand in the same journal as messages, so cause stands beside effect.
 * NDJSON, one file per node; every exporter (Mermaid, Perfetto, OTLP, ShiViz) reads only this.
 */
import type { EnvelopeId, NodeId, TraceParent } from '../envelope.js';
import type { DropReason } from '../link.js';

export type JournalEventType =
  | 'send'
  | 'recv'
  | 'handle' // handling began; `ms` is added on the end event
  | 'handled'
  | 'drop'
  | 'dead' // dead letter: no such actor
  | 'spawn'
  | 'stop'
  | 'crash'
  | 'restart'
  | 'fault' // a fault was applied or healed
  | 'note'; // what a component wants on record: `became leader`, `GET /api/v1/pods 200`

export interface JournalEvent {
  readonly type: JournalEventType;
  /** Wall clock, milliseconds. */
  readonly at: number;
  readonly lamport: number;
  readonly node: NodeId;
  /** Path of the actor concerned, on this node. */
  readonly actor?: string;
  readonly id?: EnvelopeId;
  readonly cause?: EnvelopeId;
  readonly trace?: TraceParent;
  readonly kind?: string;
  readonly from?: string; // kabuki://node/path
  readonly to?: string;
  readonly reason?: DropReason | string;
  /** Duration of handling, on `handled`. */
  readonly ms?: number;
  /** Small free fields: object key, verb, status, error. Never payloads or secrets. */
  readonly detail?: Readonly<Record<string, string | number | boolean>>;
}

export interface Journal {
  record(event: JournalEvent): void;
  /** Resolves when everything recorded so far is handed to the operating system. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Records nothing: for unit tests and benchmarks that measure without tracing. */
export const silentJournal: Journal = {
  record: () => {},
  flush: async () => {},
  close: async () => {},
};
