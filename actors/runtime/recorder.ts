/**
 * Numbers and records everything that happens on one node: envelope ids, trace ids, the Lamport counter, the
 * journal. A silent journal costs nothing.
 */
import {
  type Clock,
  type Envelope,
  type EnvelopeId,
  type FaultRule,
  type Incarnation,
  type Journal,
  type JournalEvent,
  type JournalEventType,
  type NodeId,
  type Random,
  silentJournal,
  type TraceParent,
} from '../../transport/index.js';
import type { Frame } from './frame.js';
import type { Cause } from './system.js';

export type Detail = Readonly<Record<string, string | number | boolean>>;

export class Recorder {
  readonly enabled: boolean;
  readonly #node: NodeId;
  readonly #incarnation: Incarnation;
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #idPrefix: string;
  #seq = 0;
  #lamport = 0;
  #tracePrefix = '';
  #traces = 0;

  constructor(node: NodeId, incarnation: Incarnation, journal: Journal, clock: Clock, random: Random) {
    this.enabled = journal !== silentJournal;
    this.#node = node;
    this.#incarnation = incarnation;
    this.#journal = journal;
    this.#clock = clock;
    this.#random = random;
    this.#idPrefix = `${node}/${incarnation}/`;
  }

  /** Makes the envelope of a message that leaves now. Does not record it: see `sent`. */
  envelope(
    cause: Cause | undefined,
    fromPath: string,
    to: { readonly node: NodeId; readonly path: string },
    body: { readonly type: string },
    deadlineMs: number,
  ): Envelope {
    this.#seq += 1;
    this.#lamport += 1;
    const common = {
      id: (this.#idPrefix + this.#seq) as EnvelopeId,
      trace: cause?.trace ?? this.newTrace(),
      lamport: this.#lamport,
      from: this.#node,
      fromPath,
      incarnation: this.#incarnation,
      to: to.node,
      toPath: to.path,
      kind: body.type,
      deadlineMs,
      body,
    };
    return cause?.id === undefined ? common : { ...common, cause: cause.id };
  }

  /** 12 random bytes per 2^32 traces and a bijective mix of a counter: unique, unordered, and cheap. */
  newTrace(): TraceParent {
    if (this.#traces % 0x1_0000_0000 === 0) this.#tracePrefix = this.#random.hex(12);
    this.#traces += 1;
    const low = hex32(mix32(this.#traces));
    return `00-${this.#tracePrefix}${low}-${low}${hex32(mix32(this.#traces ^ 0x5bd1_e995))}-01` as TraceParent;
  }

  sent(envelope: Envelope): void {
    if (this.enabled) this.#message('send', envelope, envelope.fromPath);
  }

  /** Lamport's rule: later than everything that the sender knew. */
  received(envelope: Envelope): void {
    this.#lamport = Math.max(this.#lamport, envelope.lamport) + 1;
    if (this.enabled) this.#message('recv', envelope, envelope.toPath);
  }

  /** Returns the start for `handled`. */
  handling(envelope: Envelope): number {
    this.#lamport += 1;
    if (!this.enabled) return 0;
    this.#message('handle', envelope, envelope.toPath);
    return this.#clock.monotonicMs();
  }

  handled(envelope: Envelope, startedMs: number): void {
    if (!this.enabled) return;
    const ms = Math.round((this.#clock.monotonicMs() - startedMs) * 1000) / 1000;
    this.#message('handled', envelope, envelope.toPath, { ms });
  }

  dropped(envelope: Envelope, reason: string, why?: string): void {
    if (!this.enabled) return;
    const more = why === undefined ? { reason } : { reason, detail: { why } };
    this.#message('drop', envelope, envelope.toPath, more);
  }

  dead(envelope: Envelope, reason: string): void {
    if (this.enabled) this.#message('dead', envelope, envelope.toPath, { reason });
  }

  /** spawn, stop, restart of an actor or a supervisor. */
  lifecycle(
    type: 'spawn' | 'stop' | 'restart',
    path: string,
    more: { readonly reason?: string; readonly detail?: Detail },
  ): void {
    this.#lamport += 1;
    if (this.enabled) this.#journal.record({ ...this.#base(type), actor: path, ...more });
  }

  /** `during` is the message whose handling ended so: its `handle` event gets no `handled`. */
  crashed(path: string, error: Error, during: Envelope | undefined): void {
    this.#lamport += 1;
    if (!this.enabled) return;
    const where = whereThrown(error);
    this.#journal.record({
      ...this.#base('crash'),
      actor: path,
      ...(during && { id: during.id, trace: during.trace, kind: during.kind }),
      ...(during?.cause !== undefined && { cause: during.cause }),
      reason: error.message,
      detail: { error: error.name, ...(where && { where }) },
    });
  }

  fault(kind: 'applied' | 'healed', rule: FaultRule): void {
    this.#lamport += 1;
    if (!this.enabled) return;
    const { action } = rule;
    this.#journal.record({
      ...this.#base('fault'),
      kind,
      reason: action.type,
      detail: {
        rule: rule.id,
        from: rule.from.join(','),
        to: rule.to.join(','),
        ...(rule.kinds && { kinds: rule.kinds.join(',') }),
        ...('probability' in action && { probability: action.probability }),
        ...('minMs' in action && { minMs: action.minMs, maxMs: action.maxMs }),
        ...('windowMs' in action && { windowMs: action.windowMs }),
      },
    });
  }

  note(
    path: string,
    kind: string,
    cause: Cause | undefined,
    frame: Frame | undefined,
    detail?: Detail,
  ): void {
    this.#lamport += 1;
    if (!this.enabled) return;
    this.#journal.record({
      ...this.#base('note'),
      actor: path,
      kind,
      ...(frame?.envelope && { id: frame.envelope.id }),
      ...(cause?.id !== undefined && { cause: cause.id }),
      ...(cause && { trace: cause.trace }),
      ...(detail && { detail }),
    });
  }

  /** On the path of every message: built in one literal, because spreading costs several times as much. */
  #message(
    type: JournalEventType,
    envelope: Envelope,
    actor: string,
    more?: { readonly ms?: number; readonly reason?: string; readonly detail?: Detail },
  ): void {
    const event: { -readonly [K in keyof JournalEvent]: JournalEvent[K] } = {
      type,
      at: this.#clock.nowMs(),
      lamport: this.#lamport,
      node: this.#node,
      actor,
      id: envelope.id,
      trace: envelope.trace,
      kind: envelope.kind,
      from: `kabuki://${envelope.from}${envelope.fromPath}`,
      to: `kabuki://${envelope.to}${envelope.toPath}`,
    };
    if (envelope.cause !== undefined) event.cause = envelope.cause;
    if (more?.ms !== undefined) event.ms = more.ms;
    if (more?.reason !== undefined) event.reason = more.reason;
    if (more?.detail !== undefined) event.detail = more.detail;
    this.#journal.record(event);
  }

  #base(type: JournalEventType): Pick<JournalEvent, 'type' | 'at' | 'lamport' | 'node'> {
    return { type, at: this.#clock.nowMs(), lamport: this.#lamport, node: this.#node };
  }
}

/** The finaliser of MurmurHash3: a bijection on 32 bits. */
function mix32(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/** File and line of the throw, without the folder of the checkout: a replay elsewhere must read the same. */
function whereThrown(error: Error): string | undefined {
  return /([^/\\\s(]+:\d+):\d+\)?$/m.exec(error.stack ?? '')?.[1];
}
