/**
 * What a member says to its watchers, gathered for one turn: a batch that several watches of one client wait for travels once,
 * and so do the signs of life of all its watches. Ten thousand of them cost a write some letters and not ten thousand.
 */
import type { WatchBatch } from 'raft-consensus';
import { type ActorContext, type ActorRef, addressOf } from '../runtime/index.js';
import { decodeCause } from './context.js';
import type { StoreMessage, StoreWatchReply, WatchAlive, WatchSeq } from './messages.js';

interface Client {
  readonly ref: ActorRef<StoreWatchReply>;
  /** Begun and not sent: for these watches the next batch may be the same. */
  open: { readonly batch: WatchBatch; readonly watches: WatchSeq[] } | null;
  alive: WatchAlive[];
}

export class WatchLetters {
  readonly #ctx: ActorContext<StoreMessage>;
  readonly #watchesMax: number;
  /** By address. */
  readonly #clients = new Map<string, Client>();

  /** `watchesMax`: that one letter names. */
  constructor(ctx: ActorContext<StoreMessage>, watchesMax: number) {
    this.#ctx = ctx;
    this.#watchesMax = watchesMax;
  }

  batch(to: ActorRef<StoreWatchReply>, watch: WatchSeq, batch: WatchBatch): void {
    const client = this.#clientAt(to);
    if (client.open === null || !isSame(client.open.batch, batch)) {
      this.#sendOpen(client);
      client.open = { batch, watches: [] };
    }
    client.open.watches.push(watch);
    if (client.open.watches.length >= this.#watchesMax) this.#sendOpen(client);
  }

  /** For a watch that is sent no batch in this turn. */
  alive(to: ActorRef<StoreWatchReply>, watch: WatchAlive): void {
    const client = this.#clientAt(to);
    client.alive.push(watch);
    if (client.alive.length >= this.#watchesMax) this.#sendAlive(client);
  }

  /** Sends what was gathered. */
  flush(): void {
    for (const client of this.#clients.values()) {
      this.#sendOpen(client);
      this.#sendAlive(client);
    }
    this.#clients.clear();
  }

  #clientAt(ref: ActorRef<StoreWatchReply>): Client {
    const address = addressOf(ref);
    let client = this.#clients.get(address);
    if (client === undefined) {
      client = { ref, open: null, alive: [] };
      this.#clients.set(address, client);
    }
    return client;
  }

  #sendOpen(client: Client): void {
    if (client.open === null) return;
    const { batch, watches } = client.open;
    client.open = null;
    // A batch stands under its last write, so that the trace of that request goes on with it.
    this.#ctx.system.withCause(decodeCause(batch.events.at(-1)?.context), () => {
      this.#ctx.tell<StoreWatchReply>(client.ref, { type: 'StoreWatchBatch', watches, batch });
    });
  }

  #sendAlive(client: Client): void {
    if (client.alive.length === 0) return;
    const watches = client.alive;
    client.alive = [];
    this.#ctx.tell<StoreWatchReply>(client.ref, { type: 'StoreWatchAlive', watches });
  }
}

/** Live events are one and the same for all who watch a key; what was read from history is told apart, and only costs more. */
function isSame(a: WatchBatch, b: WatchBatch): boolean {
  return (
    a.revision === b.revision &&
    a.events.length === b.events.length &&
    a.events.every((event, at) => event === b.events[at])
  );
}
