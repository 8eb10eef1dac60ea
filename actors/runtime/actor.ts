/**
 * What an actor is: a pure behaviour `(state, message, ctx) -> state` plus how it starts and stops.
 * The same definition runs on the nact engine and on the simulator's (ARCHITECTURE rule 3).
 */
import type { NodeId, Timer } from '../../transport/index.js';
import type { Env } from './env.js';
import type { ActorRef, Message } from './ref.js';
import type { ActorSystem } from './system.js';

export interface Actor<S, M extends Message> {
  /** Runs before the first message. A throw here counts as a crash. */
  initial(ctx: ActorContext<M>): S | Promise<S>;
  /** One message at a time, also when it returns a promise. A throw is a crash: the supervisor decides. */
  receive(state: S, message: M, ctx: ActorContext<M>): S | Promise<S>;
  /** Runs once when the actor ends, for whatever reason; must not throw. */
  stopped?(state: S | undefined, reason: StopReason): void | Promise<void>;
}

export type StopReason = 'normal' | 'shutdown' | 'crash';

/** Why a watched actor is gone: `crash` and `normal` are certain, `unreachable` is the local view of a lost node. */
export type TerminationReason = 'normal' | 'crash' | 'unreachable' | 'not-found';

/** OTP child specification as data. */
export interface ChildSpec<M extends Message = never> {
  /** Last segment of the path. */
  readonly id: string;
  /** A fresh definition for every start, so that nothing leaks from one incarnation to the next. */
  // biome-ignore lint: the state is the actor's own business.
  start(): Actor<unknown, M>;
  /** permanent: always restarted; transient: only after a crash; temporary: never. Default permanent. */
  readonly restart?: 'permanent' | 'transient' | 'temporary';
  /** How long `stopped` may take, default 5000. */
  readonly shutdownMs?: number;
  /** User lane; default limits.mailboxDepthMax. A full mailbox refuses: the sender sees a drop, a dead letter is recorded. */
  readonly mailboxDepthMax?: number;
}

export interface SupervisorSpec {
  readonly id: string;
  readonly strategy: 'one-for-one' | 'rest-for-one' | 'all-for-one';
  /** More than `maxRestarts` within `windowMs` and the supervisor itself fails: its parent decides. */
  readonly intensity: { readonly maxRestarts: number; readonly windowMs: number };
  /** Exponential with full jitter; back to `minMs` after `resetAfterMs` without a crash. */
  readonly backoff: { readonly minMs: number; readonly maxMs: number; readonly resetAfterMs: number };
  readonly children: readonly (ChildSpec<never> | SupervisorSpec)[];
}

export interface ActorContext<M extends Message> {
  readonly self: ActorRef<M>;
  readonly system: ActorSystem;
  readonly env: Env;
  tell<T extends Message>(ref: ActorRef<T>, message: T): void;
  /** Sends `request(replyTo)` and resolves with the reply; rejects with AskError (timeout, dead, unreachable). */
  ask<T extends Message, R extends Message>(
    ref: ActorRef<T>,
    request: (replyTo: ActorRef<R>) => T,
    options: { readonly timeoutMs: number },
  ): Promise<R>;
  /** Starts a child of this actor (restart defaults to `temporary` here: who spawns by hand decides by death watch). */
  spawn<C extends Message>(spec: ChildSpec<C>): ActorRef<C>;
  /**
   * Starts a supervision tree below this actor; it ends with the actor. When it gives up, its children are stopped
   * already and `failed(error)` is delivered once. `stop` resolves when all of it has ended.
   */
  supervise(spec: SupervisorSpec, failed: (error: Error) => M): { stop(): Promise<void> };
  /** Stops a child, or with no argument this actor after the current message. */
  stop(child?: ActorRef<never>): void;
  /** Delivers `message(reason)` to this actor exactly once when `ref` is gone, also when it never existed or its node is lost. */
  watch(ref: ActorRef<never>, message: (reason: TerminationReason) => M): void;
  unwatch(ref: ActorRef<never>): void;
  /** One-shot, replaced by a later timer of the same name, gone with the actor. */
  setTimer(name: string, delayMs: number, message: M): void;
  cancelTimer(name: string): void;
  /** Delivers the outcome of asynchronous work as a message, with the current cause. */
  pipeToSelf<T>(promise: Promise<T>, ok: (value: T) => M, failed: (error: unknown) => M): void;
  /** The message that is being handled is none that this actor can read (ActorSystem.refuse). */
  refuse(why: string): void;
  /** Puts a remark into the trace journal, under the message that is being handled. */
  note(kind: string, detail?: Readonly<Record<string, string | number | boolean>>): void;
}

/** A node of the printed supervision tree. */
export interface TreeNode {
  readonly node: NodeId;
  readonly path: string;
  readonly strategy?: SupervisorSpec['strategy'];
  readonly state: 'starting' | 'running' | 'backing-off' | 'stopped';
  readonly restarts: number;
  readonly mailboxDepth: number;
  readonly children: readonly TreeNode[];
}

export type { Timer };
