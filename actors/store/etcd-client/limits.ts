/** Bounds of the client of a real etcd cluster. etcd's client's defaults where it has one. */
export const etcdClientLimits = {
  requestTimeoutMs: 5_000,
  /** How long one endpoint is waited for with a read, before another is asked. */
  repeatAfterMs: 1_500,
  /** Between two tries of a request that certainly did nothing. */
  retryDelayMs: 50,
  /** With less time left nothing is tried again. */
  tryMinMs: 150,
  /** After name or password were refused. */
  loginRestMs: 1_000,
  /** New tokens for one request. */
  loginsPerRequestMax: 3,
  connectTimeoutMs: 2_000,
  /** An endpoint that could not be reached rests for so long, twice as long each time. */
  reconnectDelayMinMs: 100,
  reconnectDelayMaxMs: 5_000,
  /** etcd ends connections that ping more often than each 5 s (--grpc-keepalive-min-time). */
  pingIntervalMs: 6_000,
  pingTimeoutMs: 3_000,
  requestsInFlightMax: 4_096,
  /** clientv3's limit of what it sends; etcd's own of what it takes is below. */
  requestBytesMax: 2 * 1024 * 1024,
  /** A page of a filling watch cache: 500 objects. */
  answerBytesMax: 768 * 1024 * 1024,
  http2SessionMemoryMaxMb: 1_024,
  http2WindowBytes: 1024 * 1024,
  watchesMax: 10_000,
  watchResumeDelayMinMs: 100,
  watchResumeDelayMaxMs: 2_000,
  /** Between two questions how far a watch is, while somebody waits for it. */
  progressRetryMs: 50,
  /** A watch that is behind what a read said and hears nothing for so long is taken to another endpoint. */
  watchStallMs: 1_500,
  /** kube-apiserver's --etcd-compaction-interval: history is kept for one to two of them. */
  compactionIntervalMs: 300_000,
} as const;

/** Each may be set for one client, through its options. */
export type EtcdClientLimits = { readonly [Name in keyof typeof etcdClientLimits]: number };
