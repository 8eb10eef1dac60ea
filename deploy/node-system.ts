/**
 * The actor system of a real node: real time and disk, a ZeroMQ link with the machine's CURVE key, a journal in the data
 * directory. A machine has one for its components, and a master a second one, in a thread of its own, for its store member.
 */
import { RealDisk } from 'raft-consensus';
import {
  createActorSystem,
  createNactEngine,
  createRealEnv,
  realClock,
  type RunningActorSystem,
} from '../actors/runtime/index.js';
import {
  FaultPolicy,
  FileJournal,
  type Incarnation,
  type NodeId,
  silentJournal,
  ZmqLink,
} from '../transport/index.js';
import { type ClusterSpec, type MachineSpec, mainNode, storeMachines, storeNode } from './cluster-spec.js';
import type { DataDir } from './data-dir.js';

export function createNodeSystem(
  dir: DataDir,
  spec: ClusterSpec,
  machine: MachineSpec,
  node: NodeId,
): RunningActorSystem {
  const addresses = addressBook(spec);
  const bind = addresses.get(node);
  if (bind === undefined) throw new TypeError(`no address is known for ${node}`);
  // Later starts have later clocks; two starts of one node within a millisecond do not happen.
  const incarnation = Date.now() as Incarnation;
  const faults = new FaultPolicy();
  const journal =
    spec.store?.trace === false
      ? silentJournal
      : new FileJournal(dir.journalPath(machine.name, node), { clock: realClock, node });
  const env = createRealEnv({
    disk: (folder) => RealDisk.open(`${dir.machineDir(machine.name)}/${folder}`),
    link: (request) =>
      new ZmqLink(request.node, request.incarnation, request.policy, {
        clusterId: spec.id,
        clock: request.clock,
        random: request.random,
        journal,
        bind,
        curve: {
          publicKey: machine.publicKey,
          secretKey: dir.readMachineKeys(machine.name).secretKey,
          serverKeys: keyBook(spec),
        },
      }),
  });
  const cluster = new Map([...addresses].filter(([name]) => name !== node));
  const link = env.link(node, incarnation, faults);
  return createActorSystem({
    node,
    incarnation,
    env,
    link,
    journal,
    faults,
    engine: createNactEngine(),
    cluster,
  });
}

function addressBook(spec: ClusterSpec): Map<NodeId, string> {
  return new Map([
    ...spec.machines.map((machine) => [mainNode(machine), machine.address] as const),
    ...storeMachines(spec).map((machine) => [storeNode(machine), machine.storeAddress as string] as const),
  ]);
}

/** Both nodes of a machine speak with the machine's key. */
function keyBook(spec: ClusterSpec): Map<NodeId, string> {
  return new Map([
    ...spec.machines.map((machine) => [mainNode(machine), machine.publicKey] as const),
    ...storeMachines(spec).map((machine) => [storeNode(machine), machine.publicKey] as const),
  ]);
}
