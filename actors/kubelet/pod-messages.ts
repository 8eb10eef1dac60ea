/** What the actors of one kubelet say to each other: kubelet, shard, pod worker. */
import type { Pod } from '../objects/types/core.js';
import type { LeaseOutcome, NodeOutcome } from './node-writer.js';
import type { StartResult } from './pod-operations.js';
import type { ProbeKind, ProbeOutcome } from './probe-state.js';
import type { StaticManifest } from './static-pods.js';

export type PodWorkerMessage =
  | { readonly type: 'PodChanged'; readonly pod: Pod }
  /** The API object, or the manifest, is gone. */
  | { readonly type: 'PodRemoved' }
  /** Write the status again, whatever was written before (a mirror pod was made anew). */
  | { readonly type: 'PodRepublish' }
  | { readonly type: 'PodRuntimeChanged' }
  | { readonly type: 'PodWake' }
  | { readonly type: 'VolumesWritten'; readonly failure?: string }
  | { readonly type: 'RefreshVolumes' }
  | {
      readonly type: 'StartDone';
      readonly name: string;
      readonly attempt: number;
      readonly result: StartResult;
    }
  | { readonly type: 'HookDone'; readonly name: string; readonly id: string; readonly failure?: string }
  | { readonly type: 'StopDone'; readonly name: string; readonly shorten: boolean }
  | { readonly type: 'StatusWritten'; readonly version: number }
  | { readonly type: 'StatusNotWritten'; readonly gone: boolean; readonly why: string }
  | { readonly type: 'RetryStatus' }
  | { readonly type: 'CleanedUp' }
  | { readonly type: 'NotCleanedUp'; readonly why: string }
  | { readonly type: 'RetryCleanUp' }
  /** An operation failed in a way that is a fault of ours. */
  | { readonly type: 'OperationCrashed'; readonly error: unknown }
  | ProbeMessage;

export type ProbeMessage =
  | { readonly type: 'ProbeDue'; readonly name: string; readonly id: string; readonly kind: ProbeKind }
  | {
      readonly type: 'ProbeDone';
      readonly name: string;
      readonly id: string;
      readonly kind: ProbeKind;
      readonly outcome: ProbeOutcome;
    };

export type ShardMessage =
  | {
      readonly type: 'ShardPod';
      readonly uid: string;
      readonly pod: Pod;
      readonly podIP: string;
      readonly isStatic: boolean;
    }
  | { readonly type: 'ShardPodRemoved'; readonly uid: string }
  | { readonly type: 'ShardPodRepublish'; readonly uid: string }
  | { readonly type: 'ShardRuntimeChanged'; readonly uid: string }
  /** From a worker: it has nothing left to do. */
  | { readonly type: 'ShardWorkerDone'; readonly uid: string }
  /** From a worker: the pod has ended, its address is free. */
  | { readonly type: 'ShardPodFinished'; readonly uid: string }
  | { readonly type: 'ShardWorkerGone'; readonly uid: string }
  | { readonly type: 'ShardRestart'; readonly uid: string };

export type NodeMessage =
  /** The API's pods of this node, or the manifests, may have changed. */
  | { readonly type: 'PodsMoved' }
  | { readonly type: 'PodFinished'; readonly uid: string }
  | { readonly type: 'PodWorkerDone'; readonly uid: string }
  /** Something that needs no answer was done, or will be tried again when its cause shows again. */
  | { readonly type: 'WorkDone' }
  | { readonly type: 'NodeTick' }
  | { readonly type: 'NodeWritten'; readonly outcome: NodeOutcome }
  | { readonly type: 'LeaseTick' }
  | { readonly type: 'LeaseWritten'; readonly outcome: LeaseOutcome }
  | { readonly type: 'StaticTick' }
  | { readonly type: 'StaticRead'; readonly manifests: readonly StaticManifest[] }
  | { readonly type: 'MirrorsDone' }
  | { readonly type: 'KubeletCrashed'; readonly error: unknown };
