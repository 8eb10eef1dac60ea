/** The Node object and its Lease as the kubelet writes them; pure. */
import { canonicalQuantity, formatMicroTime, formatTime } from '../objects/index.js';
import type { Lease } from '../objects/types/coordination.js';
import type { Node, NodeCondition, NodeStatus, Taint } from '../objects/types/core.js';

/** What the machine is; read once by an edge (`machine-facts.ts`), or made up for simulated nodes. */
export interface NodeFacts {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  readonly hostname: string;
  /** As Go names them: `linux`, `amd64`. */
  readonly operatingSystem: string;
  readonly architecture: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  readonly machineId: string;
  readonly bootId: string;
  /** Only root can give containers another user. */
  readonly isRoot: boolean;
}

export interface NodeOptions {
  readonly nodeName: string;
  readonly nodeIP: string;
  readonly podCidr: string;
  readonly facts: NodeFacts;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly podsMax: number;
  /** `name://version` of the container runtime. */
  readonly containerRuntime: string;
  /** How containers are isolated, as an annotation `kabuki.dev/isolation`. */
  readonly isolation: () => string;
}

export const kubeletVersion = 'v1.36.0-kabuki';
/** Kept for the system: what pods cannot have. */
const reservedMemoryBytes = 128 * 2 ** 20;

export function nodeObject(options: NodeOptions): Node {
  const { nodeName, facts, labels, taints, podCidr, isolation } = options;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: nodeName,
      labels: { ...standardLabels(nodeName, facts), ...labels },
      annotations: { 'kabuki.dev/isolation': isolation() },
    },
    spec: { podCIDR: podCidr, podCIDRs: [podCidr], ...(taints.length === 0 ? {} : { taints: [...taints] }) },
  };
}

function standardLabels(nodeName: string, facts: NodeFacts): Record<string, string> {
  return {
    'beta.kubernetes.io/arch': facts.architecture,
    'beta.kubernetes.io/os': facts.operatingSystem,
    'kubernetes.io/arch': facts.architecture,
    'kubernetes.io/hostname': nodeName,
    'kubernetes.io/os': facts.operatingSystem,
  };
}

export function allocatableOf(facts: NodeFacts, podsMax: number): Record<string, string> {
  const memory = Math.max(0, facts.memoryBytes - reservedMemoryBytes);
  return { ...capacityOf(facts, podsMax), memory: kibi(memory) };
}

function capacityOf(facts: NodeFacts, podsMax: number): Record<string, string> {
  return {
    cpu: String(facts.cpus),
    memory: kibi(facts.memoryBytes),
    'ephemeral-storage': kibi(facts.storageBytes),
    pods: String(podsMax),
  };
}

/** Canonical, as the API gives it back: what was written can be compared with what stands there. */
function kibi(bytes: number): string {
  return canonicalQuantity(`${Math.floor(bytes / 1024)}Ki`);
}

/** `known`: the node as the API has it, whose transition times are kept. */
export function nodeStatus(options: NodeOptions, known: Node | undefined, nowMs: number): NodeStatus {
  const { facts, podsMax, nodeIP, nodeName } = options;
  return {
    capacity: capacityOf(facts, podsMax),
    allocatable: allocatableOf(facts, podsMax),
    addresses: [
      { type: 'InternalIP', address: nodeIP },
      { type: 'Hostname', address: nodeName },
    ],
    conditions: conditions(known, nowMs),
    nodeInfo: {
      machineID: facts.machineId,
      systemUUID: facts.machineId,
      bootID: facts.bootId,
      kernelVersion: facts.kernelVersion,
      osImage: facts.osImage,
      containerRuntimeVersion: options.containerRuntime,
      kubeletVersion,
      kubeProxyVersion: '',
      operatingSystem: facts.operatingSystem,
      architecture: facts.architecture,
    },
  };
}

const healthy: readonly (readonly [type: string, status: string, reason: string, message: string])[] = [
  ['MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
  ['DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
  ['PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
  ['Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'],
];

function conditions(known: Node | undefined, nowMs: number): NodeCondition[] {
  const now = formatTime(nowMs);
  return healthy.map(([type, status, reason, message]) => {
    const old = known?.status?.conditions?.find((condition) => condition.type === type);
    const lastTransitionTime = old?.status === status ? (old.lastTransitionTime ?? now) : now;
    return { type, status, lastHeartbeatTime: now, lastTransitionTime, reason, message };
  });
}

/** Whether the API's node says something else than we would, heartbeat times aside. */
export function nodeStatusDiffers(known: Node | undefined, wanted: NodeStatus): boolean {
  return JSON.stringify(comparable(known?.status, wanted)) !== JSON.stringify(comparable(wanted, wanted));
}

function comparable(status: NodeStatus | undefined, wanted: NodeStatus): unknown {
  const of = (map: Readonly<Record<string, string>> | undefined) =>
    Object.keys(wanted.capacity ?? {}).map((name) => map?.[name]);
  return [
    of(status?.capacity),
    of(status?.allocatable),
    (wanted.addresses ?? []).map(({ type }) => status?.addresses?.find((one) => one.type === type)?.address),
    (wanted.conditions ?? []).map(({ type }) => {
      const condition = status?.conditions?.find((one) => one.type === type);
      return [condition?.status, condition?.reason];
    }),
    Object.keys(wanted.nodeInfo ?? {})
      .sort()
      .map((key) => status?.nodeInfo?.[key as keyof NonNullable<NodeStatus['nodeInfo']>] ?? ''),
  ];
}

export const leaseNamespace = 'kube-node-lease';

export function nodeLease(
  nodeName: string,
  known: Lease | undefined,
  nodeUid: string | undefined,
  durationSeconds: number,
  nowMs: number,
): Lease {
  const owner = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: nodeUid ?? '' };
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      ...known?.metadata,
      name: nodeName,
      namespace: leaseNamespace,
      ...(nodeUid === undefined ? {} : { ownerReferences: [owner] }),
    },
    spec: {
      ...known?.spec,
      holderIdentity: nodeName,
      leaseDurationSeconds: durationSeconds,
      renewTime: formatMicroTime(nowMs),
    },
  };
}
