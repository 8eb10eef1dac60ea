/**
 * Two lanes: what the runtime says to a cell (start, stop, crash, terminated) goes first and is bounded by what
 * the cell itself asked for; what users say waits in a bounded lane that refuses when it is full.
 */
import type { Envelope } from '../../transport/index.js';

/** A first-in first-out queue on one array; amortised constant time. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

/** A user message on its way, with what can still call it back. */
export interface Letter {
  readonly envelope: Envelope;
  /** False when it was meant for an earlier life of the actor, or was cancelled (timer, unwatch). */
  readonly wanted: (() => boolean) | undefined;
}

/** Meant for one life of the cell; a later one ignores it. */
export type SystemItem =
  | { readonly type: 'start'; readonly life: number }
  | { readonly type: 'stop'; readonly life: number }
  | { readonly type: 'crash'; readonly life: number; readonly error: Error }
  | { readonly type: 'terminated'; readonly life: number; readonly letter: Letter };

export class Mailbox {
  readonly depthMax: number;
  readonly #system = new Fifo<SystemItem>();
  readonly #user = new Fifo<Letter>();

  constructor(depthMax: number) {
    this.depthMax = depthMax;
  }

  get depth(): number {
    return this.#user.length;
  }

  get isEmpty(): boolean {
    return this.#user.length === 0 && this.#system.length === 0;
  }

  /** False when the user lane is full: the message is refused. */
  offer(letter: Letter): boolean {
    if (this.#user.length >= this.depthMax) return false;
    this.#user.push(letter);
    return true;
  }

  /** For what the actor itself set going (timers, pipeToSelf): never refused, at most one per thing set going. */
  pushOwn(letter: Letter): void {
    this.#user.push(letter);
  }

  pushSystem(item: SystemItem): void {
    this.#system.push(item);
  }

  shiftSystem(): SystemItem | undefined {
    return this.#system.shift();
  }

  shiftUser(): Letter | undefined {
    return this.#user.shift();
  }
}
