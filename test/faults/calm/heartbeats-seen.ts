/** How a member's heartbeats came, from its own metrics, and who led. */
import type { CalmGroup } from './calm-group.js';

export interface HeartbeatsSeen {
  readonly member: string;
  readonly term: number;
  readonly leader: string | null;
  /** By the front beside the member. */
  readonly leaderChanges: number;
  /** Of a leader: left more than an interval too late. */
  readonly lateSends: number;
  /** Of a follower: by upper bound in seconds, cumulative, how many times it heard nothing of its leader for no longer. */
  readonly silences: ReadonlyMap<number, number>;
}

const bucket = /^kabuki_store_leader_silence_seconds_bucket\{le="([^"]+)"\}$/;

export async function heartbeatsSeen(group: CalmGroup, member: string): Promise<HeartbeatsSeen> {
  const { term, leader } = await group.status(member);
  const metrics = await group.metrics(member);
  const silences = new Map<number, number>();
  for (const [name, value] of metrics) {
    const bound = bucket.exec(name)?.[1];
    if (bound !== undefined) silences.set(bound === '+Inf' ? Infinity : Number(bound), value);
  }
  return {
    member,
    term,
    leader,
    leaderChanges: metrics.get('etcd_server_leader_changes_seen_total') ?? Number.NaN,
    lateSends: metrics.get('etcd_server_heartbeat_send_failures_total') ?? Number.NaN,
    silences,
  };
}

/** How often it heard nothing of its leader for longer than this between the two looks. */
export function longerThan(
  seconds: number,
  before: HeartbeatsSeen | undefined,
  after: HeartbeatsSeen,
): number {
  const count = (seen: HeartbeatsSeen | undefined) =>
    seen ? (seen.silences.get(Infinity) ?? 0) - (seen.silences.get(seconds) ?? Number.NaN) : 0;
  return count(after) - count(before);
}

/** A line for people about each member. */
export function silencesSince(
  before: readonly HeartbeatsSeen[],
  after: readonly HeartbeatsSeen[],
): readonly string[] {
  return after.map((seen) => {
    const earlier = before.find(({ member }) => member === seen.member);
    const since = [...seen.silences].map(([bound], i, all) => {
      const lower = all[i - 1]?.[0];
      const above = lower === undefined ? countOf(earlier, seen) : longerThan(lower, earlier, seen);
      return { bound, count: above - longerThan(bound, earlier, seen) };
    });
    const parts = since.filter(({ count }) => count > 0).map(({ bound, count }) => `<=${bound}s ${count}`);
    const sent = seen.lateSends - (earlier?.lateSends ?? 0);
    return `${seen.member}: silences ${parts.join(', ') || 'none'}; heartbeats sent late ${sent}`;
  });
}

function countOf(before: HeartbeatsSeen | undefined, after: HeartbeatsSeen): number {
  return (after.silences.get(Infinity) ?? 0) - (before?.silences.get(Infinity) ?? 0);
}
