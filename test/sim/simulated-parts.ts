/** What a simulated machine has in place of the outside world. */
import {
  type ContainerRuntime,
  type NodeFacts,
  type PodNetwork,
  SimulatedRuntime,
  simulatedPodNetwork,
} from '../../actors/kubelet/index.js';
import { type ServiceProxy, SimulatedServiceProxy } from '../../actors/proxy/index.js';
import type { ActorSystem } from '../../actors/runtime/index.js';

export interface SimulatedParts {
  readonly runtime: ContainerRuntime;
  readonly podNetwork: PodNetwork;
  readonly facts: NodeFacts;
  readonly serviceProxy: ServiceProxy;
}

export function simulatedParts(system: ActorSystem): SimulatedParts {
  const { clock, random } = system.env;
  return {
    runtime: new SimulatedRuntime({ clock, random }),
    podNetwork: simulatedPodNetwork,
    facts: simulatedFacts(system.node),
    serviceProxy: new SimulatedServiceProxy(),
  };
}

function simulatedFacts(hostname: string): NodeFacts {
  return {
    cpus: 4,
    memoryBytes: 8 * 2 ** 30,
    storageBytes: 64 * 2 ** 30,
    hostname,
    operatingSystem: 'linux',
    architecture: 'amd64',
    kernelVersion: '0.0.0-simulated',
    osImage: 'Simulated',
    machineId: hostname,
    bootId: hostname,
    isRoot: false,
  };
}
