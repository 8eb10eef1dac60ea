/**
 * The link of a real cluster, over ZeroMQ: one ROUTER bound for everything that comes in, one DEALER for each peer.
 * ZeroMQ is treated as lossy (DESIGN rule 6). No letter passes before both sides have met: cluster, protocol, node
 * and incarnation are exchanged, and whoever claims to be a node proves it by a token that went to the address (and,
 * with CURVE, to the key) of that node. Routing ids are left to the ROUTER, one a connection: a chosen id could be
 * taken over with `handover`, and with it the identity.
 * An edge: sockets and random tokens. Frames: zmq/frames.ts; queues and writing: zmq/outbox.ts.
 */
import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import type { Context, Router } from 'zeromq';
import type { Clock, Random, Timer } from './clock.js';
import { decodeEnvelopes, encodeEnvelope } from './codec.js';
import type { Envelope, Incarnation, NodeId } from './envelope.js';
import { TransportError, type TransportErrorCode } from './errors.js';
import type { FaultPolicy } from './faults/policy.js';
import { type LinkLimits, linkLimits } from './limits.js';
import type { DropReason, Link, LinkEvents } from './link.js';
import { type Journal, type JournalEvent, silentJournal } from './trace/journal.js';
import { checkAddress } from './zmq/address.js';
import {
  controlFrame,
  type FrameType,
  frameTypeOf,
  type Hello,
  linkProtocolVersion,
  readChallenge,
  readHello,
  readRefusal,
  readToken,
  readWelcome,
} from './zmq/frames.js';
import { type PeerSurroundings, ZmqPeer } from './zmq/peer.js';
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

export interface LinkCounters {
  sent: number;
  received: number;
  /** Frames that no well-behaved peer sends. */
  garbage: number;
  refused: number;
  /** Envelopes in the name of another node. */
  forged: number;
}

const pendingMax = 4;
const repliesMax = 1024;
/** Remarks on garbage a second; more are only counted. */
const remarksMax = 20;

export class ZmqLink implements Link {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly counters: LinkCounters = { sent: 0, received: 0, garbage: 0, refused: 0, forged: 0 };
  readonly #policy: FaultPolicy;
  readonly #options: ZmqLinkOptions;
  readonly #limits: LinkLimits;
  readonly #clock: Clock;
  readonly #journal: Journal;
  readonly #peers = new Map<NodeId, ZmqPeer>();
  readonly #waiting = new Map<NodeId, string>();
  readonly #removed = new Set<NodeId>();
  /** Proven connections by routing id. */
  readonly #sessions = new Map<string, ZmqPeer>();
  readonly #replies: [routingId: Buffer, ...(string | Uint8Array)[]][] = [];
  #replying = false;
  #events: LinkEvents | undefined;
  #around: PeerSurroundings | undefined;
  #router: Router | undefined;
  #doorkeeper: Doorkeeper | undefined;
  #address = '';
  #tickTimer: Timer | undefined;
  #tickAtMs = 0;
  #delayed = 0;
  #lamport = 0;
  #remarks = 0;
  #closed = false;

  constructor(node: NodeId, incarnation: Incarnation, policy: FaultPolicy, options: ZmqLinkOptions) {
    this.node = node;
    this.incarnation = incarnation;
    this.#policy = policy;
    this.#options = options;
    this.#limits = { ...linkLimits, ...options.limits };
    this.#clock = options.clock;
    this.#journal = options.journal ?? silentJournal;
    const secured = options.curve !== undefined;
    checkAddress(options.bind ?? 'tcp://127.0.0.1:0', secured, 'bind to');
    if (options.advertise !== undefined) checkAddress(options.advertise, secured, 'advertise');
    if (options.clusterId === '' || options.clusterId.length > 128) {
      throw new TransportError('bad-option', 'clusterId must have 1 to 128 characters');
    }
  }

  async start(events: LinkEvents): Promise<void> {
    assert(this.#events === undefined, `link ${this.node} was started before`);
    if (this.#closed) throw new TransportError('closed', `link ${this.node} is closed`);
    this.#events = events;
    // Loaded here: who only simulates needs no native code.
    const zmq = await import('zeromq');
    const { curve } = this.#options;
    const context = curve === undefined ? zmq.context : new zmq.Context();
    if (curve !== undefined) {
      this.#doorkeeper = await Doorkeeper.start(zmq, context, curve, (publicKey, address) => {
        this.counters.refused += 1;
        this.#remark('link.refused', {
          code: 'wrong-identity',
          publicKey,
          address,
          why: 'unknown CURVE key',
        });
      });
    }
    this.#around = this.#surroundings(zmq, context);
    await this.#bind(zmq, context);
    this.#tickAtMs = this.#clock.monotonicMs();
    this.#tick();
    for (const [peer, address] of this.#waiting) this.#addPeer(peer, address, true);
    this.#waiting.clear();
  }

  address(): string {
    if (this.#address === '')
      throw new TransportError('not-started', `link ${this.node} has no address before start`);
    return this.#address;
  }

  addPeer(node: NodeId, address: string): void {
    assert(node !== this.node, `${node} cannot be its own peer`);
    checkAddress(address, this.#options.curve !== undefined, 'dial');
    if (this.#closed) return;
    this.#removed.delete(node);
    if (this.#around === undefined) this.#waiting.set(node, address);
    else this.#addPeer(node, address, true);
  }

  removePeer(node: NodeId): void {
    this.#waiting.delete(node);
    const peer = this.#peers.get(node);
    if (peer === undefined) return;
    this.#removed.add(node);
    this.#forget(peer, 'unreachable');
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
    this.#lamport = Math.max(this.#lamport, envelope.lamport);
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
    for (const delayMs of verdict.delaysMs) {
      if (delayMs === 0) this.#post(envelope, bytes);
      else
        this.#later(
          delayMs,
          () => this.#post(envelope, bytes),
          () => this.#drop(envelope, 'queue-full'),
        );
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#tickTimer?.cancel();
    for (const peer of this.#peers.values()) {
      peer.close('closed', this.#passes(peer.node, 'Handshake') ? controlFrame('goodbye') : undefined);
    }
    this.#peers.clear();
    this.#sessions.clear();
    const router = this.#router;
    if (router !== undefined && !router.closed) {
      // Unbinding first: the port is free again when this returns.
      await router.unbind(router.lastEndpoint ?? this.#address);
      router.close();
    }
    this.#doorkeeper?.close();
  }

  async #bind(zmq: typeof import('zeromq'), context: Context): Promise<void> {
    const { curve, bind = 'tcp://127.0.0.1:0', advertise } = this.#options;
    const router = new zmq.Router({
      context,
      mandatory: true,
      linger: 0,
      sendTimeout: 0,
      maxMessageSize: this.#limits.envelopeBytesMax + 1024 * 1024,
      ...(curve === undefined
        ? {}
        : {
            curveServer: true,
            curvePublicKey: curve.publicKey,
            curveSecretKey: curve.secretKey,
            zapDomain: 'kabuki',
          }),
    });
    try {
      await router.bind(bind);
    } catch (error) {
      router.close();
      this.#doorkeeper?.close();
      throw new TransportError('bind-failed', `${this.node} cannot listen at ${bind}: ${text(error)}`, error);
    }
    const bound = router.lastEndpoint ?? bind;
    this.#address = advertise ?? bound;
    if (/^tcp:\/\/(0\.0\.0\.0|\[::\]|\*):/.test(this.#address)) {
      router.close();
      this.#doorkeeper?.close();
      throw new TransportError(
        'bad-option',
        `bound to ${bound}: say with advertise where peers reach this node`,
      );
    }
    const refused = ({ error, address }: { error: Error; address: string }) => {
      this.counters.refused += 1;
      this.#remark('link.refused', { code: codeOf(error), address, why: error.message });
    };
    router.events.on('handshake:error:protocol', refused);
    router.events.on('handshake:error:other', refused);
    this.#router = router;
    void this.#receive(router);
  }

  async #receive(router: Router): Promise<void> {
    for await (const [routingId, ...parts] of router as AsyncIterable<Buffer[]>) {
      if (this.#closed || routingId === undefined) continue;
      try {
        this.#incoming(routingId, parts);
      } catch (error) {
        if (!(error instanceof TransportError)) throw error;
        this.#garbage(error, this.#sessions.get(routingId.toString('latin1'))?.node);
      }
    }
  }

  /** A frame at our ROUTER. */
  #incoming(routingId: Buffer, [type, ...parts]: Buffer[]): void {
    const key = routingId.toString('latin1');
    const frameType = frameTypeOf(type);
    if (frameType === 'hello') {
      this.#hello(routingId, key, readHello(parts));
      return;
    }
    if (frameType === 'prove') {
      this.#proof(routingId, key, readToken(parts));
      return;
    }
    if (frameType === 'challenge') {
      this.#challenge(readChallenge(parts));
      return;
    }
    const peer = this.#sessions.get(key);
    if (peer?.inbound === undefined) {
      this.#reply(routingId, undefined, 'reset');
      return;
    }
    this.#heard(peer);
    if (frameType === 'letters') this.#letters(peer, peer.inbound.incarnation, parts);
    else if (frameType === 'goodbye') this.#goodbye(peer);
    else if (frameType !== 'beat')
      throw new TransportError('undecodable', `a ${frameType} frame at a ROUTER`);
  }

  /** A frame at the DEALER that dials `peer`; with CURVE it can only come from the true peer. */
  #answer(peer: ZmqPeer, [type, ...parts]: Buffer[]): void {
    const frameType = frameTypeOf(type);
    switch (frameType) {
      case 'welcome': {
        const welcome = readWelcome(parts);
        if (welcome.node !== peer.node || welcome.cluster !== this.#options.clusterId) {
          this.#refusedBy(peer, 'wrong-identity', `${peer.address} is ${welcome.node} of ${welcome.cluster}`);
          return;
        }
        this.#welcomed(peer, welcome.incarnation);
        return;
      }
      case 'refuse': {
        const refusal = readRefusal(parts);
        this.#refusedBy(peer, refusal.code, refusal.message);
        return;
      }
      case 'reset':
        peer.outbound = undefined;
        peer.outbox.open = false;
        this.#sayHello(peer);
        return;
      default:
        throw new TransportError('undecodable', `a ${frameType} frame at a DEALER`);
    }
  }

  #hello(routingId: Buffer, key: string, hello: Hello): void {
    const refusal = this.#judgeHello(hello);
    if (refusal !== undefined) {
      this.counters.refused += 1;
      this.#remark('link.refused', { peer: hello.node, code: refusal.code, why: refusal.message });
      this.#reply(routingId, hello.node, 'refuse', refusal);
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
    this.#control(peer, 'challenge', {
      cluster: this.#options.clusterId,
      node: this.node,
      asked: hello.incarnation,
      token: pending.token,
    });
    // Whoever reaches us can probably be reached: do not wait for the next round.
    if (peer.outbound === undefined) this.#sayHello(peer);
  }

  #judgeHello(hello: Hello): { code: TransportErrorCode; message: string } | undefined {
    const { clusterId, curve } = this.#options;
    if (hello.protocol !== linkProtocolVersion) {
      const message = `${hello.node} speaks link protocol ${hello.protocol}, ${this.node} speaks ${linkProtocolVersion}`;
      return { code: 'wrong-protocol', message };
    }
    if (hello.cluster !== clusterId) {
      const message = `${hello.node} is of cluster ${hello.cluster}, ${this.node} is of cluster ${clusterId}`;
      return { code: 'wrong-cluster', message };
    }
    if (hello.node === this.node) {
      return { code: 'wrong-identity', message: `another node calls itself ${this.node} too` };
    }
    if (this.#removed.has(hello.node)) {
      return { code: 'wrong-identity', message: `${hello.node} was removed from the peers of ${this.node}` };
    }
    if (curve !== undefined && !curve.serverKeys.has(hello.node)) {
      return { code: 'wrong-identity', message: `${this.node} knows no key of ${hello.node}` };
    }
    const latest = this.#peers.get(hello.node)?.latest ?? 0;
    if (hello.incarnation < latest) {
      const message = `${hello.node} came as incarnation ${hello.incarnation} after ${latest}`;
      return { code: 'stale-incarnation', message };
    }
    if (!this.#peers.has(hello.node) && this.#peers.size >= this.#limits.peersMax) {
      return {
        code: 'bad-option',
        message: `${this.node} has ${this.#peers.size} peers, which is its limit`,
      };
    }
    try {
      checkAddress(hello.address, curve !== undefined, 'dial');
    } catch (error) {
      if (error instanceof TransportError) return { code: error.code, message: error.message };
      throw error;
    }
    return undefined;
  }

  /** The peer that says hello, at the address it names, where it may have moved. */
  #introduce(hello: Hello): ZmqPeer {
    const peer = this.#peers.get(hello.node);
    if (peer === undefined) return this.#addPeer(hello.node, hello.address, false);
    const moved = peer.address !== hello.address && (!peer.up || hello.incarnation > peer.latest);
    if (moved && this.#options.curve !== undefined) peer.redialIfProven(hello.address);
    else if (moved) peer.redial(hello.address);
    return peer;
  }

  #challenge({ cluster, node, asked, token }: ReturnType<typeof readChallenge>): void {
    const peer = this.#peers.get(node);
    if (peer === undefined || cluster !== this.#options.clusterId || asked !== this.incarnation) return;
    this.#control(peer, 'prove', { token });
  }

  #proof(routingId: Buffer, key: string, token: string): void {
    for (const peer of this.#peers.values()) {
      const pending = peer.pending.find((p) => p.key === key && p.token === token);
      if (pending === undefined) continue;
      peer.pending = [];
      if (pending.incarnation < peer.latest) return;
      if (peer.inbound !== undefined) this.#sessions.delete(peer.inbound.key);
      this.#seen(peer, pending.incarnation);
      peer.inbound = { key, incarnation: pending.incarnation };
      this.#sessions.set(key, peer);
      this.#heard(peer);
      this.#welcome(routingId, peer);
      return;
    }
    this.#reply(routingId, undefined, 'reset');
  }

  #welcome(routingId: Buffer, peer: ZmqPeer): void {
    this.#reply(routingId, peer.node, 'welcome', {
      protocol: linkProtocolVersion,
      cluster: this.#options.clusterId,
      node: this.node,
      incarnation: this.incarnation,
    });
  }

  #welcomed(peer: ZmqPeer, incarnation: Incarnation): void {
    if (incarnation < peer.latest) return;
    this.#seen(peer, incarnation);
    peer.outbound = incarnation;
    peer.refusal = undefined;
    peer.helloDelayMs = 0;
    peer.grace?.cancel();
    peer.outbox.open = true;
    this.#heard(peer);
  }

  /** A proven or welcoming incarnation; a new one ends everything that belonged to the old. */
  #seen(peer: ZmqPeer, incarnation: Incarnation): void {
    if (incarnation <= peer.latest) return;
    peer.latest = incarnation;
    if (peer.up) this.#down(peer, 'restarted');
    if (peer.inbound !== undefined) this.#sessions.delete(peer.inbound.key);
    peer.inbound = undefined;
    if (peer.outbound !== undefined) {
      peer.outbound = undefined;
      peer.outbox.open = false;
      peer.outbox.dropAll('unreachable');
      this.#sayHello(peer);
    }
  }

  #heard(peer: ZmqPeer): void {
    peer.lastHeardMs = this.#clock.monotonicMs();
    if (peer.up || peer.inbound === undefined || peer.inbound.incarnation !== peer.outbound) return;
    peer.up = true;
    peer.outbox.patient = true;
    peer.incarnation = peer.outbound;
    this.#events?.onPeerUp(peer.node, peer.outbound);
  }

  #down(peer: ZmqPeer, reason: 'timeout' | 'closed' | 'restarted'): void {
    if (!peer.up || peer.incarnation === undefined) return;
    peer.up = false;
    peer.outbox.patient = false;
    peer.downSinceMs = this.#clock.monotonicMs();
    if (peer.outbound === undefined) peer.outbox.dropAll('unreachable');
    this.#events?.onPeerDown(peer.node, peer.incarnation, reason);
  }

  #goodbye(peer: ZmqPeer): void {
    if (!peer.configured) {
      this.#forget(peer, 'unreachable');
      return;
    }
    this.#dropSessions(peer);
    peer.outbox.dropAll('unreachable');
    this.#down(peer, 'closed');
  }

  #forget(peer: ZmqPeer, reason: DropReason): void {
    this.#peers.delete(peer.node);
    if (peer.inbound !== undefined) this.#sessions.delete(peer.inbound.key);
    peer.close(reason, this.#passes(peer.node, 'Handshake') ? controlFrame('goodbye') : undefined);
    this.#down(peer, 'closed');
  }

  #dropSessions(peer: ZmqPeer): void {
    if (peer.inbound !== undefined) this.#sessions.delete(peer.inbound.key);
    peer.inbound = undefined;
    peer.outbound = undefined;
    peer.outbox.open = false;
  }

  #letters(peer: ZmqPeer, incarnation: Incarnation, chunks: readonly Buffer[]): void {
    const nowMs = this.#clock.nowMs();
    for (const chunk of chunks) {
      for (const envelope of decodeEnvelopes(chunk, this.#limits.envelopeBytesMax)) {
        if (this.#closed) return;
        this.#lamport = Math.max(this.#lamport, envelope.lamport);
        if (
          envelope.from !== peer.node ||
          envelope.incarnation !== incarnation ||
          envelope.to !== this.node
        ) {
          this.#forged(peer, envelope);
        } else if (envelope.deadlineMs > 0 && nowMs >= envelope.deadlineMs) {
          this.#events?.onDrop(envelope, 'expired');
        } else {
          this.counters.received += 1;
          this.#events?.onEnvelope(envelope);
        }
      }
    }
  }

  #refusal(envelope: Envelope): DropReason | undefined {
    if (this.#closed) return 'closed';
    const peer = this.#peers.get(envelope.to);
    if (peer === undefined || !this.#takes(peer)) return 'unreachable';
    if (envelope.deadlineMs > 0 && this.#clock.nowMs() >= envelope.deadlineMs) return 'expired';
    return undefined;
  }

  /** A peer that talks to us but has not welcomed us yet will in a moment: an answer to its first letter waits for that. */
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
      this.counters.sent += 1;
      peer.outbox.push(envelope, bytes);
    }
  }

  #later(delayMs: number, run: () => void, full: () => void): void {
    if (this.#delayed >= this.#limits.delayedEnvelopesMax) {
      full();
      return;
    }
    this.#delayed += 1;
    this.#clock.setTimer(delayMs, () => {
      this.#delayed -= 1;
      run();
    });
  }

  /** Frames of our own pass the same faults as letters: a cut link has no heartbeat. */
  #passes(to: NodeId, kind: 'Handshake' | 'Heartbeat'): boolean {
    return this.#policy.judge({ from: this.node, to, kind }, this.#options.random).type === 'deliver';
  }

  #control(peer: ZmqPeer, type: FrameType, content?: object): void {
    const kind = type === 'beat' ? 'Heartbeat' : 'Handshake';
    if (this.#passes(peer.node, kind)) peer.outbox.control(controlFrame(type, content));
  }

  #sayHello(peer: ZmqPeer): void {
    const { peerTimeoutMs, heartbeatMs } = this.#limits;
    peer.helloDelayMs = Math.min(
      peerTimeoutMs,
      peer.helloDelayMs === 0 ? heartbeatMs / 2 : peer.helloDelayMs * 2,
    );
    peer.helloAtMs = this.#clock.monotonicMs() + peer.helloDelayMs;
    this.#control(peer, 'hello', {
      protocol: linkProtocolVersion,
      cluster: this.#options.clusterId,
      node: this.node,
      incarnation: this.incarnation,
      address: this.#address,
    });
  }

  #reply(routingId: Buffer, to: NodeId | undefined, type: FrameType, content?: object): void {
    if (to !== undefined && !this.#passes(to, 'Handshake')) return;
    if (this.#replies.length >= repliesMax) return;
    this.#replies.push([routingId, ...controlFrame(type, content)]);
    if (!this.#replying) void this.#writeReplies();
  }

  /** The ROUTER's one writer loop. */
  async #writeReplies(): Promise<void> {
    this.#replying = true;
    for (;;) {
      const reply = this.#replies.shift();
      if (reply === undefined || this.#closed || this.#router === undefined) break;
      try {
        await this.#router.send(reply);
      } catch {
        // EHOSTUNREACH or EAGAIN: the connection is gone or does not read; its hello comes again.
      }
    }
    this.#replying = false;
  }

  #addPeer(node: NodeId, address: string, configured: boolean): ZmqPeer {
    const around = this.#around;
    assert(around !== undefined);
    const known = this.#peers.get(node);
    if (known !== undefined) {
      known.configured ||= configured;
      if (known.address !== address) known.redial(address);
      return known;
    }
    if (this.#peers.size >= this.#limits.peersMax) {
      throw new TransportError(
        'bad-option',
        `${this.node} has ${this.#peers.size} peers, which is its limit`,
      );
    }
    const peer = new ZmqPeer(node, address, configured, around);
    this.#peers.set(node, peer);
    return peer;
  }

  #surroundings(zmq: typeof import('zeromq'), context: Context): PeerSurroundings {
    return {
      zmq,
      context,
      clock: this.#clock,
      limits: this.#limits,
      security: (node) => this.#security(node),
      connected: (peer) => {
        peer.helloDelayMs = 0;
        this.#sayHello(peer);
      },
      disconnected: (peer) => this.#disconnected(peer),
      frame: (peer, parts) => {
        if (this.#closed) return;
        try {
          this.#answer(peer, parts);
        } catch (error) {
          if (!(error instanceof TransportError)) throw error;
          this.#garbage(error, peer.node);
        }
      },
      refused: (peer, error) => this.#refusedBy(peer, 'wrong-identity', `${codeOf(error)}: ${error.message}`),
      drop: (envelope, reason) => this.#drop(envelope, reason),
    };
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
    peer.outbound = undefined;
    peer.outbox.open = false;
    peer.grace?.cancel();
    peer.grace = this.#clock.setTimer(this.#limits.disconnectGraceMs, () => {
      if (this.#closed || peer.outbound !== undefined || this.#peers.get(peer.node) !== peer) return;
      this.#dropSessions(peer);
      peer.outbox.dropAll('unreachable');
      this.#down(peer, 'closed');
    });
  }

  #tick(): void {
    const nowMs = this.#clock.monotonicMs();
    const { heartbeatMs, peerTimeoutMs, peerForgetMs } = this.#limits;
    // When this process itself slept, what the peers sent meanwhile has not been read yet: give it one more round.
    const slept = nowMs - this.#tickAtMs > peerTimeoutMs / 2;
    this.#tickAtMs = nowMs;
    this.#remarks = 0;
    for (const peer of this.#peers.values()) {
      if (peer.up && !slept && nowMs - peer.lastHeardMs >= peerTimeoutMs) this.#down(peer, 'timeout');
      if (!peer.up && !peer.configured && nowMs - peer.downSinceMs >= peerForgetMs) {
        this.#forget(peer, 'unreachable');
      } else if (peer.outbound !== undefined) {
        if (nowMs - peer.outbox.lastSentMs >= heartbeatMs * 0.75) this.#control(peer, 'beat');
      } else if (peer.connected && nowMs >= peer.helloAtMs) {
        this.#sayHello(peer);
      }
    }
    this.#tickTimer = this.#clock.setTimer(heartbeatMs / 2, () => this.#tick());
  }

  #refusedBy(peer: ZmqPeer, code: TransportErrorCode, message: string): void {
    peer.outbound = undefined;
    peer.outbox.open = false;
    if (peer.refusal?.message === message) return;
    peer.refusal = { code, message };
    this.#remark('link.refused-by-peer', { peer: peer.node, address: peer.address, code, why: message });
  }

  #garbage(error: TransportError, peer: NodeId | undefined): void {
    this.counters.garbage += 1;
    this.#remark('link.garbage', {
      code: error.code,
      why: error.message,
      ...(peer === undefined ? {} : { peer }),
    });
  }

  #forged(peer: ZmqPeer, envelope: Envelope): void {
    this.counters.forged += 1;
    this.#record({
      type: 'drop',
      id: envelope.id,
      trace: envelope.trace,
      kind: envelope.kind,
      from: `kabuki://${envelope.from}${envelope.fromPath}`,
      to: `kabuki://${envelope.to}${envelope.toPath}`,
      reason: 'wrong-identity',
      detail: { peer: peer.node },
    });
  }

  #remark(kind: string, detail: Readonly<Record<string, string>>): void {
    this.#remarks += 1;
    if (this.#remarks <= remarksMax) this.#record({ type: 'note', kind, detail });
  }

  #record(event: Omit<JournalEvent, 'at' | 'lamport' | 'node'>): void {
    this.#journal.record({ ...event, at: this.#clock.nowMs(), lamport: this.#lamport, node: this.node });
  }

  /** In a later turn: whoever sends is never called back from inside `send`. */
  #drop(envelope: Envelope, reason: DropReason): void {
    this.#clock.defer(() => this.#events?.onDrop(envelope, reason));
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.name;
}
