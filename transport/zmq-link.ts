/**
 * The link of a real cluster, over ZeroMQ: one ROUTER bound for everything that comes in, one DEALER for each peer.
 * ZeroMQ is treated as lossy (ARCHITECTURE rule 6). No letter passes before both sides have met: cluster, protocol, node
 * and incarnation are exchanged, and whoever claims to be a node proves it by a token that went to the address (and,
 * with CURVE, to the key) of that node. Routing ids are left to the ROUTER, one a connection: a chosen id could be
 * taken over with `handover`, and with it the identity.
 * Letters between the two nodes of one process go over a message port (zmq/short-way.ts).
 * An edge: sockets and random tokens. Frames: zmq/frames.ts; meeting: zmq/handshake.ts; queues: zmq/outbox.ts.
 * A worker thread must `close` its link before it ends: zeromq 6.8 aborts the process when a thread dies while a
 * socket of it waits for a message.
 */
import { strict as assert } from 'node:assert';
import type { Context } from 'zeromq';
import type { Clock, Random, Timer } from './clock.js';
import { decodeEnvelopes, encodeEnvelope } from './codec.js';
import type { Envelope, Incarnation, NodeId } from './envelope.js';
import { TransportError } from './errors.js';
import type { FaultPolicy, LinkKind } from './faults/policy.js';
import { type LinkLimits, linkLimits } from './limits.js';
import type { DropReason, Link, LinkEvents } from './link.js';
import { type Journal, silentJournal } from './trace/journal.js';
import { checkAddress } from './zmq/address.js';
import {
  controlFrame,
  type FrameType,
  frameTypeOf,
  readChallenge,
  readHello,
  readToken,
} from './zmq/frames.js';
import { Handshake } from './zmq/handshake.js';
import { ZmqPeer } from './zmq/peer.js';
import { codeOf, type LinkCounters, Remarks } from './zmq/remarks.js';
import { RouterSocket } from './zmq/router.js';
import { ShortWay, type ShortWayEnd } from './zmq/short-way.js';
import { type CurveKeys, Doorkeeper } from './zmq/zap.js';

export interface ZmqLinkOptions {
  /** Nodes of another cluster are refused. */
  readonly clusterId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly journal?: Journal;
  /** Default `tcp://127.0.0.1:0`: a free port. */
  readonly bind?: string;
  /** What peers are told to dial, where it differs from `bind` (0.0.0.0, NAT). */
  readonly advertise?: string;
  /** Without it the link binds to and dials loopback only. */
  readonly curve?: CurveKeys;
  readonly limits?: Partial<LinkLimits>;
  /** To the one other node of this process. */
  readonly shortWay?: { readonly to: NodeId; readonly end: ShortWayEnd };
}

export interface PeerStatus {
  readonly node: NodeId;
  readonly address: string;
  readonly state: 'up' | 'connecting' | 'down';
  readonly incarnation?: Incarnation;
  readonly queued: number;
  /** Why the peer last refused us. */
  readonly refusal?: string;
}

/** Around the letters of one message. */
const frameOverheadBytesMax = 1024 * 1024;

export class ZmqLink implements Link {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly #policy: FaultPolicy;
  readonly #options: ZmqLinkOptions;
  readonly #limits: LinkLimits;
  readonly #clock: Clock;
  readonly #remarks: Remarks;
  readonly #handshake: Handshake;
  readonly #peers = new Map<NodeId, ZmqPeer>();
  /** Added before start. */
  readonly #waiting = new Map<NodeId, string>();
  readonly #removed = new Set<NodeId>();
  readonly #shortWay: ShortWay | undefined;
  #events: LinkEvents | undefined;
  #sockets: { readonly zmq: typeof import('zeromq'); readonly context: Context } | undefined;
  #router: RouterSocket | undefined;
  #doorkeeper: Doorkeeper | undefined;
  #address = '';
  #tickTimer: Timer | undefined;
  #tickAtMs = 0;
  #delayed = 0;
  /** Letters that a fault sent more than once. */
  readonly #doubled = new WeakSet<Envelope>();
  #closed = false;
  /** Peers learn at once that the process ends, not by its silence. */
  readonly #atExit = (): void => {
    this.#closePeers();
    this.#router?.closeNow();
    this.#doorkeeper?.close();
  };

  /** Throws TransportError for addresses and options that cannot be. */
  constructor(node: NodeId, incarnation: Incarnation, policy: FaultPolicy, options: ZmqLinkOptions) {
    const { clusterId, curve, bind, advertise } = options;
    if (bind !== undefined) checkAddress(bind, curve !== undefined, 'bind to');
    if (advertise !== undefined) checkAddress(advertise, curve !== undefined, 'advertise');
    if (clusterId === '' || clusterId.length > 128) {
      throw new TransportError('bad-option', 'clusterId must have 1 to 128 characters');
    }
    this.node = node;
    this.incarnation = incarnation;
    this.#policy = policy;
    this.#options = options;
    this.#shortWay = options.shortWay && new ShortWay(options.shortWay.end);
    this.#limits = { ...linkLimits, ...options.limits };
    this.#clock = options.clock;
    this.#remarks = new Remarks(node, options.clock, options.journal ?? silentJournal);
    this.#handshake = new Handshake({
      node,
      incarnation,
      clusterId,
      curve,
      clock: this.#clock,
      limits: this.#limits,
      remarks: this.#remarks,
      peers: this.#peers,
      removed: this.#removed,
      address: () => this.#address,
      addPeer: (peer, address) => this.#addPeer(peer, address, false),
      control: (peer, type, content) => this.#control(peer, type, content),
      reply: (routingId, to, type, content) => {
        if (to === undefined || this.#passes(to, 'Handshake')) this.#router?.reply(routingId, type, content);
      },
      up: (peer, met) => this.#events?.onPeerUp(peer.node, met),
      down: (peer, met, reason) => this.#events?.onPeerDown(peer.node, met, reason),
    });
  }

  get counters(): Readonly<LinkCounters> {
    return this.#remarks.counters;
  }

  /** Rejects with TransportError `bind-failed` or `bad-option`. */
  async start(events: LinkEvents): Promise<void> {
    assert(this.#events === undefined, `link ${this.node} was started before`);
    if (this.#closed) throw new TransportError('closed', `link ${this.node} is closed`);
    this.#events = events;
    const { curve, bind = 'tcp://127.0.0.1:0', advertise } = this.#options;
    // Loaded here: who only simulates needs no native code.
    const zmq = await import('zeromq');
    const context = curve === undefined ? zmq.context : new zmq.Context();
    const refused = (detail: Readonly<Record<string, string>>) => this.#remarks.refused(detail);
    if (curve !== undefined) this.#doorkeeper = await Doorkeeper.start(zmq, context, curve, refused);
    try {
      this.#router = await RouterSocket.bind(zmq, context, {
        node: this.node,
        bind,
        curve,
        messageBytesMax: this.#limits.envelopeBytesMax + frameOverheadBytesMax,
        incoming: (routingId, parts) => this.#incoming(routingId, parts),
        refused,
      });
      this.#address = advertise ?? dialable(this.#router.endpoint);
    } catch (error) {
      this.#atExit();
      throw error;
    }
    process.once('exit', this.#atExit);
    this.#shortWay?.start((batch) => this.#overShortWay(batch));
    this.#sockets = { zmq, context };
    this.#tickAtMs = this.#clock.monotonicMs();
    this.#tick();
    for (const [peer, address] of this.#waiting) this.#addPeer(peer, address, true);
    this.#waiting.clear();
  }

  address(): string {
    if (this.#address === '') {
      throw new TransportError('not-started', `link ${this.node} has no address before start`);
    }
    return this.#address;
  }

  /** Throws TransportError: `bad-address`, `insecure-bind`, or `wrong-identity` when CURVE has no key of the peer. */
  addPeer(node: NodeId, address: string): void {
    assert(node !== this.node, `${node} cannot be its own peer`);
    checkAddress(address, this.#options.curve !== undefined, 'dial');
    if (this.#closed) return;
    this.#removed.delete(node);
    if (this.#sockets === undefined) this.#waiting.set(node, address);
    else this.#addPeer(node, address, true);
  }

  removePeer(node: NodeId): void {
    this.#waiting.delete(node);
    const peer = this.#peers.get(node);
    if (peer === undefined) return;
    this.#removed.add(node);
    this.#forget(peer);
  }

  peers(): PeerStatus[] {
    return [...this.#peers.values()].map((peer) => ({
      node: peer.node,
      address: peer.address,
      state: peer.up ? 'up' : peer.connected ? 'connecting' : 'down',
      ...(peer.incarnation === undefined ? {} : { incarnation: peer.incarnation }),
      queued: peer.outbox.depth,
      ...(peer.refusal === undefined ? {} : { refusal: peer.refusal.message }),
    }));
  }

  send(envelope: Envelope): void {
    assert(envelope.from === this.node, `${this.node} cannot send in the name of ${envelope.from}`);
    assert(envelope.to !== this.node, `${this.node} need not send to itself over a link`);
    this.#remarks.see(envelope);
    const refusal = this.#refusal(envelope);
    if (refusal !== undefined) {
      this.#drop(envelope, refusal);
      return;
    }
    const verdict = this.#policy.judge(envelope, this.#options.random);
    if (verdict.type === 'drop') {
      this.#drop(envelope, 'fault');
      return;
    }
    let bytes: Uint8Array;
    try {
      bytes = encodeEnvelope(envelope, this.#limits.envelopeBytesMax);
    } catch (error) {
      if (!(error instanceof TransportError) || error.code !== 'too-large') throw error;
      this.#drop(envelope, 'too-large');
      return;
    }
    if (verdict.delaysMs.length > 1) this.#doubled.add(envelope);
    for (const delayMs of verdict.delaysMs) {
      if (delayMs === 0) this.#post(envelope, bytes);
      else this.#postLater(delayMs, envelope, bytes);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closePeers();
    process.off('exit', this.#atExit);
    await this.#router?.close();
    this.#doorkeeper?.close();
  }

  #closePeers(): void {
    this.#closed = true;
    this.#tickTimer?.cancel();
    this.#shortWay?.close();
    for (const peer of this.#peers.values()) peer.close('closed', this.#lastWord(peer));
    this.#peers.clear();
  }

  /** A frame at our ROUTER. */
  #incoming(routingId: Buffer, parts: Buffer[]): void {
    if (this.#closed) return;
    const key = routingId.toString('latin1');
    try {
      this.#read(routingId, key, parts);
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      this.#remarks.garbage(error, this.#handshake.peerOf(key)?.node);
    }
  }

  #read(routingId: Buffer, key: string, [first, ...parts]: Buffer[]): void {
    const type = frameTypeOf(first);
    if (type === 'hello') this.#handshake.hello(routingId, key, readHello(parts));
    else if (type === 'prove') this.#handshake.proof(routingId, key, readToken(parts));
    else if (type === 'challenge') this.#handshake.challenge(readChallenge(parts));
    else {
      const peer = this.#handshake.peerOf(key);
      if (peer?.inbound === undefined) {
        this.#router?.reply(routingId, 'reset');
        return;
      }
      this.#handshake.heard(peer);
      if (type === 'letters') this.#frames(peer, peer.inbound.incarnation, parts);
      else if (type === 'goodbye') this.#goodbye(peer);
      else if (type !== 'beat') throw new TransportError('undecodable', `a ${type} frame at a ROUTER`);
    }
  }

  #frames(peer: ZmqPeer, incarnation: Incarnation, chunks: readonly Buffer[]): void {
    for (const chunk of chunks) {
      // A frame is memory of libzmq, several kilobytes however short it is. Bytes of a letter are views of it and may
      // be kept for long (a log, a cache): they must not keep the frame, so the letters get memory of their own.
      this.#letters(peer, incarnation, new Uint8Array(chunk));
    }
  }

  #letters(peer: ZmqPeer, incarnation: Incarnation, chunk: Uint8Array): void {
    const nowMs = this.#clock.nowMs();
    for (const envelope of decodeEnvelopes(chunk, this.#limits.envelopeBytesMax)) {
      if (this.#closed) return;
      this.#remarks.see(envelope);
      if (envelope.from !== peer.node || envelope.incarnation !== incarnation || envelope.to !== this.node) {
        this.#remarks.forged(envelope, peer.node);
      } else if (envelope.deadlineMs > 0 && nowMs >= envelope.deadlineMs) {
        this.#events?.onDrop(envelope, 'expired');
      } else {
        this.#remarks.counters.received += 1;
        this.#events?.onEnvelope(envelope);
      }
    }
  }

  /** Taken from a peer only that has proven over ZeroMQ who it is; else it hears from its next beat that it must. */
  #overShortWay(batch: Uint8Array): void {
    const { to } = this.#options.shortWay as { readonly to: NodeId };
    const peer = this.#peers.get(to);
    if (this.#closed || peer?.inbound === undefined) return;
    this.#handshake.heard(peer);
    try {
      this.#letters(peer, peer.inbound.incarnation, batch);
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      this.#remarks.garbage(error, to);
    }
  }

  #goodbye(peer: ZmqPeer): void {
    if (!peer.configured) {
      this.#forget(peer);
      return;
    }
    this.#handshake.forget(peer);
    peer.outbox.dropAll('unreachable');
    this.#handshake.down(peer, 'closed');
  }

  #forget(peer: ZmqPeer): void {
    this.#peers.delete(peer.node);
    peer.close('unreachable', this.#lastWord(peer));
    this.#handshake.forget(peer);
    this.#handshake.down(peer, 'closed');
  }

  #lastWord(peer: ZmqPeer): (string | Uint8Array)[] | undefined {
    return this.#passes(peer.node, 'Handshake') ? controlFrame('goodbye') : undefined;
  }

  #refusal(envelope: Envelope): DropReason | undefined {
    if (this.#closed) return 'closed';
    const peer = this.#peers.get(envelope.to);
    if (peer === undefined || !this.#takes(peer)) return 'unreachable';
    if (envelope.deadlineMs > 0 && this.#clock.nowMs() >= envelope.deadlineMs) return 'expired';
    return undefined;
  }

  /** A peer that talks to us will welcome us in a moment: an answer to its first letter waits for that. */
  #takes(peer: ZmqPeer): boolean {
    if (peer.outbound !== undefined) return true;
    const silentMs = this.#clock.monotonicMs() - peer.lastHeardMs;
    return peer.inbound !== undefined && silentMs < this.#limits.peerTimeoutMs;
  }

  #post(envelope: Envelope, bytes: Uint8Array): void {
    const peer = this.#peers.get(envelope.to);
    if (this.#closed) this.#drop(envelope, 'closed');
    else if (peer === undefined || !this.#takes(peer)) this.#drop(envelope, 'unreachable');
    else {
      this.#remarks.counters.sent += 1;
      peer.outbox.push(envelope, bytes);
    }
  }

  #postLater(delayMs: number, envelope: Envelope, bytes: Uint8Array): void {
    if (this.#delayed >= this.#limits.delayedEnvelopesMax) {
      this.#drop(envelope, 'queue-full');
      return;
    }
    this.#delayed += 1;
    this.#clock.setTimer(delayMs, () => {
      this.#delayed -= 1;
      this.#post(envelope, bytes);
    });
  }

  /** Frames of our own pass the same faults as letters: a cut link has no heartbeat. */
  #passes(to: NodeId, kind: LinkKind): boolean {
    return this.#policy.judge({ from: this.node, to, kind }, this.#options.random).type === 'deliver';
  }

  #control(peer: ZmqPeer, type: FrameType, content?: object): void {
    const kind = type === 'beat' ? 'Heartbeat' : 'Handshake';
    if (this.#passes(peer.node, kind)) peer.outbox.control(controlFrame(type, content));
  }

  #addPeer(node: NodeId, address: string, configured: boolean): ZmqPeer {
    const known = this.#peers.get(node);
    if (known !== undefined) {
      known.configured ||= configured;
      if (known.address !== address) known.redial(address);
      return known;
    }
    const { peersMax } = this.#limits;
    if (this.#peers.size >= peersMax) {
      throw new TransportError('bad-option', `${this.node} has ${peersMax} peers, which is its limit`);
    }
    assert(this.#sockets !== undefined);
    const peer = new ZmqPeer(node, address, configured, {
      ...this.#sockets,
      clock: this.#clock,
      limits: this.#limits,
      security: (name) => this.#security(name),
      connected: (connected) => {
        if (this.#closed) return;
        connected.helloDelayMs = 0;
        this.#handshake.sayHello(connected);
      },
      disconnected: (gone) => this.#disconnected(gone),
      frame: (from, parts) => this.#answer(from, parts),
      refused: (by, error) =>
        this.#handshake.refusedBy(by, 'wrong-identity', `${codeOf(error)}: ${error.message}`),
      drop: (envelope, reason) => this.#drop(envelope, reason),
      shortWayTo: (to) => (to === this.#options.shortWay?.to ? this.#shortWay : undefined),
    });
    this.#peers.set(node, peer);
    return peer;
  }

  /** A frame at the DEALER that dials `peer`. */
  #answer(peer: ZmqPeer, [first, ...parts]: Buffer[]): void {
    if (this.#closed) return;
    try {
      this.#handshake.answer(peer, frameTypeOf(first), parts);
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      this.#remarks.garbage(error, peer.node);
    }
  }

  #security(node: NodeId): object {
    const { curve } = this.#options;
    if (curve === undefined) return {};
    const serverKey = curve.serverKeys.get(node);
    if (serverKey === undefined) {
      throw new TransportError('wrong-identity', `no CURVE key is known for ${node}`);
    }
    return { curveServerKey: serverKey, curvePublicKey: curve.publicKey, curveSecretKey: curve.secretKey };
  }

  /** The process at the other end is gone, or a cable: it has a moment to come back. */
  #disconnected(peer: ZmqPeer): void {
    if (this.#closed || this.#peers.get(peer.node) !== peer) return;
    peer.shut();
    peer.grace?.cancel();
    peer.grace = this.#clock.setTimer(this.#limits.disconnectGraceMs, () => {
      if (this.#closed || peer.outbound !== undefined || this.#peers.get(peer.node) !== peer) return;
      this.#handshake.forget(peer);
      peer.outbox.dropAll('unreachable');
      this.#handshake.down(peer, 'closed');
    });
  }

  #tick(): void {
    const nowMs = this.#clock.monotonicMs();
    const { heartbeatMs, peerTimeoutMs, peerForgetMs } = this.#limits;
    // When this process itself slept, what the peers sent meanwhile has not been read yet: give it one more round.
    const slept = nowMs - this.#tickAtMs > peerTimeoutMs / 2;
    this.#tickAtMs = nowMs;
    this.#remarks.tick();
    for (const peer of this.#peers.values()) {
      if (!slept && nowMs - peer.lastHeardMs >= peerTimeoutMs) this.#handshake.down(peer, 'timeout');
      if (!peer.up && !peer.configured && nowMs - peer.downSinceMs >= peerForgetMs) {
        this.#forget(peer);
      } else if (peer.outbound !== undefined) {
        if (nowMs - peer.outbox.lastSentMs >= heartbeatMs * 0.75) this.#control(peer, 'beat');
      } else if (peer.connected && nowMs >= peer.helloAtMs) {
        this.#handshake.sayHello(peer);
      }
    }
    this.#tickTimer = this.#clock.setTimer(heartbeatMs / 2, () => this.#tick());
  }

  /** In a later turn: whoever sends is never called back from inside `send`. */
  #drop(envelope: Envelope, reason: DropReason): void {
    // Another copy may have arrived: nobody may be told that it was not handled.
    if (this.#doubled.has(envelope)) return;
    this.#clock.defer(() => this.#events?.onDrop(envelope, reason));
  }
}

function dialable(endpoint: string): string {
  if (!/^tcp:\/\/(0\.0\.0\.0|\[::\]|\*):/.test(endpoint)) return endpoint;
  throw new TransportError(
    'bad-option',
    `bound to ${endpoint}: say with advertise where peers reach this node`,
  );
}
