/**
 * What the current code is doing on whose behalf: the message being handled, its cause and its sender. Follows
 * promises through AsyncLocalStorage. One storage for all systems of a process: in Node 20 each further storage
 * taxes every promise.
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

export const frames = new AsyncLocalStorage<Frame | undefined>();
