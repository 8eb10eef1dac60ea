/** What cells, supervisors and watches need of the actor system around them. Implemented by actor-system.ts. */
import type { Envelope } from '../../transport/index.js';
import type { TerminationReason } from './actor.js';
import type { Endpoint } from './endpoint.js';
import type { Engine } from './engine.js';
import type { Frames } from './frame.js';
import type { Recorder } from './recorder.js';
import type { ActorRef, Message } from './ref.js';
import type { Supervisor } from './supervisor.js';
import type { ActorSystem, Cause } from './system.js';

export interface Host {
  readonly system: ActorSystem;
  readonly recorder: Recorder;
  readonly engine: Engine;
  readonly frames: Frames;
  nextLife(): number;
  register(endpoint: Endpoint): void;
  unregister(endpoint: Endpoint): void;
  sendFrom(fromPath: string, to: ActorRef<never>, message: Message): void;
  /** Records the envelope of a message that an actor sends to itself, bypassing routing. */
  toSelf(path: string, message: Message, cause: Cause | undefined): Envelope;
  askFrom<R extends Message>(
    fromPath: string,
    to: ActorRef<never>,
    request: (replyTo: ActorRef<R>) => Message,
    timeoutMs: number,
  ): Promise<R>;
  /** Calls `fire` once when the life that `ref` names now is gone; returns the way to stop watching. */
  watch(ref: ActorRef<never>, fire: (reason: TerminationReason) => void): () => void;
  /** The supervisor of what an actor spawns by hand. */
  family(path: string, onFailed: (error: Error) => void): Supervisor;
  /** `why`: what is wrong with it, for people. */
  undeliverable(envelope: Envelope, reason: UndeliverableReason, why?: string): void;
}

export type UndeliverableReason =
  'no-actor' | 'mailbox-full' | 'callback-backlog-full' | 'malformed' | 'no-door';
