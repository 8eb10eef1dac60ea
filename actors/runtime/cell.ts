/**
 * An actor's place in the system: its path and mailbox, which outlive restarts, and its current life (state,
 * timers, watches, children), which does not. One message at a time, also when a handler returns a promise.
 * While a restart is backing off, messages wait in the (bounded) mailbox; they go to dead letters once the
 * actor is parked or retired.
 */
import { strict as assert } from 'node:assert';
import type { Envelope } from '../../transport/index.js';
import type { Actor, ChildSpec, StopReason, TreeNode } from './actor.js';
import { Context } from './context.js';
import { type Endpoint, Farewell } from './endpoint.js';
import type { Activation } from './engine.js';
import { Frame } from './frame.js';
import type { Host } from './host.js';
import { limits } from './limits.js';
import { type Letter, Mailbox, type SystemItem } from './mailbox.js';
import type { Message } from './ref.js';
import type { Supervisor } from './supervisor.js';
import type { Supervised, SupervisedParent } from './supervised.js';
import { bounded, type Deferred, deferred } from './waiting.js';

/** One start of an actor up to its end. */
interface Life {
  readonly number: number;
  readonly definition: Actor<unknown, Message>;
  readonly context: Context;
  value: unknown;
  started: boolean;
  ended: boolean;
}

export class Cell implements Supervised, Endpoint {
  readonly id: string;
  readonly path: string;
  readonly restart: 'permanent' | 'transient' | 'temporary';
  readonly onEnd = new Farewell();
  readonly onGone = new Farewell();
  /** Number of the current life, or of the coming one. */
  life: number;
  readonly #host: Host;
  readonly #spec: ChildSpec<never>;
  readonly #parent: SupervisedParent;
  readonly #mailbox: Mailbox;
  readonly #activation: Activation;
  #current: Life | undefined;
  #state: TreeNode['state'] = 'starting';
  #starts = 0;
  #scheduled = false;
  /** An asynchronous `initial` or `receive` is under way. */
  #busy = false;
  #registered = false;
  /** The life is over, its children and its `stopped` hook are not. */
  #ending = false;
  #supervisorStops = false;
  #starting: Deferred | undefined;
  /** From `start` until the life is over. */
  #gone: Deferred | undefined;

  constructor(host: Host, parent: SupervisedParent, path: string, spec: ChildSpec<never>) {
    this.id = spec.id;
    this.path = path;
    this.restart = spec.restart ?? 'permanent';
    this.life = host.nextLife();
    this.#host = host;
    this.#spec = spec;
    this.#parent = parent;
    this.#mailbox = new Mailbox(spec.mailboxDepthMax ?? limits.mailboxDepthMax);
    this.#register();
    this.#activation = host.engine.open(path, () => this.#drain());
  }

  get alive(): boolean {
    return this.#gone !== undefined;
  }

  /** Supervises what the current life has spawned. */
  get family(): Supervisor | undefined {
    return this.#current?.context.family;
  }

  deliver(envelope: Envelope): void {
    if (this.#mailbox.offer({ envelope, wanted: undefined })) this.#schedule();
    else this.#host.undeliverable(envelope, 'mailbox-full');
  }

  /** A message that the actor itself set going (timer, pipeToSelf): never refused. */
  deliverOwn(letter: Letter): void {
    this.#mailbox.pushOwn(letter);
    this.#schedule();
  }

  /** A watched actor is gone: first in line. */
  deliverTerminated(letter: Letter): void {
    this.#pushSystem({ type: 'terminated', life: this.life, letter });
  }

  /** Resolves when `initial` is done, or when the life ended before that. */
  start(): Promise<void> {
    assert(!this.alive, `${this.path} is already started`);
    this.#register();
    this.#state = 'starting';
    this.#supervisorStops = false;
    this.#gone = deferred();
    this.#starting = deferred();
    this.#pushSystem({ type: 'start', life: this.life });
    return this.#starting.promise;
  }

  /** Ends the actor after the current message, or after `shutdownMs` without waiting for it. */
  stop(): Promise<void> {
    const gone = this.#gone;
    if (!gone) return Promise.resolve();
    if (!this.#supervisorStops) {
      this.#supervisorStops = true;
      if (!this.#ending) {
        const life = this.life;
        this.#pushSystem({ type: 'stop', life });
        const timer = this.#host.system.env.clock.setTimer(this.#shutdownMs, () => {
          if (this.#current && this.life === life) this.#end(this.#current, 'shutdown', undefined);
        });
        void gone.promise.then(() => timer.cancel());
      }
    }
    return gone.promise;
  }

  /** As if the handler had thrown. Does not wait for an asynchronous handler, which may never end. */
  crash(error: Error): void {
    if (this.#ending) return;
    if (this.#busy && this.#current) this.#end(this.#current, 'crash', error);
    else this.#pushSystem({ type: 'crash', life: this.life, error });
  }

  backingOff(): void {
    this.#state = 'backing-off';
  }

  /** Gone, but may be started again by a group strategy: messages become dead letters. */
  park(): void {
    this.#state = 'stopped';
    if (this.#registered) this.#host.unregister(this);
    this.#registered = false;
    for (let letter = this.#mailbox.shiftUser(); letter; letter = this.#mailbox.shiftUser()) {
      if (!letter.wanted) this.#host.undeliverable(letter.envelope, 'no-actor');
    }
    this.onEnd.fire('not-found');
    this.onGone.fire('not-found');
  }

  retire(): void {
    this.park();
    this.#activation.close();
  }

  tree(): TreeNode {
    return {
      node: this.#host.system.node,
      path: this.path,
      state: this.#state,
      restarts: Math.max(0, this.#starts - 1),
      mailboxDepth: this.#mailbox.depth,
      children: this.family?.tree().children ?? [],
    };
  }

  get #shutdownMs(): number {
    return this.#spec.shutdownMs ?? limits.shutdownMs;
  }

  #register(): void {
    if (!this.#registered) this.#host.register(this);
    this.#registered = true;
  }

  // Turns

  #pushSystem(item: SystemItem): void {
    this.#mailbox.pushSystem(item);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#busy) return;
    this.#scheduled = true;
    this.#activation.schedule();
  }

  #drain(): void {
    this.#scheduled = false;
    for (let n = 0; n < limits.messagesPerTurnMax && !this.#busy; n++) {
      const item = this.#mailbox.shiftSystem();
      if (item) {
        if (item.life === this.life) this.#obey(item);
        continue;
      }
      if (!this.#current?.started) return;
      const letter = this.#mailbox.shiftUser();
      if (!letter) return;
      this.#receive(this.#current, letter);
    }
    if (!this.#mailbox.isEmpty) this.#schedule();
  }

  #obey(item: SystemItem): void {
    const life = this.#current;
    switch (item.type) {
      case 'start':
        // Stopped again before it had its first turn: nothing has begun that could end.
        if (this.#supervisorStops) this.#settle();
        else this.#begin();
        break;
      case 'stop':
        if (life) this.#end(life, 'shutdown', undefined);
        break;
      case 'crash':
        if (life) this.#end(life, 'crash', item.error);
        break;
      case 'terminated':
        if (life?.started) this.#receive(life, item.letter);
        break;
      default:
        item satisfies never;
    }
  }

  // One life

  #begin(): void {
    const { recorder } = this.#host;
    recorder.lifecycle(this.#starts === 0 ? 'spawn' : 'restart', this.path, {});
    this.#starts += 1;
    const frame = new Frame(this.#host.system, this.path, { trace: recorder.newTrace() }, undefined);
    let life: Life | undefined;
    try {
      const definition = this.#spec.start() as unknown as Actor<unknown, Message>;
      const context = new Context(this.#host, this);
      life = { number: this.life, definition, context, value: undefined, started: false, ended: false };
      this.#current = life;
      const value = this.#host.frames.run(frame, (l: Life) => l.definition.initial(l.context), life);
      if (value instanceof Promise) {
        this.#await(life, value, (l, v) => this.#started(l, v));
      } else {
        this.#started(life, value);
      }
    } catch (error) {
      // A `start` that throws before there is a definition has nothing to stop.
      life ??= this.#current = {
        number: this.life,
        definition: { initial: () => undefined, receive: () => undefined },
        context: new Context(this.#host, this),
        value: undefined,
        started: false,
        ended: false,
      };
      this.#end(life, 'crash', asError(error));
    }
  }

  #started(life: Life, value: unknown): void {
    life.value = value;
    life.started = true;
    this.#state = 'running';
    this.#starting?.resolve();
    this.#starting = undefined;
    if (life.context.stopRequested) this.#end(life, 'normal', undefined);
  }

  #receive(life: Life, letter: Letter): void {
    const { envelope } = letter;
    const { frames, recorder, system } = this.#host;
    if (letter.wanted && !letter.wanted()) return;
    if (envelope.deadlineMs > 0 && system.env.clock.nowMs() > envelope.deadlineMs) {
      recorder.dropped(envelope, 'expired');
      return;
    }
    const startedMs = recorder.handling(envelope);
    const frame = new Frame(system, this.path, envelope, envelope);
    try {
      const value = frames.run(frame, runReceive, life, envelope.body as Message);
      if (value instanceof Promise) {
        this.#await(life, value, (l, v) => this.#handled(l, v, envelope, startedMs), envelope);
      } else {
        this.#handled(life, value, envelope, startedMs);
      }
    } catch (error) {
      this.#end(life, 'crash', asError(error), envelope);
    }
  }

  #handled(life: Life, value: unknown, envelope: Envelope, startedMs: number): void {
    life.value = value;
    this.#host.recorder.handled(envelope, startedMs);
    if (life.context.stopRequested) this.#end(life, 'normal', undefined);
  }

  #await(
    life: Life,
    promise: Promise<unknown>,
    proceed: (life: Life, value: unknown) => void,
    during?: Envelope,
  ): void {
    this.#busy = true;
    promise.then(
      (value) => {
        if (life.ended) return;
        this.#busy = false;
        proceed(life, value);
        if (!this.#mailbox.isEmpty) this.#schedule();
      },
      (error: unknown) => {
        if (life.ended) {
          const detail = { error: asError(error).message };
          this.#host.recorder.note(this.path, 'failed-after-end', undefined, undefined, detail);
        } else {
          this.#end(life, 'crash', asError(error), during);
        }
      },
    );
  }

  #end(life: Life, reason: StopReason, error: Error | undefined, during?: Envelope): void {
    assert(!life.ended && this.#current === life);
    life.ended = true;
    this.#current = undefined;
    this.#ending = true;
    this.#busy = false;
    this.#state = 'stopped';
    this.life = this.#host.nextLife();
    life.context.end();
    if (error) this.#host.recorder.crashed(this.path, error, during);
    const termination = reason === 'crash' ? 'crash' : 'normal';
    const gone = this.onGone.take();
    this.onEnd.fire(termination);
    void this.#finish(life, reason, error).then(() => gone(termination));
  }

  async #finish(life: Life, reason: StopReason, error: Error | undefined): Promise<void> {
    const { frames, system, recorder } = this.#host;
    await life.context.family?.stop();
    life.context.family?.retire();
    if (life.definition.stopped) {
      const frame = new Frame(system, this.path, { trace: recorder.newTrace() }, undefined);
      try {
        const work = frames.run(frame, () => life.definition.stopped?.(life.value, reason));
        if (work && !(await bounded(system.env.clock, work, this.#shutdownMs))) {
          recorder.note(this.path, 'stopped-hook-abandoned', undefined, undefined, {
            shutdownMs: this.#shutdownMs,
          });
        }
      } catch (thrown) {
        recorder.note(this.path, 'stopped-hook-threw', undefined, undefined, {
          error: asError(thrown).message,
        });
      }
    }
    life.context.gone();
    recorder.lifecycle('stop', this.path, { reason });
    this.#settle();
    if (!this.#supervisorStops) this.#parent.ended(this, reason, error);
  }

  /** Down: whoever waits for the start or for the end goes on. */
  #settle(): void {
    const gone = this.#gone;
    this.#gone = undefined;
    this.#ending = false;
    this.#state = 'stopped';
    this.#starting?.resolve();
    this.#starting = undefined;
    gone?.resolve();
  }
}

function runReceive(life: Life, message: Message): unknown {
  return life.definition.receive(life.value, message, life.context as never);
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`not an error was thrown: ${String(thrown)}`);
}
