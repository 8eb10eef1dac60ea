/**
 * Bugs on purpose, to see that the simulator finds them: what Raft, the log on disk, the key-value state, a watch or a client
 * could have got wrong, most after a bug that some store once had. They live here only, wrapped around the real parts of a
 * member. docs/store-bugs.md is their table.
 */
import type { SimDisk } from 'raft-consensus';
import type { MemberParts, MemberStorage, StoreClient, StoreLimits } from '../../../actors/store/index.js';
import type { Clock } from '../../../transport/index.js';
import { StoreError } from '../../../actors/store/index.js';
import { diskBugs } from './planted-disk-bugs.js';
import { leaseBugs } from './planted-lease-bugs.js';
import { linkBugs } from './planted-link-bugs.js';
import { membershipBugs } from './planted-membership-bugs.js';
import { raftBugs } from './planted-raft-bugs.js';
import { snapshotBugs } from './planted-snapshot-bugs.js';
import { watchBugs } from './planted-watch-bugs.js';
import type { FaultKind } from './swarm.js';

export interface PlantedBug {
  readonly name: string;
  /** What is wrong. */
  readonly what: string;
  /** The store that had it, or the rule that it breaks. */
  readonly after: string;
  /** The first seed that finds it, and how many from there on must be enough. */
  readonly seed: number;
  readonly seedsMax: number;
  /** It is about values in files; absent: they stay in memory, so that nothing but the bug is new. */
  readonly valuesInFiles?: boolean;
  /** Faults that bring it out sooner; absent: whatever the seed draws. */
  readonly faults?: readonly FaultKind[];
  /** What the report of it must say. */
  readonly finds: RegExp;
  /** Opens what a member keeps on disk, in place of `open`. */
  open?(disk: SimDisk, open: () => MemberStorage): MemberStorage;
  /** Whoever runs the member does not know any more that it had a disk. */
  readonly forgetsThatItRan?: boolean;
  /** Wraps what a member keeps on disk. */
  storage?(storage: MemberStorage, clock: Clock): MemberStorage;
  /** At each start of a member, with its clock. */
  member?(parts: MemberParts, clock: Clock): void;
  /** After every event, of each member that is up. */
  step?(parts: MemberParts): void;
  client?(client: StoreClient): StoreClient;
  readonly limits?: Partial<StoreLimits>;
  /** Letters are neither encrypted nor authenticated. */
  readonly linksUnsealed?: boolean;
  /** Members do not ask which machine a letter came from. */
  readonly believesNames?: boolean;
}

export const plantedBugs: readonly PlantedBug[] = [
  ...raftBugs,
  ...snapshotBugs,
  ...diskBugs,
  ...membershipBugs,
  ...watchBugs,
  ...leaseBugs,
  ...linkBugs,
  {
    name: 'member-strays',
    what: 'the state of one member changes without a command: a bit that flips in memory',
    after: 'etcd #13766, #14039, #18667',
    seed: 3,
    seedsMax: 40,
    finds: /data of store member m2 differs|actor of m2 crashed.*snapshot/,
    member: ({ raft, store }) => {
      if (raft.id !== 'm2') return;
      const apply = store.apply.bind(store);
      store.apply = (command, index) => {
        const applied = apply(command, index);
        const { newest } = store.versions.index.get('/k0') ?? {};
        if (index === 100 && newest && newest.version > 0) {
          store.versions.digest = (store.versions.digest + 1) >>> 0;
        }
        return applied;
      };
    },
  },
  {
    name: 'doubled-request',
    what: 'a request that the network doubles is carried out twice',
    after: 'found here, by the first seed ever run',
    seed: 4,
    seedsMax: 40,
    finds: /written twice/,
    limits: { requestsRememberedMax: 0 },
  },
  {
    name: 'write-retried',
    what: 'the client repeats a write of unknown outcome',
    after: 'jetcd 0.8.2 (Jepsen 2024)',
    seed: 1,
    seedsMax: 40,
    finds: /written twice|but it took effect/,
    client: (client) => {
      const original = client.txn.bind(client);
      client.txn = (txn, options) =>
        original(txn, options).catch((error: unknown) => {
          if (error instanceof StoreError && !error.definite) return original(txn, options);
          throw error;
        });
      return client;
    },
  },
];

export function bugNamed(name: string): PlantedBug | undefined {
  return plantedBugs.find((bug) => bug.name === name);
}
