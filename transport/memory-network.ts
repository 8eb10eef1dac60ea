/**
 * Links that share one process: the in-process network of tests and embedded clusters, and the simulated network,
 * differ only in their `Medium` (how long a letter takes, which faults the network has of its own).
 * Liveness is computed instead of measured: no heartbeat is sent, but who could not hear a peer's heartbeats sees it
 * down after `peerTimeoutMs`, exactly as on a real link; only on paths that damage them does each count. Everything happens in later turns of the given clock and in
 * an order that follows from the calls alone, so a seeded clock replays it.
 */
import type { Clock, Random } from './clock.js';
import type { Incarnation, NodeId } from './envelope.js';
import { TransportError } from './errors.js';
import type { FaultPolicy } from './faults/policy.js';
import type { Link } from './link.js';
import { MemoryLink, type MemoryLinkOptions } from './memory-link.js';
import type { SimPaths } from './sim-paths.js';

export interface Medium {
  readonly scheme: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Time that one letter takes; undefined: it arrives in a later turn, without a timer. */
  latencyMs(from: NodeId, to: NodeId): number | undefined;
  /** Faults of the network itself, on top of each sender's own policy. */
  readonly faults?: FaultPolicy;
  /** What paths do to letters; absent: nothing. */
  readonly paths?: SimPaths;
  /** Run every letter through the codec, as on a real link. */
  readonly roundTrip: boolean;
}

/** How the end of a node looks to its peers. */
export type Death = 'silent' | 'seen';

export class MemoryNetwork {
  readonly medium: Medium;
  /** The living link of each node, in order of their first start. */
  readonly #links = new Map<NodeId, MemoryLink>();
  readonly #handshakes = new Set<string>();
  /** Whose heartbeats are looked at one by one. */
  readonly #beating = new Set<MemoryLink>();

  constructor(medium: Medium) {
    this.medium = medium;
    medium.faults?.onChange(() => this.#reassessAll());
    medium.paths?.whenNoisy(() => {
      for (const link of this.#links.values()) this.#beat(link);
    });
  }

  addressOf(node: NodeId): string {
    return `${this.medium.scheme}://${node}`;
  }

  link(node: NodeId, incarnation: Incarnation, policy: FaultPolicy, options: MemoryLinkOptions = {}): Link {
    return new MemoryLink(this, node, incarnation, policy, options);
  }

  /**
   * The node stops in the middle of whatever it does. `silent`: without a word to anyone, as a machine without power does;
   * `seen`: its kernel closes the connections of the process, behind all that it sent.
   */
  kill(node: NodeId, death: Death = 'silent'): void {
    const link = this.#links.get(node);
    if (link === undefined) return;
    link.die();
    this.#links.delete(node);
    for (const other of this.#links.values()) {
      if (death === 'seen') this.#disconnect(link, other);
      this.#reassess(other, node);
    }
  }

  nodes(): NodeId[] {
    return [...this.#links.keys()];
  }

  /** @internal */
  join(link: MemoryLink): void {
    const old = this.#links.get(link.node);
    if (old !== undefined) {
      if (old.incarnation >= link.incarnation) {
        throw new TransportError(
          'stale-incarnation',
          `${link.node} runs as incarnation ${old.incarnation}; ${link.incarnation} must be larger`,
        );
      }
      old.die();
    }
    this.#links.set(link.node, link);
    this.medium.paths?.begin(link.node);
    this.reassessNode(link.node);
    if (this.medium.paths?.areNoisy) this.#beat(link);
  }

  /** @internal A link that closes says goodbye to those who can hear it. */
  leave(link: MemoryLink): void {
    if (this.#links.get(link.node) !== link) return;
    this.#links.delete(link.node);
    for (const other of this.#links.values()) {
      if (other.peers.get(link.node)?.session !== link) continue;
      if (this.#open(link, other.node)) {
        const unheard = () => this.#reassess(other, link.node);
        this.#carry(link, other, () => other.farewell(link), unheard);
      } else {
        this.#reassess(other, link.node);
      }
    }
  }

  /** @internal Something about a node changed: its rules, its peers, its life. */
  reassessNode(node: NodeId): void {
    for (const other of this.#links.values()) {
      if (other.node === node) continue;
      const link = this.#links.get(node);
      this.#reassess(other, node);
      if (link !== undefined) this.#reassess(link, other.node);
    }
  }

  /** As the ZeroMQ link does: who sees a connection close gives the peer a moment to come back. */
  #disconnect(gone: MemoryLink, observer: MemoryLink): void {
    const { clock } = this.medium;
    if (observer.peers.get(gone.node)?.session !== gone) return;
    const lastArrivalMs = gone.peers.get(observer.node)?.lastArrivalMs ?? 0;
    clock.setTimer(Math.max(0, lastArrivalMs - clock.monotonicMs()), () => {
      if (!this.#open(gone, observer.node)) return;
      clock.setTimer(observer.limits.disconnectGraceMs, () => observer.farewell(gone));
    });
  }

  /** Both ways, with all that is under way; dialled anew after so long. */
  breakConnection(a: NodeId, b: NodeId, lengthMs: number): void {
    const [one, other] = [this.#links.get(a), this.#links.get(b)];
    if (!one || !other) return;
    this.#stick(one, other, lengthMs);
    this.#stick(other, one, lengthMs);
  }

  #reassessAll(): void {
    for (const node of this.nodes()) this.reassessNode(node);
  }

  /** Brings what `observer` believes about `node` in line with what it can hear. */
  #reassess(observer: MemoryLink, node: NodeId): void {
    const link = this.#links.get(node);
    const peer = observer.peers.get(node);
    if (link !== undefined && this.#wantHandshake(observer, link)) this.#handshake(observer, link);
    if (peer?.session === undefined) return;
    const audible = peer.session === link && this.#open(link, observer.node);
    if (!audible) {
      if (!peer.up || peer.silence !== undefined) return;
      peer.silence = this.medium.clock.setTimer(observer.limits.peerTimeoutMs, () =>
        observer.down(node, 'timeout'),
      );
      return;
    }
    peer.silence?.cancel();
    delete peer.silence;
    if (peer.up) return;
    // The next heartbeat gets through, or the one after it.
    const heard = () => {
      const isHeard = peer.session === link && !link.dead && this.#open(link, observer.node);
      if (isHeard && observer.peers.get(node) === peer) observer.up(link);
    };
    this.#carry(link, observer, heard, () => this.#reassessLater(link));
  }

  #wantHandshake(a: MemoryLink, b: MemoryLink): boolean {
    if (a.peers.get(b.node)?.session === b && b.peers.get(a.node)?.session === a) return false;
    return (a.peers.has(b.node) || b.peers.has(a.node)) && this.#mayMeet(a, b);
  }

  #mayMeet(a: MemoryLink, b: MemoryLink): boolean {
    if (a.dead || b.dead || a.removed.has(b.node) || b.removed.has(a.node)) return false;
    return this.#open(a, b.node) && this.#open(b, a.node);
  }

  /** A letter there and one back; the path must be open in both directions when it begins and when it ends. */
  #handshake(a: MemoryLink, b: MemoryLink): void {
    const key = [`${a.node}/${a.incarnation}`, `${b.node}/${b.incarnation}`].toSorted().join(' ');
    if (this.#handshakes.has(key)) return;
    this.#handshakes.add(key);
    const failed = () => {
      this.#handshakes.delete(key);
      this.#reassessLater(a);
    };
    const met = () => {
      this.#handshakes.delete(key);
      if (!this.#mayMeet(a, b)) return;
      a.meet(b);
      b.meet(a);
    };
    this.#carry(a, b, () => this.#carry(b, a, met, failed), failed);
  }

  /** Hellos and beats are repeated. */
  #reassessLater(link: MemoryLink): void {
    this.medium.clock.setTimer(link.limits.heartbeatMs, () => {
      if (!link.dead) this.reassessNode(link.node);
    });
  }

  /** As long as paths are noisy: one that is damaged takes the connection with it, if that is sealed. */
  #beat(link: MemoryLink): void {
    const { clock, paths } = this.medium;
    if (this.#beating.has(link)) return;
    this.#beating.add(link);
    clock.setTimer(link.limits.heartbeatMs, () => {
      this.#beating.delete(link);
      if (link.dead || !paths?.areNoisy) return;
      for (const other of this.#links.values()) {
        const isHeard = other.peers.get(link.node)?.session === link && this.#open(link, other.node);
        if (isHeard && paths.frame(link.node, other.node) === 'unauthentic') this.stick(link, other);
      }
      this.#beat(link);
    });
  }

  #open(from: MemoryLink, to: NodeId): boolean {
    if (from.policy.severs(from.node, to) || this.medium.faults?.severs(from.node, to)) return false;
    return !this.isStuck(from.node, to);
  }

  /** @internal */
  isStuck(from: NodeId, to: NodeId): boolean {
    const { paths, clock } = this.medium;
    return paths?.isStuck(from, to, clock.monotonicMs()) ?? false;
  }

  /** @internal Nothing more is read of what comes over this connection, until it is dialled anew. */
  stick(from: MemoryLink, to: MemoryLink): void {
    this.#stick(from, to, from.limits.connectionTimeoutMs);
  }

  #stick(from: MemoryLink, to: MemoryLink, lengthMs: number): void {
    const { paths, clock } = this.medium;
    paths?.stick(from.node, to.node, clock.monotonicMs() + lengthMs);
    this.#reassess(to, from.node);
    clock.setTimer(lengthMs, () => this.reassessNode(from.node));
  }

  /** A frame of a link's own: it arrives, or is damaged on its way and counts for nothing. */
  #carry(from: MemoryLink, to: MemoryLink, arrive: () => void, lost: () => void): void {
    const { clock, paths } = this.medium;
    const frame = paths?.frame(from.node, to.node) ?? 'whole';
    const end = () => {
      if (frame === 'whole') return arrive();
      if (frame === 'unauthentic') this.stick(from, to);
      lost();
    };
    const latencyMs = this.medium.latencyMs(from.node, to.node);
    if (latencyMs === undefined) clock.defer(end);
    else clock.setTimer(latencyMs, end);
  }
}
