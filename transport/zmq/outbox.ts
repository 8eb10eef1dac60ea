/**
 * The way out to one peer: a DEALER with exactly one writer loop and a bounded queue of our own in front of it.
 * ZeroMQ's own queue is kept short, so that what waits can still expire, be counted and be told to the sender.
 * Letters that wait together leave together, as one message.
 */
import type { Dealer } from 'zeromq';
import type { Clock } from '../clock.js';
import type { Envelope } from '../envelope.js';
import type { LinkLimits } from '../limits.js';
import type { DropReason } from '../link.js';
import { frameTypes } from './frames.js';
import type { ShortWay } from './short-way.js';

/** Messages inside ZeroMQ, each of up to `batchBytesMax` or one large letter. */
export const sendHighWaterMark = 64;
const batchBytesMax = 128 * 1024;
const batchLettersMax = 512;
const eagerBytesMin = 8 * 1024;
const retryMs = 4;
const controlFramesMax = 64;

interface Letter {
  readonly envelope: Envelope;
  readonly bytes: Uint8Array;
}

export class Outbox {
  /** Whether the peer takes letters: it welcomed us over the present connection. */
  #open = false;
  /** Whether a letter waits for room; a peer that is down gets no patience. */
  patient = true;
  lastSentMs: number;
  readonly #dealer: Dealer;
  readonly #clock: Clock;
  readonly #limits: LinkLimits;
  readonly #drop: (envelope: Envelope, reason: DropReason) => void;
  readonly #shortWay: ShortWay | undefined;
  readonly #control: (string | Uint8Array)[][] = [];
  #letters: Letter[] = [];
  #head = 0;
  #bytes = 0;
  #writing = false;
  #closed = false;

  constructor(
    dealer: Dealer,
    clock: Clock,
    limits: LinkLimits,
    drop: (envelope: Envelope, reason: DropReason) => void,
    shortWay?: ShortWay,
  ) {
    this.#dealer = dealer;
    this.#clock = clock;
    this.#limits = limits;
    this.#drop = drop;
    this.#shortWay = shortWay;
    this.lastSentMs = clock.monotonicMs();
  }

  get depth(): number {
    return this.#letters.length - this.#head;
  }

  set open(open: boolean) {
    this.#open = open;
    if (open) this.#wake();
  }

  push(envelope: Envelope, bytes: Uint8Array): void {
    const full =
      this.depth >= this.#limits.outboundEnvelopesMax ||
      (this.depth > 0 && this.#bytes + bytes.length > this.#limits.outboundBytesMax);
    if (this.#closed || full) {
      this.#drop(envelope, this.#closed ? 'closed' : 'queue-full');
      return;
    }
    this.#letters.push({ envelope, bytes });
    this.#bytes += bytes.length;
    if (!this.#open || this.#writing) return;
    // Much for the thread beside this one: it can begin while this one goes on.
    if (this.#shortWay?.isOpen && this.#bytes >= eagerBytesMin) {
      this.#writing = true;
      void this.#write();
    } else this.#wake();
  }

  /** Handshake and heartbeat frames overtake letters; one that finds no room is lost and comes again. */
  control(frame: (string | Uint8Array)[]): void {
    if (this.#closed || this.#control.length >= controlFramesMax) return;
    this.#control.push(frame);
    this.#wake();
  }

  dropAll(reason: DropReason): void {
    const letters = this.#letters.slice(this.#head);
    this.#letters = [];
    this.#head = 0;
    this.#bytes = 0;
    for (const letter of letters) this.#drop(letter.envelope, reason);
  }

  /** Tries to get a last word out, then closes the socket. */
  close(reason: DropReason, lastWord?: (string | Uint8Array)[]): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#open = false;
    this.dropAll(reason);
    if (lastWord !== undefined) {
      this.#dealer.linger = 200;
      void this.#trySend(lastWord);
    }
    this.#dealer.close();
  }

  #wake(): void {
    if (this.#writing || this.#closed) return;
    this.#writing = true;
    // In a later turn, so that everything sent in this one leaves together.
    this.#clock.defer(() => void this.#write());
  }

  async #write(): Promise<void> {
    for (;;) {
      if (this.#closed) break;
      const frame = this.#control.shift();
      if (frame !== undefined) {
        await this.#trySend(frame);
        continue;
      }
      if (!this.#open) break;
      const batch = this.#nextBatch();
      if (batch.length === 0) break;
      if (await this.#sendLetters(batch)) {
        this.#advance(batch);
      } else if (this.patient) {
        await new Promise<void>((resolve) => this.#clock.setTimer(retryMs, resolve));
      } else {
        this.dropAll('unreachable');
      }
    }
    this.#writing = false;
  }

  /** Looks at the letters that go next, and drops those that expired while they waited. */
  #nextBatch(): Letter[] {
    const batch: Letter[] = [];
    let bytes = 0;
    const nowMs = this.#clock.nowMs();
    for (let i = this.#head; i < this.#letters.length && batch.length < batchLettersMax; i++) {
      const letter = this.#letters[i]!;
      if (letter.envelope.deadlineMs > 0 && nowMs >= letter.envelope.deadlineMs) {
        if (batch.length > 0) break;
        this.#head += 1;
        this.#bytes -= letter.bytes.length;
        this.#drop(letter.envelope, 'expired');
        continue;
      }
      if (batch.length > 0 && bytes + letter.bytes.length > batchBytesMax) break;
      batch.push(letter);
      bytes += letter.bytes.length;
    }
    return batch;
  }

  #advance(batch: readonly Letter[]): void {
    // dropAll may have emptied the queue while the batch was being sent.
    if (this.#letters[this.#head] !== batch[0]) return;
    this.#head += batch.length;
    for (const letter of batch) this.#bytes -= letter.bytes.length;
    if (this.#head === this.#letters.length || this.#head > 4096) {
      this.#letters = this.#letters.slice(this.#head);
      this.#head = 0;
    }
  }

  #sendLetters(batch: readonly Letter[]): boolean | Promise<boolean> {
    if (!this.#shortWay?.isOpen) return this.#trySend([frameTypes.letters, ...chunksOf(batch)]);
    if (!this.#shortWay.send(batch.map(({ bytes }) => bytes))) return false;
    this.lastSentMs = this.#clock.monotonicMs();
    return true;
  }

  /** False when ZeroMQ has no room or no connection (EAGAIN), or the socket closed meanwhile. */
  async #trySend(frame: (string | Uint8Array)[]): Promise<boolean> {
    try {
      await this.#dealer.send(frame);
      this.lastSentMs = this.#clock.monotonicMs();
      return true;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === 'EAGAIN' || code === 'EBADF' || code === 'ENOTSOCK' || this.#closed) return false;
      throw error;
    }
  }
}

/** Small letters share a chunk; copying a large one would cost more than a part of its own. */
function chunksOf(letters: readonly Letter[]): Uint8Array[] {
  if (letters.length === 1) return [letters[0]!.bytes];
  return [Buffer.concat(letters.map((letter) => letter.bytes))];
}
