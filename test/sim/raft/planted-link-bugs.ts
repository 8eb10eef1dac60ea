/**
 * Bugs on purpose in what a member makes of its links: of letters that changed on their way, or came from others than they say,
 * and of peers that end (planted-bugs.ts).
 */
import type { MemberId, RaftCore } from 'raft-consensus';
import type { PlantedBug } from './planted-bugs.js';

export const linkBugs: readonly PlantedBug[] = [
  {
    name: 'links-unsealed',
    faults: ['noise', 'crash-leader'],
    what: 'links have neither encryption nor a checksum, and what still decodes of a damaged letter is taken',
    after: 'corruption on the way must be rejected',
    seed: 12,
    seedsMax: 40,
    finds: /log matching|was read at|written twice|state machine safety|leader completeness/,
    linksUnsealed: true,
  },
  {
    name: 'impostor-believed',
    faults: ['impostor', 'crash-leader', 'isolate-leader', 'isolate-one'],
    what: 'whoever says that a letter is from a member is believed, whatever machine it came from',
    after: 'found here, by reading',
    seed: 1,
    seedsMax: 40,
    finds:
      /election safety|leader completeness|state machine safety|log matching|data of store member|was read at/,
    believesNames: true,
  },
  {
    name: 'heir-without-election',
    faults: ['crash-leader', 'isolate-one', 'isolate-leader', 'pause'],
    what: 'when the process of a leader ends, the first of the others takes its place without asking anybody',
    after: 'fail-over to the next in line; Raft §5.2: a leader is elected by a majority',
    seed: 5,
    seedsMax: 40,
    finds: /election safety|leader completeness|state machine safety|log matching/,
    member: ({ raft }) => {
      const core = raft.core as RaftCore;
      const ended = core.reportEnded.bind(core);
      core.reportEnded = (peer) => {
        const isHeir = core.role === 'follower' && core.leaderId === peer && heirOf(core, peer) === core.id;
        ended(peer);
        if (isHeir) takeOver(core);
      };
    },
  },
];

function heirOf({ quorum }: RaftCore, ended: MemberId): MemberId | undefined {
  return quorum.voters.filter((voter) => voter !== ended).toSorted()[0];
}

/** As if everybody had voted for it, twice. */
function takeOver(core: RaftCore): void {
  core.campaign();
  const others = core.quorum.voters.filter((voter) => voter !== core.id);
  const grants = (type: 'pre-vote-reply' | 'vote-reply', term: number) => {
    for (const from of others) {
      core.step({ type, from, to: core.id, term: term as typeof core.term, granted: true });
    }
  };
  if (core.role === 'pre-candidate') grants('pre-vote-reply', core.term + 1);
  if (core.role === 'candidate') grants('vote-reply', core.term);
}
