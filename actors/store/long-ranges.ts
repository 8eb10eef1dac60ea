/**
 * Ranges whose answer is too long for one letter. The member keeps what was found (raft-consensus: `RangeReading`) and gives it
 * piece by piece to whoever asked, each in a turn of its own, so that no list delays a heartbeat; one that nobody asks of any
 * more is given up. The client asks for some pieces ahead.
 */
import { type Caller, type KeyValue, KvError, RaftError, type RangeReading } from 'raft-consensus';
import type { Clock, Random } from '../../transport/index.js';
import { storeLimits, type StoreLimits } from './limits.js';
import type { RangeRest, StoreReply, StoreRequest } from './messages.js';

type Failure = Extract<StoreReply, { type: 'StoreFailed' }>;

interface OpenRange {
  readonly reading: RangeReading;
  readonly caller: Caller | undefined;
  /** Pieces that were given. */
  readonly given: Set<number>;
  usedAtMs: number;
}

export class LongRanges {
  readonly #member: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #limits: StoreLimits;
  readonly #open = new Map<string, OpenRange>();

  constructor(
    member: string,
    { clock, random }: { readonly clock: Clock; readonly random: Random },
    limits: StoreLimits,
  ) {
    this.#member = member;
    this.#clock = clock;
    this.#random = random;
    this.#limits = limits;
  }

  /** Takes over the reading; the answer with the first piece of it, and where the others are. */
  async open(reading: RangeReading, caller: Caller | undefined): Promise<StoreReply> {
    const { revision, more, count, pieces } = reading;
    const isLong = pieces > 1;
    if (isLong && this.#open.size >= this.#limits.rangesOpenMax) {
      reading.close();
      const what = `store member ${this.#member} is giving ${this.#open.size} long answers`;
      throw new RaftError('Dropped', what, { definite: true });
    }
    const id = isLong ? this.#keep(reading, caller) : undefined;
    try {
      const result = { type: 'range' as const, kvs: await reading.read(0), more, count };
      const rest = id === undefined ? {} : { rest: { id, member: this.#member, pieces } };
      return { type: 'StoreRangeDone', revision, result, ...rest };
    } finally {
      if (!isLong) reading.close();
    }
  }

  async read({
    id,
    number,
    caller,
  }: Extract<StoreRequest, { type: 'StoreRangeRead' }>): Promise<readonly KeyValue[]> {
    const open = this.#open.get(id);
    if (open === undefined || !Number.isInteger(number) || number < 1 || number >= open.reading.pieces) {
      const what = `store member ${this.#member} has no piece ${number} of ${id}: it was given up`;
      throw new RaftError('Timeout', what, { definite: true });
    }
    // It was found with the rights of whoever asked.
    if (!isSame(open.caller, caller)) {
      throw new KvError('PermissionDenied', 'etcdserver: permission denied');
    }
    open.usedAtMs = this.#clock.monotonicMs();
    const kvs = await open.reading.read(number);
    open.given.add(number);
    if (open.given.size === open.reading.pieces - 1) this.#close(id);
    return kvs;
  }

  /** To be called now and then. */
  expire(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [id, { usedAtMs }] of this.#open) {
      if (nowMs - usedAtMs >= this.#limits.rangeIdleMs) this.#close(id);
    }
  }

  #keep(reading: RangeReading, caller: Caller | undefined): string {
    // Never that of an earlier life, nor one that anybody could guess.
    const id = `range-${this.#random.integer(0x7fff_ffff)}-${this.#random.integer(0x7fff_ffff)}`;
    this.#open.set(id, { reading, caller, given: new Set(), usedAtMs: this.#clock.monotonicMs() });
    return id;
  }

  #close(id: string): void {
    const open = this.#open.get(id);
    this.#open.delete(id);
    open?.reading.close();
  }
}

function isSame(a: Caller | undefined, b: Caller | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Of the client: all pieces but the first, or why they do not come. */
export async function restOf(
  { pieces }: RangeRest,
  ask: (number: number) => Promise<StoreReply>,
): Promise<{ readonly kvs: readonly KeyValue[] } | Failure> {
  const kvs: KeyValue[] = [];
  const ahead: Promise<StoreReply>[] = [];
  let next = 1;
  for (let number = 1; number < pieces; number++) {
    while (next < pieces && ahead.length < storeLimits.rangePiecesAhead) ahead.push(ask(next++));
    const reply = await ahead.shift()!;
    if (reply.type === 'StoreFailed') return reply;
    if (reply.type !== 'StoreRangePiece') throw new TypeError(`store answered ${reply.type} to a piece`);
    for (const kv of reply.kvs) kvs.push(kv);
  }
  return { kvs };
}
