/**
 * Who a component is to the apiserver (ARCHITECTURE rule 14): its machine's key proves the node, the machine's role says which
 * components may speak from there, and the component names itself in `user-agent`.
 */
import type { Identity } from '../actors/apiserver/request.js';
import { machineOf, type NodeId } from '../transport/index.js';
import type { ClusterSpec } from './cluster-spec.js';

const authenticated = 'system:authenticated';

const controlPlane: Readonly<Record<string, Identity>> = {
  'kube-scheduler': { username: 'system:kube-scheduler', groups: [authenticated] },
  'kube-controller-manager': { username: 'system:kube-controller-manager', groups: [authenticated] },
};

/** Undefined for a node that the cluster does not have, or a component that its machine must not run. */
export function identifyComponent(
  spec: Pick<ClusterSpec, 'machines'>,
  node: NodeId,
  userAgent: string,
): Identity | undefined {
  const machine = spec.machines.find((candidate) => candidate.name === machineOf(node));
  if (!machine) return undefined;
  const component = userAgent.split('/')[0] ?? '';
  if (component === 'kubelet') {
    return { username: `system:node:${machine.name}`, groups: ['system:nodes', authenticated] };
  }
  if (component === 'kube-proxy') return { username: 'system:kube-proxy', groups: [authenticated] };
  return machine.role === 'master' ? controlPlane[component] : undefined;
}
