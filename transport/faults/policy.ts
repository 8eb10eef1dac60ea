/**
 * The fault policy of one node: a verdict for every envelope about to leave on a directed link.
 * Pure given (rules, envelope, random): the same policy serves ZeroMQ, in-process and simulated links.
 * Rules name machines, not nodes: cutting `master-1` cuts its store thread too.
 */
import type { Random } from '../clock.js';
import { type Envelope, machineOf, type NodeId } from '../envelope.js';

export interface FaultRule {
  readonly id: string;
  /** Machines the rule applies to; `*` is any. A rule never applies inside one machine. */
  readonly from: readonly string[];
  readonly to: readonly string[];
  /** Only these message kinds; absent means all. */
  readonly kinds?: readonly string[];
  readonly action:
    | { readonly type: 'cut' }
    | { readonly type: 'drop'; readonly probability: number }
    | { readonly type: 'delay'; readonly minMs: number; readonly maxMs: number }
    | { readonly type: 'duplicate'; readonly probability: number }
    | { readonly type: 'reorder'; readonly probability: number; readonly windowMs: number };
}

/** Frames of the links themselves pass the same faults as letters, by these names. */
export const linkKinds = ['Handshake', 'Heartbeat'] as const;
export type LinkKind = (typeof linkKinds)[number];

export type Verdict =
  | { readonly type: 'drop'; readonly rule: string }
  /** Deliver once per entry, each after that many milliseconds (0 = at once). */
  | { readonly type: 'deliver'; readonly delaysMs: readonly number[] };

const deliverNow: Verdict = { type: 'deliver', delaysMs: [0] };

function matches(names: readonly string[], machine: string): boolean {
  return names.includes('*') || names.includes(machine);
}

export class FaultPolicy {
  #rules: readonly FaultRule[] = [];
  readonly #listeners = new Set<() => void>();

  get rules(): readonly FaultRule[] {
    return this.#rules;
  }

  /** Replaces a rule of the same id. */
  add(rule: FaultRule): void {
    this.#rules = [...this.#rules.filter((r) => r.id !== rule.id), rule];
    this.#changed();
  }

  remove(id: string): boolean {
    const before = this.#rules.length;
    this.#rules = this.#rules.filter((r) => r.id !== id);
    if (this.#rules.length === before) return false;
    this.#changed();
    return true;
  }

  clear(): void {
    this.#rules = [];
    this.#changed();
  }

  /** Calls `listener` after every change of the rules; returns the way to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whether nothing at all gets from one node to the other: a peer behind such a rule falls silent. */
  severs(from: NodeId, to: NodeId): boolean {
    const [sender, receiver] = [machineOf(from), machineOf(to)];
    if (sender === receiver) return false;
    return this.#rules.some(
      ({ action, ...rule }) =>
        !rule.kinds &&
        matches(rule.from, sender) &&
        matches(rule.to, receiver) &&
        (action.type === 'cut' || (action.type === 'drop' && action.probability >= 1)),
    );
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  judge(envelope: Pick<Envelope, 'from' | 'to' | 'kind'>, random: Random): Verdict {
    if (this.#rules.length === 0) return deliverNow;
    const from = machineOf(envelope.from);
    const to = machineOf(envelope.to);
    if (from === to) return deliverNow;
    let delayMs = 0;
    let copies = 1;
    for (const rule of this.#rules) {
      if (!matches(rule.from, from) || !matches(rule.to, to)) continue;
      if (rule.kinds && !rule.kinds.includes(envelope.kind)) continue;
      const { action } = rule;
      switch (action.type) {
        case 'cut':
          return { type: 'drop', rule: rule.id };
        case 'drop':
          if (random.next() < action.probability) return { type: 'drop', rule: rule.id };
          break;
        case 'delay':
          delayMs += action.minMs + random.next() * (action.maxMs - action.minMs);
          break;
        case 'duplicate':
          if (random.next() < action.probability) copies += 1;
          break;
        case 'reorder':
          if (random.next() < action.probability) delayMs += random.next() * action.windowMs;
          break;
        default:
          action satisfies never;
      }
    }
    return copies === 1 && delayMs === 0
      ? deliverNow
      : { type: 'deliver', delaysMs: Array.from({ length: copies }, () => delayMs) };
  }
}
