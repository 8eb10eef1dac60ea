/**
 * Refs whose messages go to a function instead of a mailbox: streams, and code outside of actors. Local messages
 * wait for a turn of their own, so that a sender is never re-entered; remote ones arrive in one.
 */
import type { Envelope } from '../../transport/index.js';
import type { Activation } from './engine.js';
import { type Endpoint, Farewell } from './endpoint.js';
import { Frame } from './frame.js';
import type { Host } from './host.js';
import { limits } from './limits.js';
import { Fifo } from './mailbox.js';
import { type ActorRef, actorRef, type Message } from './ref.js';
import type { Sender } from './system.js';

export class Callbacks {
  readonly #host: Host;
  readonly #activation: Activation;
  readonly #backlog = new Fifo<{ readonly endpoint: Callback; readonly envelope: Envelope }>();
  #scheduled = false;
  #seq = 0;

  constructor(host: Host) {
    this.#host = host;
    this.#activation = host.engine.open('/callbacks', () => this.#drain());
  }

  open<M extends Message>(
    prefix: string,
    receive: (message: M, sender: Sender) => void,
  ): { readonly ref: ActorRef<M>; close(): void } {
    this.#seq += 1;
    const path = `/${prefix.replace(/^\/+/, '')}/${this.#host.system.incarnation}-${this.#seq}`;
    const endpoint = new Callback(
      this.#host,
      this,
      path,
      receive as (message: Message, sender: Sender) => void,
    );
    this.#host.register(endpoint);
    return { ref: actorRef(this.#host.system.node, path), close: () => endpoint.close('normal') };
  }

  enqueue(endpoint: Callback, envelope: Envelope): void {
    if (this.#backlog.length >= limits.callbackBacklogMax) {
      this.#host.undeliverable(envelope, 'callback-backlog-full');
      return;
    }
    this.#backlog.push({ endpoint, envelope });
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#activation.schedule();
  }

  close(): void {
    this.#activation.close();
  }

  #drain(): void {
    this.#scheduled = false;
    for (let n = 0; n < limits.messagesPerTurnMax; n++) {
      const next = this.#backlog.shift();
      if (!next) return;
      next.endpoint.handle(next.envelope);
    }
    if (this.#backlog.length > 0) {
      this.#scheduled = true;
      this.#activation.schedule();
    }
  }
}

export class Callback implements Endpoint {
  readonly path: string;
  readonly life: number;
  readonly onEnd = new Farewell();
  readonly onGone = new Farewell();
  readonly #host: Host;
  readonly #callbacks: Callbacks;
  readonly #receive: (message: Message, sender: Sender) => void;
  #open = true;

  constructor(
    host: Host,
    callbacks: Callbacks,
    path: string,
    receive: (message: Message, sender: Sender) => void,
  ) {
    this.path = path;
    this.life = host.nextLife();
    this.#host = host;
    this.#callbacks = callbacks;
    this.#receive = receive;
  }

  deliver(envelope: Envelope): void {
    if (envelope.from === this.#host.system.node) this.#callbacks.enqueue(this, envelope);
    else this.handle(envelope);
  }

  handle(envelope: Envelope): void {
    if (!this.#open) {
      this.#host.undeliverable(envelope, 'no-actor');
      return;
    }
    const { frames, recorder, system } = this.#host;
    const startedMs = recorder.handling(envelope);
    const sender = { node: envelope.from, path: envelope.fromPath };
    try {
      frames.run(
        new Frame(system, this.path, envelope, envelope),
        this.#receive,
        envelope.body as Message,
        sender,
      );
      recorder.handled(envelope, startedMs);
    } catch (error) {
      // There is no supervisor to tell: on record, and whoever watches the ref learns that it crashed.
      recorder.crashed(this.path, error instanceof Error ? error : new Error(String(error)), envelope);
      this.close('crash');
    }
  }

  close(reason: 'normal' | 'crash'): void {
    if (!this.#open) return;
    this.#open = false;
    this.#host.unregister(this);
    this.onEnd.fire(reason);
    this.onGone.fire(reason);
  }
}
