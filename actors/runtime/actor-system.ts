/**
 * The actor system of one node: the registry of paths, the routing between mailboxes and the link, and what the
 * runtimes of other nodes say. Actors, supervision, asks, callbacks and death watch have files of their own.
 */
import { strict as assert } from 'node:assert';
import type {
  DropReason,
  Envelope,
  EnvelopeId,
  FaultPolicy,
  Incarnation,
  Journal,
  Link,
  LinkEvents,
  NodeId,
} from '../../transport/index.js';
import type { ChildSpec, SupervisorSpec, TerminationReason, TreeNode } from './actor.js';
import { Asks } from './asks.js';
import { Callbacks } from './callbacks.js';
import { Cell } from './cell.js';
import { asControl, controlPath, type ControlMessage } from './control.js';
import { DeathWatch } from './death-watch.js';
import type { Endpoint } from './endpoint.js';
import type { Engine } from './engine.js';
import type { Env } from './env.js';
import { Frame, Frames } from './frame.js';
import { recordFaults } from './fault-record.js';
import type { Host, UndeliverableReason } from './host.js';
import { limits } from './limits.js';
import { Recorder } from './recorder.js';
import { type ActorRef, actorRef, addressOf, type Message } from './ref.js';
import { Root } from './root.js';
import { Supervisor } from './supervisor.js';
import type { ActorSystem, Cause, Sender } from './system.js';
import { deferred } from './waiting.js';

export interface ActorSystemOptions {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly env: Env;
  readonly link: Link;
  readonly journal: Journal;
  readonly faults: FaultPolicy;
  readonly engine: Engine;
  /** Where the other nodes listen, known from the start; more with `system.link.addPeer`. */
  readonly cluster?: ReadonlyMap<NodeId, string>;
  /** Paths of the actors that other nodes may write to; absent: all. Replies and what is watched come through in any case. */
  readonly doors?: readonly string[];
}

/** What the runtime knows beyond the interface; for tests, metrics and the harness. */
export interface RunningActorSystem extends ActorSystem {
  /** Resolves when the link receives; rejects when it cannot. Messages to other nodes wait until then. */
  readonly started: Promise<void>;
  /** The last `deadLettersKept`, oldest first. */
  readonly deadLetters: readonly DeadLetter[];
  readonly deadLetterCount: number;
}

export interface DeadLetter {
  readonly envelope: Envelope;
  readonly reason: UndeliverableReason;
}

export function createActorSystem(options: ActorSystemOptions): RunningActorSystem {
  return new LocalSystem(options);
}

class LocalSystem implements RunningActorSystem, Host, LinkEvents {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly env: Env;
  readonly link: Link;
  readonly journal: Journal;
  readonly faults: FaultPolicy;
  readonly engine: Engine;
  readonly recorder: Recorder;
  readonly frames: Frames;
  readonly started: Promise<void>;
  readonly whenFailed: Promise<Error>;
  readonly #doors: ReadonlySet<string> | undefined;
  readonly #forgetFaults: () => void;
  readonly #root: Root;
  readonly #asks: Asks;
  readonly #callbacks: Callbacks;
  readonly #watches: DeathWatch;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #peers = new Map<NodeId, Incarnation>();
  readonly #nodeDown = new Map<NodeId, Set<() => void>>();
  readonly #deadLetters: DeadLetter[] = [];
  #deadLetterCount = 0;
  #lives = 0;
  /** Envelopes that wait for the link to start; undefined once it has. */
  #outbox: Envelope[] | undefined = [];
  #stopping: Promise<void> | undefined;

  constructor(options: ActorSystemOptions) {
    const { node, incarnation, env, link, journal, faults, engine, cluster, doors } = options;
    assert(link.node === node && link.incarnation === incarnation, `the link is not ${node}/${incarnation}`);
    this.node = node;
    this.incarnation = incarnation;
    this.env = env;
    this.link = link;
    this.journal = journal;
    this.faults = faults;
    this.engine = engine;
    this.#doors = doors && new Set(doors);
    this.recorder = new Recorder(node, incarnation, journal, env.clock, env.random);
    this.frames = new Frames(this, this.recorder.enabled);
    this.#forgetFaults = recordFaults(faults, this.recorder);
    this.#callbacks = new Callbacks(this);
    this.#asks = new Asks(this, {
      find: (path) => this.#endpoints.get(path),
      compose: (fromPath, to, message, deadlineMs) => this.#compose(fromPath, to, message, deadlineMs),
      route: (envelope) => this.#route(envelope),
      watchAtEnd: (peer, path, fire) => this.#watches.watch(peer, path, true, fire),
    });
    this.#watches = new DeathWatch(
      this,
      (to, message) => this.#sendControl(to, message),
      (path) => this.#endpoints.get(path),
    );
    const failed = deferred<Error>();
    this.whenFailed = failed.promise;
    this.#root = new Root(this, (error) => {
      failed.resolve(error);
      void this.stop();
    });
    for (const [peer, address] of cluster ?? []) if (peer !== node) link.addPeer(peer, address);
    this.started = this.frames.run(undefined, () => link.start(this)).then(() => this.#flushOutbox());
    this.started.catch((error: unknown) => {
      failed.resolve(new Error(`the link of ${node} cannot start`, { cause: error }));
      void this.stop();
    });
  }

  get system(): ActorSystem {
    return this;
  }

  get deadLetters(): readonly DeadLetter[] {
    return this.#deadLetters;
  }

  get deadLetterCount(): number {
    return this.#deadLetterCount;
  }

  spawn<M extends Message>(spec: ChildSpec<M>): ActorRef<M> {
    assert(!this.#stopping, `${this.node} is stopping, cannot spawn ${spec.id}`);
    return actorRef(this.node, this.#root.spawn(spec as unknown as ChildSpec<never>));
  }

  supervise(spec: SupervisorSpec): void {
    assert(!this.#stopping, `${this.node} is stopping, cannot start ${spec.id}`);
    this.#root.supervise(spec);
  }

  tell<T extends Message>(ref: ActorRef<T>, message: T): void {
    this.sendFrom(this.frames.current?.path ?? '/', ref, message);
  }

  ask<T extends Message, R extends Message>(
    ref: ActorRef<T>,
    request: (replyTo: ActorRef<R>) => T,
    options: { readonly timeoutMs: number },
  ): Promise<R> {
    return this.askFrom(this.frames.current?.path ?? '/', ref, request, options.timeoutMs);
  }

  callback<M extends Message>(
    prefix: string,
    receive: (message: M, sender: Sender) => void,
  ): { readonly ref: ActorRef<M>; close(): void } {
    return this.#callbacks.open(prefix, receive);
  }

  onNodeDown(node: NodeId, listener: () => void): () => void {
    const listeners = this.#nodeDown.get(node) ?? new Set();
    this.#nodeDown.set(node, listeners);
    // One entry per call, also for a listener that is given twice.
    const entry = () => listener();
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  sender(): Sender | undefined {
    return this.frames.current?.sender;
  }

  cause(): Cause | undefined {
    const cause = this.frames.current?.cause;
    return cause && (cause.id === undefined ? { trace: cause.trace } : { id: cause.id, trace: cause.trace });
  }

  withCause<T>(cause: Cause | undefined, work: () => T): T {
    const frame = this.frames.current;
    const next = cause ?? { trace: this.recorder.newTrace() };
    return this.frames.run(new Frame(this, frame?.path ?? '/', next, frame?.envelope), work);
  }

  refuse(why: string): void {
    const frame = this.frames.current;
    assert(frame?.envelope, `${frame?.path ?? this.node} handles no message that it could refuse`);
    this.undeliverable(frame.envelope, 'malformed', why);
  }

  note(actor: string, kind: string, detail?: Readonly<Record<string, string | number | boolean>>): void {
    const frame = this.frames.current;
    this.recorder.note(actor, kind, frame?.cause, frame, detail);
  }

  tree(): readonly TreeNode[] {
    return this.#root.tree();
  }

  crash(path: string, why: string): boolean {
    return this.#root.crash(path, new Error(`crashed on purpose: ${why}`));
  }

  stop(): Promise<void> {
    this.#stopping ??= this.frames.run(undefined, async () => {
      await this.#root.stop();
      this.#asks.close();
      this.#watches.close();
      this.#callbacks.close();
      this.engine.close();
      await this.link.close();
      this.#forgetFaults();
      await this.journal.flush();
    });
    return this.#stopping;
  }

  // For cells, supervisors, asks and watches (Host)

  nextLife(): number {
    this.#lives += 1;
    return this.#lives;
  }

  register(endpoint: Endpoint): void {
    assert(
      !this.#endpoints.has(endpoint.path),
      `${addressOf({ ...endpoint, node: this.node })} exists already`,
    );
    this.#endpoints.set(endpoint.path, endpoint);
  }

  unregister(endpoint: Endpoint): void {
    if (this.#endpoints.get(endpoint.path) === endpoint) this.#endpoints.delete(endpoint.path);
  }

  sendFrom(fromPath: string, to: ActorRef<never>, message: Message): void {
    this.#route(this.#compose(fromPath, to, message, 0));
  }

  askFrom<R extends Message>(
    fromPath: string,
    to: ActorRef<never>,
    request: (replyTo: ActorRef<R>) => Message,
    timeoutMs: number,
  ): Promise<R> {
    return this.#asks.ask(fromPath, to, request, timeoutMs);
  }

  toSelf(path: string, message: Message, cause: Cause | undefined): Envelope {
    const envelope = this.recorder.envelope(cause, path, { node: this.node, path }, message, 0);
    this.recorder.sent(envelope);
    return envelope;
  }

  watch(ref: ActorRef<never>, fire: (reason: TerminationReason) => void): () => void {
    if (ref.node !== this.node) return this.#watches.watch(ref.node, ref.path, false, fire);
    const endpoint = this.#endpoints.get(ref.path);
    if (endpoint) return endpoint.onGone.add(fire);
    fire('not-found');
    return () => {};
  }

  family(path: string, onFailed: (error: Error) => void): Supervisor {
    return Supervisor.family(this, path, { onFailed, onEmpty: () => {} });
  }

  undeliverable(envelope: Envelope, reason: UndeliverableReason, why?: string): void {
    if (reason === 'no-actor') this.recorder.dead(envelope, reason);
    else this.recorder.dropped(envelope, reason, why);
    this.#deadLetterCount += 1;
    this.#deadLetters.push({ envelope, reason });
    if (this.#deadLetters.length > limits.deadLettersKept) this.#deadLetters.shift();
    if (envelope.from === this.node) this.#letterDied(envelope.id, this.node, reason);
    else this.#sendControl(envelope.from, { type: 'DeadLetter', id: envelope.id, reason });
  }

  // From the link (LinkEvents)

  onEnvelope(envelope: Envelope): void {
    if (this.#stopping) return;
    const incarnation = this.#peers.get(envelope.from);
    if (incarnation !== undefined && envelope.incarnation < incarnation) {
      this.recorder.dropped(envelope, 'stale-incarnation');
      return;
    }
    this.recorder.received(envelope);
    if (envelope.deadlineMs > 0 && this.env.clock.nowMs() > envelope.deadlineMs) {
      this.recorder.dropped(envelope, 'expired');
      return;
    }
    if (envelope.toPath === controlPath) this.#onControl(envelope);
    else this.#deliver(envelope);
  }

  onDrop(envelope: Envelope, reason: DropReason): void {
    this.recorder.dropped(envelope, reason);
    // What a fault swallowed the sender must not know, or the fault would be kinder than the network.
    if (envelope.from !== this.node || reason === 'fault') return;
    const control = envelope.toPath === controlPath ? asControl(envelope.body) : undefined;
    if (control?.type === 'Watch' && (reason === 'unreachable' || reason === 'closed')) {
      // The watch of an ask may stay: the request right behind it shares its fate, and knows that it did not leave.
      this.#watches.undelivered(control.items.filter((item) => !item.atEnd));
    }
    const refused = reason === 'queue-full' || reason === 'too-large';
    this.#asks.undelivered(
      envelope.id,
      this.node,
      refused ? 'Refused' : 'Unreachable',
      `it did not leave (${reason})`,
    );
  }

  onPeerUp(peer: NodeId, incarnation: Incarnation): void {
    const before = this.#peers.get(peer);
    if (before !== undefined && before !== incarnation) this.#nodeLost(peer);
    this.#peers.set(peer, incarnation);
    this.note('/', 'peer-up', { peer, incarnation });
  }

  onPeerDown(peer: NodeId, incarnation: Incarnation, reason: 'timeout' | 'closed' | 'restarted'): void {
    this.note('/', 'peer-down', { peer, incarnation, reason });
    const current = this.#peers.get(peer);
    // News of an incarnation that was already replaced.
    if (current !== undefined && current > incarnation) return;
    this.#nodeLost(peer);
  }

  #nodeLost(peer: NodeId): void {
    this.#watches.nodeDown(peer);
    const listeners = this.#nodeDown.get(peer);
    this.#nodeDown.delete(peer);
    for (const listener of listeners ?? []) {
      listeners?.delete(listener);
      this.frames.run(undefined, listener);
    }
  }

  #onControl(envelope: Envelope): void {
    const { from } = envelope;
    const message = asControl(envelope.body);
    if (!message) {
      this.recorder.dropped(envelope, 'unknown-control');
      return;
    }
    switch (message.type) {
      case 'Watch':
        this.#watches.onWatch(from, message.items);
        break;
      case 'Watching':
        this.#watches.onWatching(from, message.items);
        break;
      case 'Unwatch':
        this.#watches.onUnwatch(from, message.watchIds);
        break;
      case 'Terminated':
        this.#watches.onTerminated(from, message.watchId, message.reason);
        break;
      case 'DeadLetter':
        this.#letterDied(message.id, from, message.reason);
        break;
      default:
        message satisfies never;
    }
  }

  #letterDied(id: EnvelopeId, by: NodeId, reason: UndeliverableReason): void {
    if (reason === 'no-actor') this.#asks.undelivered(id, by, 'Dead', 'no such actor');
    else if (reason === 'no-door')
      this.#asks.undelivered(id, by, 'Refused', 'other nodes may not write to it');
    else if (reason === 'malformed') this.#asks.undelivered(id, by, 'Refused', 'it cannot read the request');
    else this.#asks.undelivered(id, by, 'Refused', `no room (${reason})`);
  }

  // Routing

  #compose(fromPath: string, to: ActorRef<never>, message: Message, deadlineMs: number): Envelope {
    return this.recorder.envelope(this.frames.current?.cause, fromPath, to, message, deadlineMs);
  }

  #route(envelope: Envelope): void {
    this.recorder.sent(envelope);
    if (envelope.to === this.node) this.#deliver(envelope);
    else this.#transmit(envelope);
  }

  #deliver(envelope: Envelope): void {
    const endpoint = this.#endpoints.get(envelope.toPath);
    if (endpoint === undefined) this.undeliverable(envelope, 'no-actor');
    else if (this.#isDoor(endpoint, envelope)) endpoint.deliver(envelope);
    else this.undeliverable(envelope, 'no-door');
  }

  /** What actors of one node say to each other is nobody else's to say. */
  #isDoor(endpoint: Endpoint, { from, toPath }: Envelope): boolean {
    if (this.#doors === undefined || from === this.node) return true;
    return this.#doors.has(toPath) || !(endpoint instanceof Cell);
  }

  #transmit(envelope: Envelope): void {
    if (!this.#outbox) this.link.send(envelope);
    else if (this.#outbox.length < limits.outboxDepthMax) this.#outbox.push(envelope);
    else this.onDrop(envelope, 'queue-full');
  }

  #flushOutbox(): void {
    const waiting = this.#outbox ?? [];
    this.#outbox = undefined;
    for (const envelope of waiting) this.link.send(envelope);
  }

  #sendControl(to: NodeId, message: ControlMessage): void {
    const envelope = this.recorder.envelope(
      this.frames.current?.cause,
      controlPath,
      { node: to, path: controlPath },
      message,
      0,
    );
    this.recorder.sent(envelope);
    this.#transmit(envelope);
  }
}
