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
} as const;
