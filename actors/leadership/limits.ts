/** How leadership is timed. Shorter than client-go's 15/10/2 s: a failover must be over within 3 s. */
export interface LeadershipLimits {
  /**
   * A record that has not changed for so long is anybody's. Whole seconds, because the Lease says it in
   * seconds.
   */
  readonly leaseDurationMs: number;
  /**
   * A leader that could not renew for so long stops; must be shorter than the lease, the rest is its margin.
   */
  readonly renewDeadlineMs: number;
  /** Pause of a leader between two renewals, less up to a fifth. */
  readonly renewPeriodMs: number;
  /** Pause after a failed attempt, jittered by a fifth each way. */
  readonly retryPeriodMs: number;
  /** Pause between two looks at the lease of another one, jittered likewise; the moment it expires is not missed. */
  readonly followPeriodMs: number;
  /** How long a leader whose children keep crashing stands back, doubled each time up to the maximum. */
  readonly standBackMinMs: number;
  readonly standBackMaxMs: number;
  /** Having led for so long without giving up resets the stand back. */
  readonly standBackResetMs: number;
  /** The Endpoints annotation is brought up to date this often while nothing but the renewal changes. */
  readonly mirrorPeriodMs: number;
  /** What a clean step-down may take. */
  readonly releaseTimeoutMs: number;
}

export const leadershipLimits: LeadershipLimits = {
  leaseDurationMs: 3_000,
  renewDeadlineMs: 2_400,
  renewPeriodMs: 1_250,
  retryPeriodMs: 500,
  followPeriodMs: 1_000,
  standBackMinMs: 5_000,
  standBackMaxMs: 60_000,
  standBackResetMs: 60_000,
  mirrorPeriodMs: 5_000,
  releaseTimeoutMs: 1_000,
};

/** For the API client of an election: a server that hangs is passed over while the lease still stands. */
export const electionClientLimits = {
  requestTimeoutMs: 900,
  readAttemptTimeoutMs: 400,
  retryPauseMinMs: 20,
  retryPauseMaxMs: 200,
} as const;
