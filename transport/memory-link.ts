/**
 * One node's end of a network in one process (memory-network.ts): what it knows of its peers, how it judges what it sends, and
 * what becomes of that under way.
 */
import { strict as assert } from 'node:assert';
import type { Clock, Random, Timer } from './clock.js';
import { decodeEnvelope, encodeEnvelope } from './codec.js';
import type { Envelope, Incarnation, NodeId } from './envelope.js';
import { TransportError } from './errors.js';
import type { FaultPolicy } from './faults/policy.js';
import { type LinkLimits, linkLimits } from './limits.js';
import type { DropReason, Link, LinkEvents } from './link.js';
import type { MemoryNetwork } from './memory-network.js';
import type { Arrival } from './sim-paths.js';

export interface MemoryLinkOptions {
  /** The node's own clock, where it differs from the network's (a skewed wall clock). */
  readonly clock?: Clock;
  readonly random?: Random;
  readonly limits?: Partial<LinkLimits>;
}

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
    const arrive = () => {
      peer.inFlight -= 1;
      if (target.dead) this.#drop(envelope, 'unreachable');
      else if (this.#network.isStuck(this.node, target.node)) target.#report(envelope, 'closed');
      else if (typeof arrival !== 'string') target.#receive(arrival, this);
      else {
        target.#report(envelope, 'undecodable');
        if (arrival === 'unauthentic') this.#network.stick(this, target);
      }
    };
    const latencyMs = medium.latencyMs(this.node, envelope.to);
    if (latencyMs === undefined && delayMs === 0) {
      medium.clock.defer(arrive);
      return;
    }
    const nowMs = medium.clock.monotonicMs();
    let atMs = nowMs + (latencyMs ?? 0) + waitMs + delayMs;
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
      peer = { up: false, inFlight: 0, lastArrivalMs: 0 };
      this.peers.set(node, peer);
    }
    return peer;
  }
}

function expired(envelope: Envelope, clock: Clock): boolean {
  return envelope.deadlineMs > 0 && clock.nowMs() >= envelope.deadlineMs;
}
