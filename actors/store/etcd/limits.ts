/** Bounds of the etcd front. etcd's defaults where etcd has one. */
export const etcdLimits = {
  /** etcd's --max-request-bytes, and what its gRPC layer grants on top. */
  requestBytesMax: 1536 * 1024,
  requestOverheadBytes: 512 * 1024,
  /** Of them, what etcd's log puts around a request: its id, and which kind it is. */
  requestHeadBytes: 18,
  /** A watch answer above it is sent in fragments to those who asked for them. */
  watchResponseBytesMax: 1536 * 1024,
  /** etcd's own: 5 s and two election timeouts. */
  requestTimeoutMs: 7_000,
  /** etcd's --max-learners; `kabuki store add` takes more. */
  learnersMax: 1,
  /** Longest deadline that a timer can hold. */
  deadlineMaxMs: 0x7fff_ffff,
  /** Compares, success operations and failure operations of one transaction (etcd's --max-txn-ops). */
  txnOpsMax: 128,
  messageDepthMax: 40,
  /** Of the answer to a range, encoded in one turn: some milliseconds. */
  rangeKeysPerTurn: 4096,
  rangeBytesPerTurn: 1024 * 1024,
  /** Of a range in chunks: the first, and how large they are to become (etcd: that of a request). */
  rangeStreamKeysFirst: 10,
  rangeStreamChunkBytes: 1536 * 1024,
  /** What a key and its value take in an answer beside themselves, about. */
  keyValueHeadBytes: 24,
  /** etcd's --auth-token-ttl. */
  tokenTtlMs: 300_000,
  /** Tokens, and names of certificates, that a front need not verify again. */
  callersRememberedMax: 10_000,
  /** Waiting to be checked or hashed. */
  passwordsAtOnceMax: 32,
  /** etcd's --bcrypt-cost. */
  bcryptCost: 10,
  /** bcrypt looks at no more of a password. */
  passwordBytesMax: 72,
  leaseTtlMaxSeconds: 9_000_000_000,
  /** One and a half election timeouts, in whole seconds: shorter leases would end with every election. */
  leaseTtlMinSeconds: 2,
  /** A session that Lock or Campaign opens for a caller without a lease. */
  sessionTtlMs: 60_000,
  http2StreamsMax: 10_000,
  http2SessionMemoryMaxMb: 256,
  http2WindowBytes: 1024 * 1024,
  watchersPerStreamMax: 10_000,
  /** Unsent bytes of a watch stream above which its watchers stop reading; they catch up from history. */
  watchBacklogBytesMax: 8 * 1024 * 1024,
  /** etcd's --experimental-watch-progress-notify-interval. */
  progressNotifyIntervalMs: 600_000,
  /** How often the front looks at its member: leader, term. */
  statusIntervalMs: 500,
  /** Streams that require a leader are cut when there has been none for so long: three election timeouts. */
  leaderlessMaxMs: 3_000,
  /** So long after a front lost the node of the leader its member has noticed that, too, or still hears it. */
  leaderLossNoticedMs: 1_000,
  leaderAskedAgainMs: 25,
  freedAskedAgainMs: 25,
  /** A plaintext connection must say within this which protocol it speaks. */
  firstBytesTimeoutMs: 10_000,
  /** And any connection within this what it wants, once; a client of gRPC that was cut off idle connects again by itself. */
  firstCallTimeoutMs: 60_000,
  closeGraceMs: 1_000,
} as const;

export type EtcdLimits = { readonly [Name in keyof typeof etcdLimits]: number };
