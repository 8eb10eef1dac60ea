/** Bugs on purpose in how the members of a group change (planted-bugs.ts). */
import {
  afterSteps,
  type ChangeResult,
  type ConfigurationChange,
  decodeConfiguration,
  encodeConfiguration,
  memberId,
  type RaftCore,
  type SnapshotMeta,
  type SnapshotSink,
} from 'raft-consensus';
import type { PlantedBug } from './planted-bugs.js';

type Steps = Extract<ConfigurationChange, { type: 'steps' }>;

export const membershipBugs: readonly PlantedBug[] = [
  {
    name: 'incoming-majority-only',
    faults: ['split-change', 'change-members'],
    what: 'in a joint configuration the incoming voters alone decide',
    after: 'Raft §6',
    seed: 4,
    seedsMax: 40,
    finds: /election safety|leader completeness|state machine safety|conflicts with a committed/,
    step: ({ raft }) => {
      const { quorum } = raft.core as RaftCore;
      if (quorum.outgoing !== null) Object.assign(quorum, { outgoing: null });
    },
  },
  {
    name: 'second-change-while-pending',
    faults: ['split-change', 'change-members'],
    what: 'a change of the members is appended while the one before is not applied',
    after: 'etcd-io/raft: pendingConfIndex',
    seed: 4,
    seedsMax: 40,
    finds: /membership|election safety|leader completeness|state machine safety|liveness|conflicts/,
    member: ({ raft }) => {
      const core = raft.core as RaftCore;
      const original = core.changeConfiguration.bind(core);
      core.changeConfiguration = (change) => {
        if (change.type !== 'steps' || core.leader === null) return original(change);
        return appendAtOnce(core, change) ?? original(change);
      };
    },
  },
  {
    name: 'removed-votes-counted',
    faults: ['change-members', 'split', 'isolate-leader', 'crash-leader'],
    what: 'whoever once belonged to the group is asked for its vote, and counted',
    after: 'Raft §6: only voters of the configuration count',
    seed: 2,
    seedsMax: 40,
    finds: /log matching|election safety|leader completeness|state machine safety|conflicts with a committed/,
    step: ({ raft }) => {
      const { quorum } = raft.core as RaftCore;
      const everybody = ['m1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7'].map(memberId);
      if (quorum.voters.length === everybody.length) return;
      const { size } = quorum.incoming;
      Object.assign(quorum, { voters: everybody });
      quorum.result = (votes) => {
        const granted = [...votes.values()].filter(Boolean).length;
        return granted >= size ? 'won' : 'pending';
      };
    },
  },
  {
    name: 'members-of-the-beginning',
    faults: ['change-members', 'crash', 'crash-all'],
    what: 'a snapshot keeps the members that the group was made with',
    after: 'etcd #19557, #20793: membership kept in two places',
    seed: 4,
    seedsMax: 40,
    finds: /membership/,
    storage: (storage) => {
      const { snapshots } = storage;
      let first: SnapshotMeta['configuration'] | undefined;
      const create = (meta: SnapshotMeta): Promise<SnapshotSink> => {
        first ??= meta.configuration;
        return snapshots.create({ ...meta, configuration: first });
      };
      return { ...storage, snapshots: { open: () => snapshots.open(), create } };
    },
  },
];

/** As if no change were ever pending; null: it is not a change that can be made. */
function appendAtOnce(core: RaftCore, { steps, transition }: Steps): ChangeResult | null {
  const { log, leader, term } = core;
  let current = core.configuration;
  for (let index = core.appliedIndex + 1; index <= log.lastIndex; index++) {
    const entry = log.at(index);
    if (entry?.type === 'config') current = decodeConfiguration(entry.data) ?? current;
  }
  const next = afterSteps(current, steps, transition === 'joint' ? 'auto' : transition);
  if (typeof next === 'string') return null;
  leader!.append('config', encodeConfiguration(next));
  return { type: 'accepted', firstIndex: log.lastIndex, term };
}
