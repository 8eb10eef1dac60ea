/**
 * Links that share one process: the in-process network of tests and embedded clusters, and the simulated network,
 * differ only in their `Medium` (how long a letter takes, which faults the network has of its own).
 * Liveness is computed instead of measured: no heartbeat is sent, but who could not hear a peer's heartbeats sees it
 * down after `peerTimeoutMs`, exactly as on a real link. Everything happens in later turns of the given clock and in
 * an order that follows from the calls alone, so a seeded clock replays it.
 */
import { strict as assert } from 'node:assert';
import type { Clock, Random, Timer } from './clock.js';
import { decodeEnvelope, encodeEnvelope } from './codec.js';
import type { Envelope, Incarnation, NodeId } from './envelope.js';
import { TransportError } from './errors.js';
import type { FaultPolicy } from './faults/policy.js';
import { type LinkLimits, linkLimits } from './limits.js';
import type { DropReason, Link, LinkEvents } from './link.js';
import type { Arrival, SimPaths } from './sim-paths.js';

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

export interface MemoryLinkOptions {
  /** The node's own clock, where it differs from the network's (a skewed wall clock). */
  readonly clock?: Clock;
  readonly random?: Random;
  readonly limits?: Partial<LinkLimits>;
}

/** How the end of a node looks to its peers. */
export type Death = 'silent' | 'seen';

/** What one link knows of a peer. */
interface Peer {
  /** The very link that answered the handshake: letters for an older incarnation die with it. */
  session?: MemoryLink;
  up: boolean;
  incarnation?: Incarnation;
  silence?: Timer;
  inFlight: number;
  /** Letters of one sender arrive in order unless a fault holds one back. */
  lastArrivalMs: number;
  /** Grows when the connection to the peer breaks: what is under way on it is lost. */
  connection: number;
  /** When letters leave again after that. */
  opensAtMs: number;
}

/** As the ZeroMQ link has it. */
const reconnectMs = 100;

export class MemoryNetwork {
  readonly medium: Medium;
  /** The living link of each node, in order of their first start. */
  readonly #links = new Map<NodeId, MemoryLink>();
  readonly #handshakes = new Set<string>();

  constructor(medium: Medium) {
    this.medium = medium;
    medium.faults?.onChange(() => this.#reassessAll());
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
    this.reassessNode(link.node);
  }

  /** @internal A link that closes says goodbye to those who can hear it. */
  leave(link: MemoryLink): void {
    if (this.#links.get(link.node) !== link) return;
    this.#links.delete(link.node);
    for (const other of this.#links.values()) {
      if (other.peers.get(link.node)?.session !== link) continue;
      if (this.#open(link, other.node)) {
        this.#carry(link.node, other.node, () => other.farewell(link));
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
    // The next heartbeat gets through.
    this.#carry(node, observer.node, () => {
      const heard = peer.session === link && !link.dead && this.#open(link, observer.node);
      if (heard && observer.peers.get(node) === peer) observer.up(link);
    });
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
    this.#carry(a.node, b.node, () =>
      this.#carry(b.node, a.node, () => {
        this.#handshakes.delete(key);
        if (!this.#mayMeet(a, b)) return;
        a.meet(b);
        b.meet(a);
      }),
    );
  }

  #open(from: MemoryLink, to: NodeId): boolean {
    return !from.policy.severs(from.node, to) && !(this.medium.faults?.severs(from.node, to) ?? false);
  }

  #carry(from: NodeId, to: NodeId, arrive: () => void): void {
    const latencyMs = this.medium.latencyMs(from, to);
    if (latencyMs === undefined) this.medium.clock.defer(arrive);
    else this.medium.clock.setTimer(latencyMs, arrive);
  }
}

/** @internal One node's end; made by `MemoryNetwork.link`. */
export class MemoryLink implements Link {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly policy: FaultPolicy;
  readonly limits: LinkLimits;
  readonly peers = new Map<NodeId, Peer>();
  readonly removed = new Set<NodeId>();
  dead = false;
  readonly #network: MemoryNetwork;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Letters that a fault sent more than once. */
  readonly #doubled = new WeakSet<Envelope>();
  #events: LinkEvents | undefined;
  #stopListening: () => void = () => {};

  constructor(
    network: MemoryNetwork,
    node: NodeId,
    incarnation: Incarnation,
    policy: FaultPolicy,
    options: MemoryLinkOptions,
  ) {
    this.node = node;
    this.incarnation = incarnation;
    this.policy = policy;
    this.limits = { ...linkLimits, ...options.limits };
    this.#network = network;
    this.#clock = options.clock ?? network.medium.clock;
    this.#random = options.random ?? network.medium.random;
  }

  async start(events: LinkEvents): Promise<void> {
    assert(this.#events === undefined, `link ${this.node} was started before`);
    if (this.dead) throw new TransportError('closed', `link ${this.node} is closed`);
    this.#events = events;
    this.#network.join(this);
    this.#stopListening = this.policy.onChange(() => this.#network.reassessNode(this.node));
  }

  address(): string {
    return this.#network.addressOf(this.node);
  }

  addPeer(peer: NodeId, address: string): void {
    assert(peer !== this.node, `${this.node} cannot be its own peer`);
    const expected = this.#network.addressOf(peer);
    if (address !== expected) {
      throw new TransportError('bad-address', `${peer} is reached at ${expected}, not at ${address}`);
    }
    this.removed.delete(peer);
    this.#peer(peer);
    if (this.#events !== undefined && !this.dead) this.#network.reassessNode(this.node);
  }

  removePeer(node: NodeId): void {
    const peer = this.peers.get(node);
    if (peer === undefined) return;
    this.removed.add(node);
    this.down(node, 'closed');
    this.peers.delete(node);
    const remote = peer.session;
    if (remote !== undefined && !remote.dead) this.#network.medium.clock.defer(() => remote.farewell(this));
  }

  send(envelope: Envelope): void {
    assert(envelope.from === this.node, `${this.node} cannot send in the name of ${envelope.from}`);
    assert(envelope.to !== this.node, `${this.node} need not send to itself over a link`);
    const reason = this.#refusal(envelope);
    if (reason !== undefined) {
      this.#drop(envelope, reason);
      return;
    }
    const { medium } = this.#network;
    const copies: number[] = [];
    const verdict = this.policy.judge(envelope, this.#random);
    if (verdict.type === 'deliver') {
      for (const delayMs of verdict.delaysMs) {
        const outer = medium.faults?.judge(envelope, medium.random);
        if (outer === undefined) copies.push(delayMs);
        else if (outer.type === 'deliver') copies.push(...outer.delaysMs.map((ms) => ms + delayMs));
      }
    }
    if (copies.length > 1) this.#doubled.add(envelope);
    if (copies.length === 0) this.#drop(envelope, 'fault');
    else this.#post(envelope, copies);
  }

  async close(): Promise<void> {
    if (this.dead) return;
    this.die();
    this.#network.leave(this);
  }

  /** Ends without a word; pending timers find a dead link. */
  die(): void {
    this.dead = true;
    this.#stopListening();
    for (const peer of this.peers.values()) peer.silence?.cancel();
  }

  meet(remote: MemoryLink): void {
    const peer = this.#peer(remote.node);
    if (peer.session === remote && peer.up) return;
    if (peer.up && peer.incarnation !== remote.incarnation) this.down(remote.node, 'restarted');
    peer.session = remote;
    this.up(remote);
  }

  up(remote: MemoryLink): void {
    const peer = this.#peer(remote.node);
    if (peer.up || this.dead) return;
    peer.up = true;
    peer.incarnation = remote.incarnation;
    this.#events?.onPeerUp(remote.node, remote.incarnation);
  }

  down(node: NodeId, reason: 'timeout' | 'closed' | 'restarted'): void {
    const peer = this.peers.get(node);
    if (peer === undefined || !peer.up || this.dead) return;
    peer.silence?.cancel();
    delete peer.silence;
    peer.up = false;
    assert(peer.incarnation !== undefined);
    this.#events?.onPeerDown(node, peer.incarnation, reason);
  }

  farewell(remote: MemoryLink): void {
    const peer = this.peers.get(remote.node);
    if (peer?.session !== remote) return;
    delete peer.session;
    this.down(remote.node, 'closed');
  }

  #refusal(envelope: Envelope): DropReason | undefined {
    if (this.dead) return 'closed';
    const peer = this.peers.get(envelope.to);
    if (peer?.session === undefined || peer.session.dead) return 'unreachable';
    if (expired(envelope, this.#clock)) return 'expired';
    if (peer.inFlight >= this.limits.outboundEnvelopesMax) return 'queue-full';
    return undefined;
  }

  #post(envelope: Envelope, delaysMs: readonly number[]): void {
    const { medium } = this.#network;
    const paths = medium.paths?.concern(this.node, envelope.to) ? medium.paths : undefined;
    if (!medium.roundTrip && !paths) {
      for (const delayMs of delaysMs) this.#launch(envelope, envelope, delayMs, 0);
      return;
    }
    const bytes = this.#encoded(envelope);
    if (bytes === undefined) return;
    const letter = medium.roundTrip ? decodeEnvelope(bytes) : envelope;
    for (const delayMs of delaysMs) {
      const waitMs = paths ? paths.admit(envelope, bytes.length, medium.clock.monotonicMs()) : 0;
      if (waitMs === undefined) this.#drop(envelope, 'queue-full');
      else this.#launch(envelope, paths ? paths.arrival(letter, bytes) : letter, delayMs, waitMs);
    }
  }

  /** Undefined: it is too large, and was dropped. */
  #encoded(envelope: Envelope): Uint8Array | undefined {
    try {
      return encodeEnvelope(envelope, this.limits.envelopeBytesMax);
    } catch (error) {
      if (!(error instanceof TransportError) || error.code !== 'too-large') throw error;
      this.#drop(envelope, 'too-large');
      return undefined;
    }
  }

  /** One copy, which leaves when those before it have and may be held back under way. */
  #launch(envelope: Envelope, arrival: Arrival, delayMs: number, waitMs: number): void {
    const { medium } = this.#network;
    const peer = this.#peer(envelope.to);
    const target = peer.session;
    assert(target !== undefined);
    peer.inFlight += 1;
    const { connection } = peer;
    const arrive = () => {
      peer.inFlight -= 1;
      if (target.dead) this.#drop(envelope, 'unreachable');
      else if (peer.connection !== connection) target.#report(envelope, 'closed');
      else if (arrival !== undefined) target.#receive(arrival, this);
      else {
        target.#report(envelope, 'undecodable');
        peer.connection += 1;
        peer.opensAtMs = medium.clock.monotonicMs() + reconnectMs;
      }
    };
    const latencyMs = medium.latencyMs(this.node, envelope.to);
    if (latencyMs === undefined && delayMs === 0) {
      medium.clock.defer(arrive);
      return;
    }
    const nowMs = medium.clock.monotonicMs();
    let atMs = Math.max(nowMs, peer.opensAtMs) + (latencyMs ?? 0) + waitMs + delayMs;
    if (delayMs === 0) {
      atMs = Math.max(atMs, peer.lastArrivalMs);
      peer.lastArrivalMs = atMs;
    }
    medium.clock.setTimer(atMs - nowMs, arrive);
  }

  #receive(envelope: Envelope, sender: MemoryLink): void {
    const known = this.peers.get(sender.node);
    if (known?.session === undefined) this.#report(envelope, 'unreachable');
    else if (known.session.incarnation > sender.incarnation) this.#report(envelope, 'stale-incarnation');
    else if (expired(envelope, this.#clock)) this.#report(envelope, 'expired');
    else this.#events?.onEnvelope(envelope);
  }

  /** In a later turn: whoever sends is never called back from inside `send`. */
  #drop(envelope: Envelope, reason: DropReason): void {
    this.#network.medium.clock.defer(() => this.#report(envelope, reason));
  }

  #report(envelope: Envelope, reason: DropReason): void {
    // Another copy may have arrived: nobody may be told that it was not handled.
    if (this.#doubled.has(envelope)) return;
    if (!this.dead || reason === 'closed') this.#events?.onDrop(envelope, reason);
  }

  #peer(node: NodeId): Peer {
    let peer = this.peers.get(node);
    if (peer === undefined) {
      peer = { up: false, inFlight: 0, lastArrivalMs: 0, connection: 0, opensAtMs: 0 };
      this.peers.set(node, peer);
    }
    return peer;
  }
}

function expired(envelope: Envelope, clock: Clock): boolean {
  return envelope.deadlineMs > 0 && clock.nowMs() >= envelope.deadlineMs;
}
