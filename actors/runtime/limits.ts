/** Every bound of the actor runtime, units last. What one process may override comes in through ChildSpec. */
export const limits = {
  /** User lane of one mailbox. */
  mailboxDepthMax: 1024,
  /** Messages that one actor handles before others get a turn of the event loop. */
  messagesPerTurnMax: 64,
  /** Local messages to callbacks that wait for their turn, over the whole system. */
  callbackBacklogMax: 65_536,
  /** Remote messages held back until the link has started. */
  outboxDepthMax: 4096,
  /** Dead letters kept for inspection; all of them are counted. */
  deadLettersKept: 256,
  /** How long an actor's `stopped` hook and its last message may take before it is abandoned. */
  shutdownMs: 5000,
  /** Remote watches are asserted again this often, because a link may lose a Watch or a Terminated. */
  watchRenewMs: 5000,
  /** Who has not renewed its watch for this long has lost interest, or lost us. */
  watchLeaseMs: 30_000,
  /** Watches in one control envelope. */
  watchesPerEnvelopeMax: 256,
  /** After the news that an asked actor does not exist, how long an ask waits to learn that it was not handled. */
  deadLetterGraceMs: 100,
  /** An ask's watch on a remote actor is kept this long for the next ask. */
  askWatchIdleMs: 30_000,
  /** Supervision of actors that have no SupervisorSpec above them. */
  implicitSupervision: {
    intensity: { maxRestarts: 5, windowMs: 10_000 },
    backoff: { minMs: 50, maxMs: 5000, resetAfterMs: 30_000 },
  },
} as const;
