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
  type Clock,
  FaultPolicy,
  FileJournal,
  type Incarnation,
  type NodeId,
  type ShortWayEnd,
  silentJournal,
  ZmqLink,
} from '../transport/index.js';
import type { StoreMemberInfo } from '../actors/store/index.js';
import type { ClusterSpec, MachineSpec } from './cluster-spec.js';
import type { DataDir } from './data-dir.js';
import { doors } from './doors.js';
import { MortalClock } from './mortal-clock.js';
import { PeerBook } from './peer-book.js';

export interface NodeSystem {
  readonly system: RunningActorSystem;
  /** The store's members are these now: the link knows where they are and who they are. */
  follow(members: readonly StoreMemberInfo[]): void;
  /** For what may wait for longer than the node lives: what still waits when it stops does not keep its thread alive. */
  readonly clock: Clock;
  stop(): Promise<void>;
}

export function createNodeSystem(
  dir: DataDir,
  spec: ClusterSpec,
  machine: MachineSpec,
  node: NodeId,
  /** To the other node of this process. */
  shortWay?: { readonly to: NodeId; readonly end: ShortWayEnd },
): NodeSystem {
  const peers = new PeerBook(spec);
  const { addresses } = peers;
  const bind = addresses.get(node);
  if (bind === undefined) throw new TypeError(`no address is known for ${node}`);
  // Later starts have later clocks; two starts of one node within a millisecond do not happen.
  const incarnation = Date.now() as Incarnation;
  const faults = new FaultPolicy();
  const journal =
    spec.store?.trace === false
      ? silentJournal
      : new FileJournal(dir.journalPath(machine.name, node), { clock: realClock, node });
  // Not that of the whole system: what each letter costs more shows in the benchmark of the store.
  const clock = new MortalClock(realClock);
  const env = createRealEnv({
    disk: (folder) => RealDisk.open(`${dir.machineDir(machine.name)}/${folder}`),
    link: (request) =>
      new ZmqLink(request.node, request.incarnation, request.policy, {
        clusterId: spec.id,
        clock: request.clock,
        random: request.random,
        journal,
        bind,
        ...(shortWay && { shortWay }),
        curve: {
          publicKey: machine.publicKey,
          secretKey: dir.readMachineKeys(machine.name).secretKey,
          serverKeys: peers.keys,
        },
      }),
  });
  const cluster = new Map([...addresses].filter(([name]) => name !== node));
  const link = env.link(node, incarnation, faults);
  const system = createActorSystem({
    node,
    incarnation,
    env,
    link,
    journal,
    faults,
    engine: createNactEngine(),
    cluster,
    doors,
  });
  const refused = (peer: NodeId, error: unknown) =>
    system.note('/', 'store member not linked', { peer, error: String(error) });
  return {
    system,
    clock,
    follow: (members) => peers.follow(members, link, clock, refused),
    stop: async () => {
      await system.stop();
      await system.journal.close();
      clock.end();
    },
  };
}
