/**
 * One peer as a ZeroMQ link sees it: the DEALER that dials it, and what the handshake has settled in each direction.
 * `outbound` is the incarnation that welcomed us over the present connection; `inbound` the connection to our ROUTER
 * that has proven to come from the peer. The peer is up while both speak of the same incarnation and it is not silent.
 */
import type { Context, Dealer } from 'zeromq';
import type { Clock, Timer } from '../clock.js';
import type { Envelope, Incarnation, NodeId } from '../envelope.js';
import type { LinkLimits } from '../limits.js';
import type { DropReason } from '../link.js';
import { controlFrameBytesMax, type Refusal } from './frames.js';
import { Outbox, sendHighWaterMark } from './outbox.js';
import type { ShortWay } from './short-way.js';

const reconnectMs = 100;
const reconnectMsMax = 2000;

/** A connection that said hello and has yet to prove who it is. */
export interface Pending {
  readonly key: string;
  readonly incarnation: Incarnation;
  readonly token: string;
}

export interface PeerSurroundings {
  readonly zmq: typeof import('zeromq');
  readonly context: Context;
  readonly clock: Clock;
  readonly limits: LinkLimits;
  /** CURVE options for dialling this node; throws when its key is not known. */
  security(node: NodeId): object;
  connected(peer: ZmqPeer): void;
  disconnected(peer: ZmqPeer): void;
  frame(peer: ZmqPeer, parts: Buffer[]): void;
  /** A connection that ZeroMQ itself refused: other mechanism, unknown key. */
  refused(peer: ZmqPeer, error: Error): void;
  drop(envelope: Envelope, reason: DropReason): void;
  /** To this node, if it lives in this process. */
  shortWayTo(node: NodeId): ShortWay | undefined;
}

export class ZmqPeer {
  readonly node: NodeId;
  /** Added by the owner; otherwise the peer introduced itself and is forgotten when it leaves. */
  configured: boolean;
  connected = false;
  outbound: Incarnation | undefined;
  inbound: { readonly key: string; readonly incarnation: Incarnation } | undefined;
  pending: Pending[] = [];
  up = false;
  /** What was announced with `onPeerUp`. */
  incarnation: Incarnation | undefined;
  /** Largest ever seen; smaller ones are refused. */
  latest = 0;
  lastHeardMs: number;
  downSinceMs: number;
  helloAtMs = 0;
  helloDelayMs = 0;
  grace: Timer | undefined;
  refusal: Refusal | undefined;
  #address: string;
  #dealer: Dealer;
  #outbox: Outbox;
  #probe: { readonly socket: Dealer; readonly timer: Timer } | undefined;
  readonly #around: PeerSurroundings;

  constructor(node: NodeId, address: string, configured: boolean, around: PeerSurroundings) {
    this.node = node;
    this.configured = configured;
    this.#address = address;
    this.#around = around;
    this.lastHeardMs = around.clock.monotonicMs();
    this.downSinceMs = this.lastHeardMs;
    [this.#dealer, this.#outbox] = this.#dial();
  }

  get address(): string {
    return this.#address;
  }

  get outbox(): Outbox {
    return this.#outbox;
  }

  /** No letter leaves before the peer welcomes us again. */
  shut(): void {
    this.outbound = undefined;
    this.#outbox.open = false;
  }

  redial(address: string): void {
    this.#address = address;
    this.#outbox.close('unreachable');
    this.connected = false;
    this.outbound = undefined;
    [this.#dealer, this.#outbox] = this.#dial();
  }

  /**
   * Moves to an address that an unproven connection named, once a CURVE handshake there has shown that the peer's
   * key is at home: nobody can lead us away from a peer that way.
   */
  redialIfProven(address: string): void {
    if (this.#probe !== undefined) return;
    const { zmq, context, clock, limits } = this.#around;
    const probe = new zmq.Dealer({ context, linger: 0, ...this.#around.security(this.node) });
    const timer = clock.setTimer(limits.peerTimeoutMs, () => this.#endProbe());
    this.#probe = { socket: probe, timer };
    probe.events.on('handshake', () => {
      if (this.#probe?.socket !== probe) return;
      this.#endProbe();
      this.redial(address);
    });
    probe.connect(address);
  }

  #endProbe(): void {
    this.#probe?.timer.cancel();
    this.#probe?.socket.close();
    this.#probe = undefined;
  }

  close(reason: DropReason, lastWord?: (string | Uint8Array)[]): void {
    this.grace?.cancel();
    this.#endProbe();
    this.#outbox.close(reason, this.outbound === undefined ? undefined : lastWord);
  }

  #dial(): [Dealer, Outbox] {
    const { zmq, context, clock, limits, drop, shortWayTo } = this.#around;
    const dealer = new zmq.Dealer({
      context,
      // `immediate`: nothing queues for a peer that is not connected.
      immediate: true,
      linger: 0,
      sendTimeout: 0,
      sendHighWaterMark,
      maxMessageSize: controlFrameBytesMax,
      reconnectInterval: reconnectMs,
      reconnectMaxInterval: reconnectMsMax,
      tcpKeepalive: 1,
      // libzmq stops reading a connection over which came what CURVE refuses, and does not close it: pings are not answered.
      heartbeatInterval: limits.heartbeatMs,
      heartbeatTimeout: limits.connectionTimeoutMs,
      ...this.#around.security(this.node),
    });
    this.#listen(dealer);
    dealer.connect(this.#address);
    void this.#receive(dealer);
    return [dealer, new Outbox(dealer, clock, limits, drop, shortWayTo(this.node))];
  }

  #listen(dealer: Dealer): void {
    const current = () => this.#dealer === dealer;
    const refused = ({ error }: { error: Error }) => {
      if (current()) this.#around.refused(this, error);
    };
    dealer.events.on('handshake', () => {
      if (!current()) return;
      this.connected = true;
      this.#around.connected(this);
    });
    dealer.events.on('disconnect', () => {
      if (!current() || !this.connected) return;
      this.connected = false;
      this.#around.disconnected(this);
    });
    dealer.events.on('handshake:error:protocol', refused);
    dealer.events.on('handshake:error:auth', refused);
    dealer.events.on('handshake:error:other', refused);
  }

  async #receive(dealer: Dealer): Promise<void> {
    for await (const parts of dealer) {
      if (this.#dealer === dealer) this.#around.frame(this, parts);
    }
  }
}
