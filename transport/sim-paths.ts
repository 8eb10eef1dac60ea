/**
 * What paths of the simulated network do to letters beside taking their time. A narrow path passes so many bytes a second, and
 * of the letters that wait for it holds so many; what does not fit is refused, as by the bounded queue of a real link. A clogged
 * path holds every letter until it is free again (TigerBeetle's and FoundationDB's clogging). A noisy
 * path flips or cuts bytes of letters, and of the frames that links exchange to know of each other. Links between machines are
 * sealed (CURVE: encrypted and authenticated), so that whoever gets a letter that was changed takes nothing of it, nor of what
 * comes after it over that connection, until the sender dials anew, as with libzmq. Without a seal, what still decodes is taken.
 */
import { strict as assert } from 'node:assert';
import type { Random } from './clock.js';
import { decodeEnvelope } from './codec.js';
import { type Envelope, machineOf, type NodeId } from './envelope.js';
import { TransportError } from './errors.js';

/** Of directed paths between machines, `*` being any; each path has a queue of its own. */
interface PathRule {
  readonly id: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
}

export interface NarrowPaths extends PathRule {
  readonly type: 'narrow';
  readonly bytesPerSecond: number;
  /** Waiting, the one that is being sent included. */
  readonly lettersMax: number;
}

export interface CloggedPaths extends PathRule {
  readonly type: 'clogged';
  /** By the network's monotonic clock. */
  readonly untilMs: number;
}

export interface NoisyPaths extends PathRule {
  readonly type: 'noisy';
  /** Of each letter, to be damaged. */
  readonly probability: number;
  /** Decides which letters, and how. */
  readonly random: Random;
  readonly isSealed: boolean;
}

type Rule = NarrowPaths | CloggedPaths | NoisyPaths;

/**
 * What comes out at the other end. `undecodable`: nothing that its receiver takes; `unauthentic`: nor does it take anything more
 * over that connection.
 */
export type Arrival = Envelope | 'undecodable' | 'unauthentic';

export interface PathCounts {
  /** Letters that were damaged, and how many of those the codec alone would have taken. */
  readonly damaged: number;
  readonly decodable: number;
  /** Frames of links (handshakes, beats, goodbyes) that were damaged. */
  readonly frames: number;
  /** Letters that waited for those before them, and such as found no room. */
  readonly late: number;
  readonly refused: number;
  /** Letters that a clogged path held. */
  readonly held: number;
}

export class SimPaths {
  readonly #rules = new Map<string, Rule>();
  /** By rule and path: when the letters that were let in have left, in order. */
  readonly #queues = new Map<string, number[]>();
  /** By sender and receiver: until when nothing is read of what comes. */
  readonly #stuck = new Map<string, number>();
  readonly #counts = { damaged: 0, decodable: 0, frames: 0, late: 0, refused: 0, held: 0 };

  #onNoise: () => void = () => {};

  get counts(): PathCounts {
    return this.#counts;
  }

  /** Replaces a rule of the same id. */
  add(rule: Rule): void {
    this.remove(rule.id);
    this.#rules.set(rule.id, rule);
    if (rule.type === 'noisy') this.#onNoise();
  }

  /** @internal Called when a path becomes noisy. */
  whenNoisy(listener: () => void): void {
    this.#onNoise = listener;
  }

  get areNoisy(): boolean {
    return [...this.#rules.values()].some(({ type }) => type === 'noisy');
  }

  remove(id: string): void {
    this.#rules.delete(id);
    for (const key of this.#queues.keys()) if (key.startsWith(`${id} `)) this.#queues.delete(key);
  }

  clear(): void {
    this.#rules.clear();
    this.#queues.clear();
    this.#stuck.clear();
  }

  stick(from: NodeId, to: NodeId, untilMs: number): void {
    this.#stuck.set(`${from}>${to}`, untilMs);
  }

  isStuck(from: NodeId, to: NodeId, nowMs: number): boolean {
    return this.#stuck.size > 0 && nowMs < (this.#stuck.get(`${from}>${to}`) ?? 0);
  }

  /** A new process has new connections. */
  begin(node: NodeId): void {
    for (const path of this.#stuck.keys()) if (path.split('>').includes(node)) this.#stuck.delete(path);
  }

  concern(from: NodeId, to: NodeId): boolean {
    return this.#rules.size > 0 && this.#rulesOf(from, to).length > 0;
  }

  /** For how long the letter waits until the narrowest path has passed it; undefined: there is no room for it. */
  admit({ from, to }: Envelope, bytes: number, nowMs: number): number | undefined {
    const rules = this.#rulesOf(from, to);
    const narrow = rules.filter((rule) => rule.type === 'narrow');
    const queues = narrow.map((rule) => this.#queueOf(rule, from, to, nowMs));
    if (queues.some((queue, at) => queue.length >= narrow[at]!.lettersMax)) {
      this.#counts.refused += 1;
      return undefined;
    }
    const clogged = rules.filter((rule) => rule.type === 'clogged').map(({ untilMs }) => untilMs);
    let leavesMs = Math.max(nowMs, ...clogged);
    if (leavesMs > nowMs) this.#counts.held += 1;
    for (const [at, queue] of queues.entries()) {
      if (queue.length > 0) this.#counts.late += 1;
      const sentMs = (bytes / narrow[at]!.bytesPerSecond) * 1_000;
      const freeMs = (queue.at(-1) ?? nowMs) + sentMs;
      queue.push(freeMs);
      leavesMs = Math.max(leavesMs, freeMs);
    }
    return leavesMs - nowMs;
  }

  arrival(envelope: Envelope, bytes: Uint8Array): Arrival {
    for (const rule of this.#rulesOf(envelope.from, envelope.to)) {
      if (rule.type !== 'noisy' || rule.random.next() >= rule.probability) continue;
      const decoded = decode(damaged(bytes, rule.random), envelope);
      this.#counts.damaged += 1;
      if (decoded !== undefined) this.#counts.decodable += 1;
      return rule.isSealed ? 'unauthentic' : (decoded ?? 'undecodable');
    }
    return envelope;
  }

  /** What becomes of a frame of the link's own: one that was changed is never taken for another (zmq/frames.ts). */
  frame(from: NodeId, to: NodeId): 'whole' | 'undecodable' | 'unauthentic' {
    for (const rule of this.#rulesOf(from, to)) {
      if (rule.type !== 'noisy' || rule.random.next() >= rule.probability) continue;
      this.#counts.frames += 1;
      return rule.isSealed ? 'unauthentic' : 'undecodable';
    }
    return 'whole';
  }

  #rulesOf(from: NodeId, to: NodeId): Rule[] {
    const [sender, receiver] = [machineOf(from), machineOf(to)];
    if (sender === receiver) return [];
    return [...this.#rules.values()].filter((rule) => names(rule.from, sender) && names(rule.to, receiver));
  }

  #queueOf({ id }: NarrowPaths, from: NodeId, to: NodeId, nowMs: number): number[] {
    const key = `${id} ${machineOf(from)}>${machineOf(to)}`;
    const queue = (this.#queues.get(key) ?? []).filter((leavesMs) => leavesMs > nowMs);
    this.#queues.set(key, queue);
    return queue;
  }
}

/** Cut off somewhere, or a few bytes of it changed. */
function damaged(bytes: Uint8Array, random: Random): Uint8Array {
  assert(bytes.length > 0, 'a letter has bytes');
  if (random.next() < 0.3) return bytes.slice(0, random.integer(bytes.length));
  const changed = bytes.slice();
  const flips = 1 + random.integer(3);
  for (let flip = 0; flip < flips; flip++) {
    const at = random.integer(changed.length);
    changed[at] = changed[at]! ^ (1 + random.integer(255));
  }
  return changed;
}

/** As a link reads what arrives: from whom and for whom it is must be right, too. */
function decode(bytes: Uint8Array, { from, to, incarnation }: Envelope): Envelope | undefined {
  try {
    const envelope = decodeEnvelope(bytes);
    const isGenuine = envelope.from === from && envelope.to === to && envelope.incarnation === incarnation;
    return isGenuine ? envelope : undefined;
  } catch (error) {
    if (error instanceof TransportError) return undefined;
    throw error;
  }
}

function names(machines: readonly string[], machine: string): boolean {
  return machines.includes('*') || machines.includes(machine);
}
