/**
 * What the current code is doing on whose behalf: the message being handled, its cause and its sender. In a system that
 * records, this follows promises through AsyncLocalStorage; in Node 20 that taxes every promise and callback of the thread,
 * about a tenth of what a write costs a store. A system without a journal has nobody to tell causes to and does without:
 * there a frame is known until the handler's first await.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Envelope } from '../../transport/index.js';
import type { Cause, Sender } from './system.js';

export class Frame {
  /** The system that runs the code; another system ignores the frame. */
  readonly owner: object;
  /** Path of the actor or callback that runs. */
  readonly path: string;
  readonly cause: Cause;
  readonly envelope: Envelope | undefined;

  constructor(owner: object, path: string, cause: Cause, envelope: Envelope | undefined) {
    this.owner = owner;
    this.path = path;
    this.cause = cause;
    this.envelope = envelope;
  }

  get sender(): Sender | undefined {
    return this.envelope && { node: this.envelope.from, path: this.envelope.fromPath };
  }
}

/** One for all systems of a thread: each further storage would be a further tax. */
const followed = new AsyncLocalStorage<Frame | undefined>();

/** Of one system. */
export class Frames {
  readonly #owner: object;
  readonly #followsPromises: boolean;
  /** Of a system that does not follow promises. */
  #current: Frame | undefined;

  constructor(owner: object, followsPromises: boolean) {
    this.#owner = owner;
    this.#followsPromises = followsPromises;
  }

  /** Of the code that runs now, if it runs for this system. */
  get current(): Frame | undefined {
    if (!this.#followsPromises) return this.#current;
    const frame = followed.getStore();
    return frame?.owner === this.#owner ? frame : undefined;
  }

  /** What `work` does, it does in `frame`; undefined: on nobody's behalf. */
  run<A extends unknown[], R>(frame: Frame | undefined, work: (...args: A) => R, ...args: A): R {
    if (this.#followsPromises) return followed.run(frame, work, ...args);
    const before = this.#current;
    this.#current = frame;
    try {
      return work(...args);
    } finally {
      this.#current = before;
    }
  }
}

/** A way to run code later as on behalf of whom this code runs, which real timers keep by themselves. */
export function bound(callback: () => void): () => void {
  const frame = followed.getStore();
  return () => followed.run(frame, callback);
}
