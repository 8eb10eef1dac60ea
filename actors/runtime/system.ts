/**
 * The actor system of one node: spawns, routes, remembers causes. Interface here, `actor-system.ts` implements it
 * once for both engines.
 */
import type {
  EnvelopeId,
  FaultPolicy,
  Incarnation,
  Journal,
  Link,
  NodeId,
  TraceParent,
} from '../../transport/index.js';
import type { ActorContext, ChildSpec, SupervisorSpec, TreeNode } from './actor.js';
import type { Env } from './env.js';
import type { ActorRef, Message } from './ref.js';

/** What a message is caused by. Follows asynchronous code through AsyncLocalStorage, so that it need not be passed on by hand. */
export interface Cause {
  readonly id?: EnvelopeId;
  readonly trace: TraceParent;
}

/** Who sent the message being handled, as the link vouches for it (CURVE key of the node). */
export interface Sender {
  readonly node: NodeId;
  readonly path: string;
}

export interface ActorSystem {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly env: Env;
  readonly link: Link;
  readonly journal: Journal;
  readonly faults: FaultPolicy;
  /** Starts a top-level supervisor or actor. The system ends (`whenFailed`) when a top-level supervisor fails. */
  spawn<M extends Message>(spec: ChildSpec<M>): ActorRef<M>;
  supervise(spec: SupervisorSpec): void;
  tell<T extends Message>(ref: ActorRef<T>, message: T): void;
  ask<T extends Message, R extends Message>(
    ref: ActorRef<T>,
    request: (replyTo: ActorRef<R>) => T,
    options: { readonly timeoutMs: number },
  ): Promise<R>;
  /** A ref whose messages go to a callback instead of a mailbox (streams, asks). Close it when done. */
  callback<M extends Message>(
    prefix: string,
    receive: (message: M, sender: Sender) => void,
  ): { readonly ref: ActorRef<M>; close(): void };
  /** Calls `listener` once when the node is seen lost or restarted; returns the way to stop listening. */
  onNodeDown(node: NodeId, listener: () => void): () => void;
  /**
   * The sender of the message that the current code handles; undefined outside a handler. Ask before the first await: in a
   * system without a journal neither this nor `cause` is known after it.
   */
  sender(): Sender | undefined;
  cause(): Cause | undefined;
  /** Runs `work` as if caused by `cause`; with undefined a new trace begins. */
  withCause<T>(cause: Cause | undefined, work: () => T): T;
  /**
   * The message that the current code handles is none that it can read, as its sender is another machine, of any version: it is
   * dropped, counted as a dead letter and on record with the reason, and an ask that it is of is told at once. To be called
   * before the handler's first await.
   */
  refuse(why: string): void;
  note(actor: string, kind: string, detail?: Readonly<Record<string, string | number | boolean>>): void;
  tree(): readonly TreeNode[];
  /** Crashes an actor on purpose, as if its handler had thrown (fault injection). False if there is none. */
  crash(path: string, why: string): boolean;
  /** Resolves with the error when a top-level supervisor gave up. */
  readonly whenFailed: Promise<Error>;
  stop(): Promise<void>;
}

export type { ActorContext };
