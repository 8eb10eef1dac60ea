/**
 * What a cluster consists of: machines, addresses, ranges. Written once by `kabuki up` as `cluster.json` in the data
 * directory; every process of the cluster reads it and nothing else about its peers.
 */
import type { StoreSettings } from '../actors/store/index.js';
import type { AuthToken } from './auth-token.js';
import { type NodeId, nodeId } from '../transport/index.js';

export interface MachineSpec {
  readonly name: string;
  readonly role: 'master' | 'worker';
  /** `tcp://127.0.0.1:port` of the machine's actor system. */
  readonly address: string;
  /** CURVE public key of the machine's links, Z85. */
  readonly publicKey: string;
  /** Of masters: where the store member listens, if there is one, and where HTTPS is served. */
  readonly storeAddress?: string;
  readonly httpsPort?: number;
  /** `127.64.1.0/24` */
  readonly podCidr: string;
  /** Of members of a store that runs alone: `host:port` of the etcd API. */
  readonly etcdListen?: string;
  /** What etcd's clients are to call it, if not by its name. */
  readonly title?: string;
}

/** A member of a store in another folder, perhaps on another machine. */
export interface JoinedMember {
  readonly name: string;
  /** `tcp://host:port` or `http://host:port` of its link. */
  readonly url: string;
  readonly publicKey: string;
}

/** What `kabuki store run` was told. */
export interface StoreAlone {
  /** Whether journals are written. */
  readonly trace: boolean;
  /** Paths of PEM files. */
  readonly tls?: {
    readonly certFile: string;
    readonly keyFile: string;
    readonly clientCaFile?: string;
    readonly clientCrlFile?: string;
    /** A name that a client's certificate must be for. */
    readonly clientHostname?: string;
    readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
    /** The common name of a client's certificate is the name of a user. */
    readonly clientCertAuth?: boolean;
  };
  readonly progressNotifyIntervalMs?: number;
  /** How long a token of a user counts. */
  readonly tokenTtlMs?: number;
  /** Of users' tokens, if not the group's; files are PEM. */
  readonly authToken?: AuthToken;
  /** Others than the defaults. */
  readonly settings?: StoreSettings;
  /** Whom a member that joined a running store met then; who belongs now stands in the group's configuration. */
  readonly joined?: readonly JoinedMember[];
}

/** A store that is not ours: an etcd cluster. */
export interface ExternalStore {
  /** `host:port` */
  readonly endpoints: readonly string[];
  /** Before every key; empty for none. */
  readonly prefix: string;
  /** Absent: plaintext. Paths of PEM files. */
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string };
  /** For an etcd with authentication. The file holds the password and nothing else; it is read when it is needed. */
  readonly user?: { readonly name: string; readonly passwordFile: string };
}

export interface ClusterSpec {
  readonly name: string;
  /** Random; a peer of another cluster is refused by it. */
  readonly id: string;
  readonly machines: readonly MachineSpec[];
  /** Where the load balancer listens: the address people use. */
  readonly frontPort: number;
  readonly serviceCidr: string;
  readonly podCidr: string;
  /** 443, or 6443 where this user may not bind ports below 1024. */
  readonly kubernetesServicePort: number;
  /** Set when the store runs alone: its members are the machines, and there is no control plane. */
  readonly store?: StoreAlone;
  /** Set when the apiservers use an etcd cluster: then masters have no store member. */
  readonly externalStore?: ExternalStore;
}

export function masters(spec: ClusterSpec): readonly MachineSpec[] {
  return spec.machines.filter((machine) => machine.role === 'master');
}

/** Machines with a member of the built-in store. */
export function storeMachines(spec: ClusterSpec): readonly MachineSpec[] {
  return spec.externalStore ? [] : masters(spec);
}

/** All masters, this machine first: what is near is asked first, and load spreads. */
export function ownFirst(spec: ClusterSpec, machine: MachineSpec): MachineSpec[] {
  const all = masters(spec);
  const own = Math.max(0, all.indexOf(machine));
  const start = machine.role === 'master' ? own : spec.machines.indexOf(machine) % all.length;
  return [...all.slice(start), ...all.slice(0, start)];
}

export function machineNamed(spec: ClusterSpec, name: string): MachineSpec {
  const machine = spec.machines.find((candidate) => candidate.name === name);
  if (!machine) {
    const known = spec.machines.map((candidate) => candidate.name).join(', ');
    throw new Error(`cluster ${spec.name} has no machine ${name}; it has ${known}`);
  }
  return machine;
}

/** The node of a machine's components, and of its store member. */
export function mainNode(machine: { readonly name: string }): NodeId {
  return nodeId(machine.name);
}
export function storeNode(machine: { readonly name: string }): NodeId {
  return nodeId(`${machine.name}.store`);
}

/** First address of the service range: the `kubernetes` service. */
export function kubernetesServiceIp(spec: Pick<ClusterSpec, 'serviceCidr'>): string {
  return spec.serviceCidr.replace(/\.0\/\d+$/, '.1');
}

/** Loopback ranges of the `index`th cluster on this machine (0-31): pods 127.64+index/16, services 127.96+index/16. */
export function addressRanges(index: number): { podCidr: string; serviceCidr: string } {
  return { podCidr: `127.${64 + index}.0.0/16`, serviceCidr: `127.${96 + index}.0.0/16` };
}
export const clustersPerMachineMax = 32;

export function nodePodCidr(podCidr: string, ordinal: number): string {
  return podCidr.replace(/\.0\.0\/16$/, `.${ordinal}.0/24`);
}

/** The loopback address of the machine with this pod range: 127.64.3.0/24 gives 127.64.255.3, which no pod has. */
export function nodeAddress(podCidr: string): string {
  return podCidr.replace(/\.(\d+)\.0\/24$/, '.255.$1');
}
