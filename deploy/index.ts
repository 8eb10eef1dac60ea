/** What a program gets from `import ... from 'kabuki'`: a cluster of its own, to test against and to break. */
export { type ApiClient, ApiError, isAlreadyExists, isConflict, isNotFound } from '../actors/client/index.js';
export type { TreeNode } from '../actors/runtime/index.js';
export type { FaultRule, JournalEvent } from '../transport/index.js';
export { type Cluster, type ClusterFaults, type ClusterOptions, startCluster } from './start-cluster.js';
