/** What bounds the transport. A link takes overrides of `LinkLimits`; the rest is fixed. */
export interface LinkLimits {
  /** One encoded envelope. */
  readonly envelopeBytesMax: number;
  /** Envelopes waiting for one peer, and their bytes: more are dropped with `queue-full`. */
  readonly outboundEnvelopesMax: number;
  readonly outboundBytesMax: number;
  /** Envelopes that a fault rule holds back, over all peers. */
  readonly delayedEnvelopesMax: number;
  /** An idle link says so this often. */
  readonly heartbeatMs: number;
  /** Silence after which a peer counts as down. */
  readonly peerTimeoutMs: number;
  /** A peer whose connection broke has this long to come back before it counts as down. */
  readonly disconnectGraceMs: number;
  /** A connection whose other end answers no ping for so long is dialled anew. Long: who is only busy does not answer either. */
  readonly connectionTimeoutMs: number;
  /** Peers, configured and those that introduced themselves. */
  readonly peersMax: number;
  /** A peer that introduced itself and stays away so long is no longer dialled. */
  readonly peerForgetMs: number;
}

export const linkLimits: LinkLimits = {
  envelopeBytesMax: 32 * 1024 * 1024,
  outboundEnvelopesMax: 16_384,
  outboundBytesMax: 128 * 1024 * 1024,
  delayedEnvelopesMax: 65_536,
  heartbeatMs: 1000,
  peerTimeoutMs: 3000,
  disconnectGraceMs: 500,
  connectionTimeoutMs: 6000,
  peersMax: 10_000,
  peerForgetMs: 60_000,
};

/** Header fields of an envelope; paths and kinds are short by nature. */
export const envelopeLimits = {
  idLengthMax: 128,
  pathLengthMax: 512,
  kindLengthMax: 128,
} as const;
