/** Bounds of the controllers. */
export const controllerLimits = {
  workers: 5,
  /** Pods created or deleted for one owner in one step (kubernetes: BurstReplicas). */
  podBurstMax: 500,
  /** A cache that has not caught up with our own writes is looked at again after this. */
  ownWritesRetryMs: 200,
  /** Writes that run side by side within one reconcile. */
  parallelWritesMax: 16,
  /** Kubernetes' default of --max-endpoints-per-slice. */
  endpointsPerSliceMax: 100,
  /** Addresses of one Endpoints object; more are cut off and an annotation says so. */
  endpointsMax: 1000,
  /** A node that is silent for so long is unreachable (kubernetes: node-monitor-grace-period). */
  nodeGraceMs: 40_000,
  /** The same for a node that has never reported. */
  nodeStartupGraceMs: 60_000,
  /** Between the evictions of two nodes of a zone (kubernetes: node-eviction-rate 0.1/s). */
  evictionPaceMs: 10_000,
  podGcMs: 20_000,
  /** A node must have been missing for so long before its pods are garbage. */
  podGcQuarantineMs: 40_000,
  terminatedPodsMax: 12_500,
  /** Pauses between two looks at a namespace that is not empty yet. */
  namespaceLookMinMs: 100,
  namespaceLookMaxMs: 10_000,
  listPageItems: 500,
  /** An allowed eviction whose pod does not begin to go by then does not count any more. */
  disruptionWaitMs: 120_000,
  /** Pause before a job replaces a failed pod, doubled with every failure. */
  jobBackoffMinMs: 10_000,
  jobBackoffMaxMs: 600_000,
  /** A daemon's pod that failed is replaced this long after it was made, at the earliest. */
  daemonRetryMs: 5_000,
  /** Kubernetes: concurrent-gc-syncs. */
  garbageWorkers: 20,
  /** Uids known not to exist. */
  absentOwnersMax: 1000,
  /** Pause before a dependent of an unknown kind is looked at again. */
  unknownOwnerRetryMs: 300_000,
} as const;
