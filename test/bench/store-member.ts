/**
 * Entry of one store member as a process of its own: what a master runs in the thread of its store, and nothing else.
 * No CURVE, as etcd is measured without TLS. `journal` is `file` (as a cluster runs) or `silent` (no trace).
 */
import { RealDisk } from 'raft-consensus';
import { heapGrowthPercent, limitHeapGrowth } from '../../deploy/heap-growth.js';
import {
  actorRef,
  createActorSystem,
  createNactEngine,
  createRealEnv,
  realClock,
} from '../../actors/runtime/index.js';
import { openDiskStorage, storeMember, type StoreMessage } from '../../actors/store/index.js';
import {
  FaultPolicy,
  FileJournal,
  type Incarnation,
  nodeId,
  silentJournal,
  ZmqLink,
} from '../../transport/index.js';

export interface MemberArguments {
  readonly name: string;
  readonly clusterId: string;
  readonly folder: string;
  readonly members: readonly { readonly name: string; readonly address: string }[];
  readonly journal: 'file' | 'silent';
}

const {
  name,
  clusterId,
  folder,
  members,
  journal: kind,
} = JSON.parse(process.argv[2] ?? '') as MemberArguments;
const node = nodeId(name);
const cluster = new Map(members.map((member) => [nodeId(member.name), member.address] as const));
const bind = cluster.get(node);
if (bind === undefined) throw new TypeError(`${name} is not among the members`);
const incarnation = Date.now() as Incarnation;
const journal =
  kind === 'file'
    ? new FileJournal(`${folder}/${name}.journal.ndjson`, { clock: realClock, node })
    : silentJournal;
const env = createRealEnv({
  disk: () => RealDisk.open(`${folder}/${name}`),
  link: ({ policy, clock, random }) =>
    new ZmqLink(node, incarnation, policy, { clusterId, clock, random, journal, bind }),
});
const faults = new FaultPolicy();
const system = createActorSystem({
  node,
  incarnation,
  env,
  link: env.link(node, incarnation, faults),
  journal,
  faults,
  engine: createNactEngine(),
  cluster,
});
const fail = (error: unknown) => {
  console.error(error);
  process.exit(1);
};
void system.whenFailed.then(fail);
await system.started;
system.spawn<StoreMessage>(
  storeMember({
    name,
    members: members.map((member) => ({
      name: member.name,
      ref: actorRef<StoreMessage>(nodeId(member.name), '/store'),
    })),
    openStorage: async () => openDiskStorage(await env.disk('store'), clusterId, name),
    onFatal: fail,
  }),
);
limitHeapGrowth(heapGrowthPercent.storeAlone);

const stop = () => void system.stop().then(() => process.exit(0), fail);
process.on('SIGTERM', stop);
// The benchmark is gone: so is its member.
process.on('disconnect', stop);
