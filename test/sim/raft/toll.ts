/** What befell a run that cannot be seen from its list of faults: counted, so that a model that does nothing shows. */
import type { PathCounts } from '../../../transport/index.js';

export interface Toll extends PathCounts {
  /** Reads that took their time, and such as held up all that their member does. */
  readonly slowReads: number;
  readonly blockingReads: number;
  /** Of members, without a word; how many of them their peers saw at once, and how many of those led. */
  readonly ends: number;
  readonly endsSeen: number;
  readonly leaderEndsSeen: number;
}

export function sumOf(tolls: readonly Toll[]): Toll {
  const sum = (count: keyof Toll) => tolls.reduce((total, toll) => total + toll[count], 0);
  return {
    damaged: sum('damaged'),
    decodable: sum('decodable'),
    frames: sum('frames'),
    late: sum('late'),
    refused: sum('refused'),
    held: sum('held'),
    slowReads: sum('slowReads'),
    blockingReads: sum('blockingReads'),
    ends: sum('ends'),
    endsSeen: sum('endsSeen'),
    leaderEndsSeen: sum('leaderEndsSeen'),
  };
}

/** For people: of all these runs. */
export function describeToll(tolls: readonly Toll[]): string {
  const of = sumOf(tolls);
  return [
    `on their way ${of.damaged} letters (the codec alone would have taken ${of.decodable}) and ${of.frames} frames of links were damaged,`,
    `${of.late} waited for room and ${of.refused} found none, ${of.held} were held on clogged paths;`,
    `${of.slowReads} reads were slow, and ${of.blockingReads} held up their member;`,
    `of ${of.ends} ends peers saw ${of.endsSeen}, ${of.leaderEndsSeen} of leaders`,
  ].join(' ');
}
