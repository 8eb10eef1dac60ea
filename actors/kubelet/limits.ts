/**
 * Every bound and period of the kubelet in one place; `kubeletLimits` are Kubernetes' own defaults where it
 * has them.
 */
export interface KubeletLimits {
  /** Lease renewal and its validity (KEP-589). */
  readonly leaseRenewMs: number;
  readonly leaseDurationSeconds: number;
  /** The node's status is looked at this often, and written when it changed or is older than the second. */
  readonly nodeStatusIntervalMs: number;
  readonly nodeStatusReportMs: number;
  /**
   * CrashLoopBackOff: first delay, doubled up to the maximum; forgotten after `crashBackoffResetMs` without
   * a crash.
   */
  readonly crashBackoffBaseMs: number;
  readonly crashBackoffMaxMs: number;
  readonly crashBackoffResetMs: number;
  readonly imageBackoffBaseMs: number;
  readonly imageBackoffMaxMs: number;
  /** How long a first failure (`ErrImagePull`) stands in the status before `ImagePullBackOff` replaces it. */
  readonly failureShownMs: number;
  /** The least time between SIGTERM and SIGKILL, also when a pod is deleted with grace 0. */
  readonly graceMinMs: number;
  /** How often files of configMap, secret and downwardAPI volumes are made anew. */
  readonly volumeRefreshMs: number;
  /** Retry of a failed volume or status write: first delay, doubled up to the maximum. */
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  readonly staticPodIntervalMs: number;
  readonly podsMax: number;
  /** Pod workers are spread over this many parents. */
  readonly podShards: number;
  readonly sessionsMax: number;
  /** KubeletInput letters that may be under way to one session. */
  readonly sessionInputCredit: number;
  readonly execProbeOutputBytesMax: number;
  /** TokenRequest for `serviceAccountToken` volumes is renewed at this part of its life. */
  readonly tokenRenewFraction: number;
}

export const kubeletLimits: KubeletLimits = {
  leaseRenewMs: 10_000,
  leaseDurationSeconds: 40,
  nodeStatusIntervalMs: 10_000,
  nodeStatusReportMs: 300_000,
  crashBackoffBaseMs: 10_000,
  crashBackoffMaxMs: 300_000,
  crashBackoffResetMs: 600_000,
  imageBackoffBaseMs: 10_000,
  imageBackoffMaxMs: 300_000,
  failureShownMs: 2_000,
  graceMinMs: 2_000,
  volumeRefreshMs: 60_000,
  retryBaseMs: 500,
  retryMaxMs: 30_000,
  staticPodIntervalMs: 2_000,
  podsMax: 110,
  podShards: 8,
  sessionsMax: 64,
  sessionInputCredit: 16,
  execProbeOutputBytesMax: 10 * 1024,
  tokenRenewFraction: 0.8,
};

export interface RuntimeLimits {
  /** A container's log is rotated at this size; one older file is kept. */
  readonly logFileBytesMax: number;
  /** A longer line is cut into partial lines (CRI tag `P`). */
  readonly logLineBytesMax: number;
  /** Output waiting for the disk or for a slow reader; beyond it the process is made to wait. */
  readonly streamBufferBytesMax: number;
  readonly streamChunkBytesMax: number;
  /** How long output may trickle in after a process has ended, before the pipes are closed. */
  readonly drainAfterExitMs: number;
  /** What a container may write outside of its volumes, in memory, where its view replaces folders of the host. */
  readonly viewBytesMax: number;
  /** A folder with more entries is not rebuilt for a mount point in it. */
  readonly viewEntriesMax: number;
  /** Processes started by exec in one container at a time. */
  readonly execsPerContainerMax: number;
  /** Of a termination message, and of why a program could not be started. */
  readonly messageBytesMax: number;
  /** Between SIGTERM and SIGKILL when the kubelet itself ends. */
  readonly closeGraceMs: number;
}

export const runtimeLimits: RuntimeLimits = {
  logFileBytesMax: 10 * 1024 * 1024,
  logLineBytesMax: 16 * 1024,
  streamBufferBytesMax: 1024 * 1024,
  streamChunkBytesMax: 32 * 1024,
  drainAfterExitMs: 500,
  viewBytesMax: 64 * 1024 * 1024,
  viewEntriesMax: 256,
  execsPerContainerMax: 32,
  messageBytesMax: 4096,
  closeGraceMs: 1000,
};
