/** Every bound of the apiserver in one place (ARCHITECTURE rule 12). Figures follow kube-apiserver where it has one. */
export const limits = {
  /** kube-apiserver's MaxRequestBodyBytes. */
  requestBodyBytesMax: 3 * 1024 * 1024,
  /** What is still read of a larger body before the connection is ended. */
  requestBodyDrainedBytesMax: 16 * 1024 * 1024,
  /** How long a read waits for the cache to reach the revision it must see. */
  freshnessWaitMs: 3_000,
  /** Waits of a write for the store's answer. */
  storeTimeoutMs: 10_000,
  /** Rounds of read, change, compare-and-write before a patch gives up with 409. */
  conflictRetriesMax: 5,
  /** Names tried for one generateName. */
  generateNameTriesMax: 8,
  /** Addresses and ports tried for one Service. */
  allocationTriesMax: 32,
  /** Watch history per resource: events and bytes, whichever is reached first. */
  historyEventsMax: 10_000,
  historyBytesMax: 16 * 1024 * 1024,
  /** Older events go, down to `historyEventsMin`: the store keeps its own history for as long. */
  historyAgeMs: 300_000,
  historyEventsMin: 100,
  /** Keys per range request when a cache fills. */
  relistPageKeys: 500,
  /** Events that wait for one watcher; more and the watch is ended. */
  watcherQueueEventsMax: 10_000,
  /** Above this the sink is given nothing more until it drains. */
  watcherBufferedBytesMax: 4 * 1024 * 1024,
  watcherDrainPollMs: 20,
  /** About once a minute, as kube-apiserver does. Signs of life are the stream's own (`streamSignMs`). */
  bookmarkIntervalMs: 60_000,
  /** A last bookmark goes out this long before a watch reaches its timeout. */
  bookmarkBeforeEndMs: 2_000,
  watchTimeoutMinSeconds: 1_800,
  watchTimeoutMaxSeconds: 3_600,
  /** Watches over all resources; beyond, 429. */
  watchersMax: 20_000,
  /** Requests in flight, watches apart: kube-apiserver's max-requests-inflight plus its mutating sibling. */
  requestsInFlightMax: 600,
  /** Request letters remembered to tell a doubled one. */
  requestsRememberedMax: 16_384,
  retryAfterSeconds: 1,
  /** deletecollection works on this many objects at a time. */
  deleteCollectionChunk: 50,
  /** kube-apiserver compresses first writes above this. */
  gzipBytesMin: 128 * 1024,
  http2StreamsMax: 1_000,
  kubeletTimeoutMs: 30_000,
  /** Letters of a log or exec session that may be under way to us. */
  sessionCreditChunks: 64,
  /** Of one letter of input to a kubelet. */
  sessionChunkBytesMax: 32 * 1024,
  /** A client that is not read from is asked this often whether it is still there. */
  sessionPingMs: 1_000,
  /** Of one proxied request's body, on its way to a pod that does not take it. */
  proxyBufferedBytesMax: 256 * 1024,
  /** SPDY, of clients that port-forward: two streams are one connection of theirs. */
  spdyFrameBytesMax: 1024 * 1024,
  spdyHeaderBytesMax: 16 * 1024,
  spdyStreamsMax: 256,
  /** How long a client may take to open the streams of an exec over SPDY (kubelet's stream creation timeout). */
  spdyStreamsWaitMs: 30_000,
  /** A stream over the actor door that nobody grants credit to is ended after this. */
  streamStallMs: 120_000,
  /** So long after its last chunk a stream tells its client how many there were, and again every `streamSignMs`. */
  streamTailCheckMs: 2_000,
  /** Well below the silence after which clients on other nodes give a watch up (clientLimits.watchIdleMs). */
  streamSignMs: 10_000,
  /** Chunks kept for a consumer without credit. */
  streamQueueChunksMax: 20_000,
  streamQueueBytesMax: 32 * 1024 * 1024,
  /** Small chunks that piled up travel together up to this size. */
  streamChunkBytes: 256 * 1024,
  /** Streams one client node may hold open at the actor door. */
  streamsPerNodeMax: 2_000,
  tokenMinSeconds: 600,
  tokenMaxSeconds: 2 ** 32,
  tokenDefaultSeconds: 3_600,
  /** How often an apiserver makes sure that its endpoint is published. */
  endpointRefreshMs: 20_000,
  /** An apiserver that has not announced itself for this long leaves the endpoints. */
  endpointTtlMs: 60_000,
  /** Events are kept for an hour; those of a minute share a lease (kube-apiserver's event-ttl). */
  eventTtlMs: 3_600_000,
  eventLeaseReuseMs: 60_000,
  /** Wait before the store is tried again when a cache cannot fill. */
  relistBackoffMs: 500,
} as const;
