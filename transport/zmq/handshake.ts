/**
 * How two nodes meet, and when a peer is up: the states of frames.ts's picture, for one link and all its peers.
 * It decides; sockets and queues belong to the link that asks it.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { Incarnation, NodeId } from '../envelope.js';
import { TransportError, type TransportErrorCode } from '../errors.js';
import type { LinkLimits } from '../limits.js';
import { checkAddress } from './address.js';
import {
  type Challenge,
  type FrameType,
  type Hello,
  linkProtocolVersion,
  readRefusal,
  readWelcome,
} from './frames.js';
import type { ZmqPeer } from './peer.js';
import type { Remarks } from './remarks.js';
import type { CurveKeys } from './zap.js';

export interface HandshakeSurroundings {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly clusterId: string;
  readonly curve: CurveKeys | undefined;
  readonly clock: Clock;
  readonly limits: LinkLimits;
  readonly remarks: Remarks;
  readonly peers: ReadonlyMap<NodeId, ZmqPeer>;
  readonly removed: ReadonlySet<NodeId>;
  address(): string;
  /** Dials a peer that introduced itself. */
  addPeer(node: NodeId, address: string): ZmqPeer;
  /** A frame through the DEALER that dials the peer. */
  control(peer: ZmqPeer, type: FrameType, content?: object): void;
  /** A frame back over the connection that asked. */
  reply(routingId: Buffer, to: NodeId | undefined, type: FrameType, content?: object): void;
  up(peer: ZmqPeer, incarnation: Incarnation): void;
  down(peer: ZmqPeer, incarnation: Incarnation, reason: 'timeout' | 'closed' | 'restarted'): void;
}

const pendingMax = 4;

export class Handshake {
  readonly #around: HandshakeSurroundings;
  /** Proven connections by routing id. */
  readonly #sessions = new Map<string, ZmqPeer>();

  constructor(around: HandshakeSurroundings) {
    this.#around = around;
  }

  /** The peer that a connection has proven to come from. */
  peerOf(key: string): ZmqPeer | undefined {
    return this.#sessions.get(key);
  }

  sayHello(peer: ZmqPeer): void {
    const { limits, clock, clusterId: cluster, node, incarnation, address } = this.#around;
    const { peerTimeoutMs, heartbeatMs } = limits;
    peer.helloDelayMs = Math.min(
      peerTimeoutMs,
      peer.helloDelayMs === 0 ? heartbeatMs / 2 : peer.helloDelayMs * 2,
    );
    peer.helloAtMs = clock.monotonicMs() + peer.helloDelayMs;
    const hello: Hello = { protocol: linkProtocolVersion, cluster, node, incarnation, address: address() };
    this.#around.control(peer, 'hello', hello);
  }

  /** Somebody says hello over a connection to our ROUTER. */
  hello(routingId: Buffer, key: string, hello: Hello): void {
    const { remarks, clusterId: cluster, node } = this.#around;
    const refusal = this.#judge(hello);
    if (refusal !== undefined) {
      remarks.refused({ peer: hello.node, code: refusal.code, why: refusal.message });
      this.#around.reply(routingId, hello.node, 'refuse', refusal);
      return;
    }
    const peer = this.#introduce(hello);
    if (peer.inbound?.key === key && peer.inbound.incarnation === hello.incarnation) {
      this.#welcome(routingId, peer);
      return;
    }
    let pending = peer.pending.find((p) => p.key === key && p.incarnation === hello.incarnation);
    if (pending === undefined) {
      pending = { key, incarnation: hello.incarnation, token: randomBytes(16).toString('hex') };
      peer.pending = [...peer.pending, pending].slice(-pendingMax);
    }
    const challenge: Challenge = { cluster, node, asked: hello.incarnation, token: pending.token };
    this.#around.control(peer, 'challenge', challenge);
    // Whoever reaches us can probably be reached: do not wait for the next round.
    if (peer.outbound === undefined) this.sayHello(peer);
  }

  /** A peer wants proof that the hello it got was ours. */
  challenge({ cluster, node, asked, token }: Challenge): void {
    const peer = this.#around.peers.get(node);
    if (peer === undefined || cluster !== this.#around.clusterId || asked !== this.#around.incarnation)
      return;
    this.#around.control(peer, 'prove', { token });
  }

  proof(routingId: Buffer, key: string, token: string): void {
    const proven = this.#sessions.get(key);
    if (proven !== undefined) {
      // Two hellos that crossed bring two proofs of the same connection.
      this.#welcome(routingId, proven);
      return;
    }
    for (const peer of this.#around.peers.values()) {
      const pending = peer.pending.find((p) => p.key === key && p.token === token);
      if (pending === undefined) continue;
      peer.pending = [];
      if (pending.incarnation < peer.latest) return;
      if (peer.inbound !== undefined) this.#sessions.delete(peer.inbound.key);
      this.#seen(peer, pending.incarnation);
      peer.inbound = { key, incarnation: pending.incarnation };
      this.#sessions.set(key, peer);
      this.heard(peer);
      this.#welcome(routingId, peer);
      return;
    }
    this.#around.reply(routingId, undefined, 'reset');
  }

  /** A frame at the DEALER that dials `peer`; with CURVE it can only come from the true peer. */
  answer(peer: ZmqPeer, type: FrameType, parts: readonly Buffer[]): void {
    switch (type) {
      case 'welcome': {
        const { node, cluster, incarnation } = readWelcome(parts);
        if (node === peer.node && cluster === this.#around.clusterId) this.#welcomed(peer, incarnation);
        else this.refusedBy(peer, 'wrong-identity', `${peer.address} is ${node} of cluster ${cluster}`);
        return;
      }
      case 'refuse': {
        const refusal = readRefusal(parts);
        this.refusedBy(peer, refusal.code, refusal.message);
        return;
      }
      case 'reset':
        peer.shut();
        this.sayHello(peer);
        return;
      default:
        throw new TransportError('undecodable', `a ${type} frame at a DEALER`);
    }
  }

  refusedBy(peer: ZmqPeer, code: TransportErrorCode, message: string): void {
    peer.shut();
    if (peer.refusal?.message === message) return;
    peer.refusal = { code, message };
    this.#around.remarks.refusedByPeer({ peer: peer.node, address: peer.address, code, why: message });
  }

  /** Something came from the peer over a proven connection. */
  heard(peer: ZmqPeer): void {
    peer.lastHeardMs = this.#around.clock.monotonicMs();
    if (peer.up || peer.inbound === undefined || peer.inbound.incarnation !== peer.outbound) return;
    peer.up = true;
    peer.outbox.patient = true;
    peer.incarnation = peer.outbound;
    this.#around.up(peer, peer.outbound);
  }

  down(peer: ZmqPeer, reason: 'timeout' | 'closed' | 'restarted'): void {
    if (!peer.up || peer.incarnation === undefined) return;
    peer.up = false;
    peer.outbox.patient = false;
    peer.downSinceMs = this.#around.clock.monotonicMs();
    if (peer.outbound === undefined) peer.outbox.dropAll('unreachable');
    this.#around.down(peer, peer.incarnation, reason);
  }

  /** Both directions begin anew. */
  forget(peer: ZmqPeer): void {
    if (peer.inbound !== undefined) this.#sessions.delete(peer.inbound.key);
    peer.inbound = undefined;
    peer.shut();
  }

  #judge(hello: Hello): { code: TransportErrorCode; message: string } | undefined {
    const { clusterId, curve, node, peers, removed, limits } = this.#around;
    const refuse = (code: TransportErrorCode, message: string) => ({ code, message });
    if (hello.protocol !== linkProtocolVersion) {
      const ours = `${node} speaks ${linkProtocolVersion}`;
      return refuse('wrong-protocol', `${hello.node} speaks link protocol ${hello.protocol}, ${ours}`);
    }
    if (hello.cluster !== clusterId) {
      const ours = `${node} is of cluster ${clusterId}`;
      return refuse('wrong-cluster', `${hello.node} is of cluster ${hello.cluster}, ${ours}`);
    }
    if (hello.node === node) return refuse('wrong-identity', `another node calls itself ${node} too`);
    if (removed.has(hello.node)) {
      return refuse('wrong-identity', `${hello.node} was removed from the peers of ${node}`);
    }
    if (curve !== undefined && !curve.serverKeys.has(hello.node)) {
      return refuse('wrong-identity', `${node} knows no key of ${hello.node}`);
    }
    const latest = peers.get(hello.node)?.latest ?? 0;
    if (hello.incarnation < latest) {
      return refuse(
        'stale-incarnation',
        `${hello.node} came as incarnation ${hello.incarnation} after ${latest}`,
      );
    }
    if (!peers.has(hello.node) && peers.size >= limits.peersMax) {
      return refuse('bad-option', `${node} has ${peers.size} peers, which is its limit`);
    }
    try {
      checkAddress(hello.address, curve !== undefined, 'dial');
    } catch (error) {
      if (error instanceof TransportError) return refuse(error.code, error.message);
      throw error;
    }
    return undefined;
  }

  /** The peer that says hello, where it may have moved. */
  #introduce(hello: Hello): ZmqPeer {
    const peer = this.#around.peers.get(hello.node);
    if (peer === undefined) return this.#around.addPeer(hello.node, hello.address);
    const moved = peer.address !== hello.address && (!peer.up || hello.incarnation > peer.latest);
    if (moved && this.#around.curve !== undefined) peer.redialIfProven(hello.address);
    else if (moved) peer.redial(hello.address);
    return peer;
  }

  #welcome(routingId: Buffer, peer: ZmqPeer): void {
    const { clusterId: cluster, node, incarnation } = this.#around;
    const welcome = { protocol: linkProtocolVersion, cluster, node, incarnation };
    this.#around.reply(routingId, peer.node, 'welcome', welcome);
  }

  #welcomed(peer: ZmqPeer, incarnation: Incarnation): void {
    if (incarnation < peer.latest) return;
    this.#seen(peer, incarnation);
    peer.outbound = incarnation;
    peer.refusal = undefined;
    peer.helloDelayMs = 0;
    peer.grace?.cancel();
    peer.outbox.open = true;
    this.heard(peer);
  }

  /** A proven or welcoming incarnation; a new one ends everything that belonged to the old. */
  #seen(peer: ZmqPeer, incarnation: Incarnation): void {
    if (incarnation <= peer.latest) return;
    peer.latest = incarnation;
    this.down(peer, 'restarted');
    const wasOpen = peer.outbound !== undefined;
    this.forget(peer);
    if (!wasOpen) return;
    peer.outbox.dropAll('unreachable');
    this.sayHello(peer);
  }
}
