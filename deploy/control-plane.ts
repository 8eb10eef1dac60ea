/** What a master runs besides the agents of every machine: the apiserver, and the candidates for scheduler and controllers. */
import { type ApiServer, apiserverActor, createApiServer } from '../actors/apiserver/index.js';
import { controllerManagerSpec } from '../actors/controllers/index.js';
import type { KubeletMessage } from '../actors/kubelet/messages.js';
import { electionClientLimits, leaderElection } from '../actors/leadership/index.js';
import { builtinRegistry } from '../actors/objects/index.js';
import { actorRef, type SupervisorSpec } from '../actors/runtime/index.js';
import { schedulerSpec } from '../actors/scheduler/index.js';
import { type ApiStore, createStoreClient } from '../actors/store/index.js';
import { type NodeId, nodeId } from '../transport/index.js';
import { mainNode } from './cluster-spec.js';
import { identifyComponent } from './identity.js';
import { clientFor, type MachineParts } from './machine.js';
import { askedMembers } from './store-peers.js';
import { versionInfo } from './version.js';

export function startControlPlane(parts: MachineParts): ApiServer {
  const apiServer = startApiServer(parts);
  startLeaders(parts);
  return apiServer;
}

function startApiServer(parts: MachineParts): ApiServer {
  const { spec, machine, system, tokens, rootCa, identifyGuest } = parts;
  const server = createApiServer({
    system,
    store: parts.store ?? builtInStore(parts),
    registry: builtinRegistry(),
    kubelets: (node) => actorRef<KubeletMessage>(nodeId(node), '/kubelet'),
    serviceCidr: spec.serviceCidr,
    version: versionInfo,
    advertise: { address: '127.0.0.1', port: machine.httpsPort ?? 0 },
    kubernetesServicePort: spec.kubernetesServicePort,
    // Pods get a token as soon as there is somebody to sign it and a certificate to trust.
    ...(tokens && { tokens, mountTokens: rootCa !== undefined }),
  });
  server.start();
  const identify = (node: NodeId, userAgent: string) =>
    identifyComponent(spec, node, userAgent) ?? identifyGuest?.(node);
  system.spawn(apiserverActor({ handler: server, identify }));
  return server;
}

function builtInStore({ spec, machine, system }: MachineParts): ApiStore {
  return createStoreClient({ system, members: askedMembers(spec, machine) });
}

/** Scheduler and controllers run on every master and are active on one (ARCHITECTURE rule 10). */
function startLeaders(parts: MachineParts): void {
  elect(parts, 'kube-scheduler', (fencing) =>
    schedulerSpec({ system: parts.system, client: clientFor(parts, 'kube-scheduler'), fencing }),
  );
  elect(parts, 'kube-controller-manager', (fencing) =>
    controllerManagerSpec({
      system: parts.system,
      client: clientFor(parts, 'kube-controller-manager'),
      fencing,
      ...(parts.rootCa !== undefined && { rootCa: parts.rootCa }),
    }),
  );
}

function elect(parts: MachineParts, component: string, onLead: (fencing: string) => SupervisorSpec): void {
  const { spec, machine, system } = parts;
  system.spawn({
    ...leaderElection({
      lockName: component,
      identity: `${machine.name}_${system.env.uuid()}`,
      // A hung apiserver must not eat the lease.
      client: clientFor(parts, component, electionClientLimits),
      onLead,
      nodeOf: (identity) => {
        const holder = spec.machines.find(({ name }) => identity.startsWith(`${name}_`));
        return holder && mainNode(holder);
      },
    }),
    id: component,
  });
}
