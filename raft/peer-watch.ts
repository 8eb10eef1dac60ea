/** Which peers a leader hears of: for observers, and to choose the one that shall follow it. */
import type { RaftCore } from './core/core.js';
import type { MemberId } from './core/types.js';
import type { Observation } from './observer.js';

export class PeerWatch {
  readonly #heardMs = new Map<MemberId, number>();
  readonly #failing = new Set<MemberId>();
  #silenceMaxMs: number;
  #sinceMs = 0;

  constructor(silenceMaxMs: number) {
    this.#silenceMaxMs = silenceMaxMs;
  }

  reload(silenceMaxMs: number): void {
    this.#silenceMaxMs = silenceMaxMs;
  }

  /** A leadership begins: silence counts from here. */
  reset(nowMs: number): void {
    this.#sinceMs = nowMs;
    this.#failing.clear();
  }

  heard(peer: MemberId, nowMs: number): void {
    this.#heardMs.set(peer, nowMs);
  }

  /** It has ended, or is cut off: it counts as dead until it is heard again. */
  gone(peer: MemberId): void {
    this.#heardMs.delete(peer);
  }

  lives(peer: MemberId, nowMs: number): boolean {
    const heardMs = this.#heardMs.get(peer);
    return heardMs !== undefined && nowMs - heardMs <= this.#silenceMaxMs;
  }

  check(core: RaftCore, nowMs: number, observe: (observation: Observation) => void): void {
    if (core.leader === null) return;
    for (const peer of core.leader.peers.keys()) {
      const silent = nowMs - Math.max(this.#heardMs.get(peer) ?? 0, this.#sinceMs) > this.#silenceMaxMs;
      if (silent === this.#failing.has(peer)) continue;
      if (silent) this.#failing.add(peer);
      else this.#failing.delete(peer);
      observe({ type: silent ? 'peer-failing' : 'peer-recovered', peer });
    }
  }

  /** The living voter whose log is closest to the leader's; null: there is none. */
  mostComplete(core: RaftCore, nowMs: number): MemberId | null {
    let best: MemberId | null = null;
    let bestMatch = -1;
    for (const [peer, progress] of core.leader?.peers ?? []) {
      if (
        !this.lives(peer, nowMs) ||
        !core.configuration.voters.includes(peer) ||
        progress.match <= bestMatch
      )
        continue;
      best = peer;
      bestMatch = progress.match;
    }
    return best;
  }
}
