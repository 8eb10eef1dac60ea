/** What a link counts and puts on record about frames and peers that are not as they should be. */
import type { Clock } from '../clock.js';
import type { Envelope, NodeId } from '../envelope.js';
import type { TransportError } from '../errors.js';
import type { Journal, JournalEvent } from '../trace/journal.js';

export interface LinkCounters {
  sent: number;
  received: number;
  /** Frames that no well-behaved peer sends. */
  garbage: number;
  refused: number;
  /** Envelopes in the name of another node. */
  forged: number;
}

/** Remarks between two ticks; more are only counted, so that a flood of garbage does not push out the rest. */
const remarksMax = 20;

export class Remarks {
  readonly counters: LinkCounters = { sent: 0, received: 0, garbage: 0, refused: 0, forged: 0 };
  /** Largest seen: remarks stand after the letters that came before them. */
  lamport = 0;
  readonly #node: NodeId;
  readonly #clock: Clock;
  readonly #journal: Journal;
  #recent = 0;

  constructor(node: NodeId, clock: Clock, journal: Journal) {
    this.#node = node;
    this.#clock = clock;
    this.#journal = journal;
  }

  tick(): void {
    this.#recent = 0;
  }

  see(envelope: Envelope): void {
    if (envelope.lamport > this.lamport) this.lamport = envelope.lamport;
  }

  /** We turned a peer away. */
  refused(detail: Readonly<Record<string, string>>): void {
    this.counters.refused += 1;
    this.#note('link.refused', detail);
  }

  /** A peer turned us away. */
  refusedByPeer(detail: Readonly<Record<string, string>>): void {
    this.#note('link.refused-by-peer', detail);
  }

  garbage(error: TransportError, peer: NodeId | undefined): void {
    this.counters.garbage += 1;
    const detail = { code: error.code, why: error.message, ...(peer === undefined ? {} : { peer }) };
    this.#note('link.garbage', detail);
  }

  forged(envelope: Envelope, peer: NodeId): void {
    this.counters.forged += 1;
    this.#record({
      type: 'drop',
      id: envelope.id,
      trace: envelope.trace,
      kind: envelope.kind,
      from: `kabuki://${envelope.from}${envelope.fromPath}`,
      to: `kabuki://${envelope.to}${envelope.toPath}`,
      reason: 'wrong-identity',
      detail: { peer },
    });
  }

  #note(kind: string, detail: Readonly<Record<string, string>>): void {
    this.#record({ type: 'note', kind, detail });
  }

  #record(event: Omit<JournalEvent, 'at' | 'lamport' | 'node'>): void {
    this.#recent += 1;
    if (this.#recent > remarksMax) return;
    this.#journal.record({ ...event, at: this.#clock.nowMs(), lamport: this.lamport, node: this.#node });
  }
}

/** What zeromq's own errors carry: `EADDRINUSE`, `ERR_ZMTP_MECHANISM_MISMATCH`. */
export function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.name;
}
