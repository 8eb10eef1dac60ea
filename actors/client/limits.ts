/**
 * What the client side of the Kubernetes API may use at most. Units last; every number can be overridden in
 * tests.
 */
export interface ClientLimits {
  /** From the call to its answer, over all attempts. */
  readonly requestTimeoutMs: number;
  /** One attempt of a read; after it the next apiserver is asked. */
  readonly readAttemptTimeoutMs: number;
  /** An apiserver that could not be reached is asked last for this long. */
  readonly apiserverPenaltyMs: number;
  /** Pause when every apiserver was tried in vain, doubled up to the maximum. */
  readonly retryPauseMinMs: number;
  readonly retryPauseMaxMs: number;
  /** Longest pause that a `Retry-After` can ask for. */
  readonly retryAfterMaxMs: number;
  /** Chunks of one watch under way to us. */
  readonly watchCreditChunks: number;
  /** A watch without a byte for so long counts as lost: a letter may be missing at its end. */
  readonly watchIdleMs: number;
  /** One line of a watch; an object is at most 3 MiB on the wire. */
  readonly watchLineBytesMax: number;
  /** Page of a list that an informer asks for. */
  readonly listPageItems: number;
  readonly relistPauseMinMs: number;
  readonly relistPauseMaxMs: number;
  /** A watch that lived longer than this resets the pause. */
  readonly watchHealthyMs: number;
}

export const clientLimits: ClientLimits = {
  requestTimeoutMs: 10_000,
  readAttemptTimeoutMs: 3_000,
  apiserverPenaltyMs: 2_000,
  retryPauseMinMs: 50,
  retryPauseMaxMs: 1_000,
  retryAfterMaxMs: 5_000,
  watchCreditChunks: 128,
  watchIdleMs: 30_000,
  watchLineBytesMax: 8 * 1024 * 1024,
  listPageItems: 500,
  relistPauseMinMs: 100,
  relistPauseMaxMs: 5_000,
  watchHealthyMs: 10_000,
};

export interface QueueLimits {
  /** First pause after a failure of a key, doubled with every further one. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** Keys known at once; more is a leak, not load: keys are names of objects. */
  readonly keysMax: number;
}

export const queueLimits: QueueLimits = { retryMinMs: 50, retryMaxMs: 60_000, keysMax: 200_000 };

export interface EventLimits {
  /** Events waiting to be written; more are dropped, with a note. */
  readonly pendingMax: number;
  /** Events remembered for counting repetitions. */
  readonly rememberedMax: number;
  /** Token bucket per object (client-go's spam filter: 25, one more each 5 minutes). */
  readonly burstPerObject: number;
  readonly refillMs: number;
}

export const eventLimits: EventLimits = {
  pendingMax: 256,
  rememberedMax: 4096,
  burstPerObject: 25,
  refillMs: 300_000,
};
