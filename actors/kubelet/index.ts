export type {
  ContainerConfig,
  ContainerMount,
  ContainerRecord,
  ContainerRuntime,
  ContainerStreams,
  ExecRequest,
  ImageRequest,
  OutputChunk,
  ResolvedImage,
  VolumeContent,
  VolumeFile,
} from './container-runtime.js';
export { collect, ImageError, RuntimeError } from './container-runtime.js';
export { type KubeletLimits, kubeletLimits, type RuntimeLimits, runtimeLimits } from './limits.js';
export {
  type ContainerSelector,
  type KubeletMessage,
  kubeletMessages,
  kubeletReplies,
  type KubeletReply,
  type LogOptions,
} from './messages.js';
export { endLeftoverContainers, ProcessRuntime, type ProcessRuntimeOptions } from './process-runtime.js';
export { SimulatedRuntime, type SimulatedRuntimeOptions } from './simulated-runtime.js';
export { kubeletSpec, type KubeletOptions } from './kubelet-spec.js';
export { machineFacts } from './machine-facts.js';
export { kubeletVersion, type NodeFacts } from './node-object.js';
export { type PodConnection, type PodNetwork, simulatedPodNetwork } from './pod-network.js';
export { socketPodNetwork } from './socket-pod-network.js';
export { staticPodFolder } from './static-pod-folder.js';
export type { StaticManifest, StaticPodSource } from './static-pods.js';
