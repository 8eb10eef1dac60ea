/**
 * Which endpoint a client gets: at random, or the one it had before (session affinity); pure but for the
 * table.
 */
import type { Random } from '../../transport/index.js';
import type { Backend, Listener } from './plan.js';

interface Remembered {
  readonly backend: string;
  readonly usedAtMs: number;
}

export class BackendChoice {
  readonly #random: Random;
  readonly #clientsMax: number;
  /** By client address; the one used last stands last. */
  readonly #remembered = new Map<string, Remembered>();

  constructor(random: Random, clientsMax: number) {
    this.#random = random;
    this.#clientsMax = clientsMax;
  }

  /** In the order in which they are to be tried. */
  order(listener: Listener, client: string, nowMs: number): Backend[] {
    const shuffled = [...listener.backends];
    for (let at = shuffled.length - 1; at > 0; at -= 1) {
      const other = this.#random.integer(at + 1);
      [shuffled[at], shuffled[other]] = [shuffled[other]!, shuffled[at]!];
    }
    const known = this.#remembered.get(client);
    if (
      listener.affinityMs === undefined ||
      known === undefined ||
      nowMs - known.usedAtMs > listener.affinityMs
    ) {
      return shuffled;
    }
    return shuffled.sort((a, b) => Number(nameOf(b) === known.backend) - Number(nameOf(a) === known.backend));
  }

  /** The client got this one. */
  used(listener: Listener, client: string, backend: Backend, nowMs: number): void {
    if (listener.affinityMs === undefined) return;
    this.#remembered.delete(client);
    this.#remembered.set(client, { backend: nameOf(backend), usedAtMs: nowMs });
    if (this.#remembered.size > this.#clientsMax) {
      const oldest = this.#remembered.keys().next().value;
      if (oldest !== undefined) this.#remembered.delete(oldest);
    }
  }
}

export function nameOf({ address, port }: Backend): string {
  return `${address}:${port}`;
}
