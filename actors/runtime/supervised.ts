/** What a supervisor sees of its children: actors' cells and further supervisors alike. */
import type { StopReason, TreeNode } from './actor.js';

export interface Supervised {
  readonly id: string;
  readonly path: string;
  readonly restart: 'permanent' | 'transient' | 'temporary';
  /** From `start` until the end, including the time that ending takes. */
  readonly alive: boolean;
  /** Resolves when it runs, or when the attempt is over; a failure is told to the parent. */
  start(): Promise<void>;
  stop(): Promise<void>;
  backingOff(): void;
  /** Takes no more messages until it is started again. */
  park(): void;
  /** Takes no more messages ever. */
  retire(): void;
  tree(): TreeNode;
}

export interface SupervisedParent {
  /** The child ended by itself: crashed, or stopped normally. Not called for an end that the parent asked for. */
  ended(child: Supervised, reason: StopReason, error: Error | undefined): void;
}
