/**
 * What serves the listeners of a plan: the seam between the proxy actor and the machine. The real one is
 * `user-space-proxy.ts`; `SimulatedServiceProxy` only keeps what it was told, for the simulator and for
 * tests.
 */
import type { Listener } from './plan.js';

export type ListenerState =
  /** This proxy serves the address. */
  | { readonly type: 'bound' }
  /** Somebody else holds it: another node of this machine, or a program of somebody's. Tried again. */
  | { readonly type: 'standby' }
  /** It cannot be had, and a person has to do something. */
  | { readonly type: 'refused'; readonly reason: string; readonly message: string };

export interface ServiceProxy {
  /** Serves exactly these from now on; connections that stand are left alone. */
  apply(listeners: readonly Listener[]): void;
  /** Hears of each change of a listener's state. Returns the way to stop listening. */
  onState(hear: (listener: Listener, state: ListenerState) => void): () => void;
  states(): ReadonlyMap<string, ListenerState>;
  /** Ends all listeners and connections; `apply` opens it again. */
  close(): Promise<void>;
}

export class SimulatedServiceProxy implements ServiceProxy {
  listeners: readonly Listener[] = [];
  readonly #hear = new Set<(listener: Listener, state: ListenerState) => void>();

  apply(listeners: readonly Listener[]): void {
    const before = new Set(this.listeners.map(({ key }) => key));
    this.listeners = listeners;
    for (const listener of listeners) {
      if (before.has(listener.key)) continue;
      for (const hear of this.#hear) hear(listener, { type: 'bound' });
    }
  }

  onState(hear: (listener: Listener, state: ListenerState) => void): () => void {
    this.#hear.add(hear);
    return () => this.#hear.delete(hear);
  }

  states(): ReadonlyMap<string, ListenerState> {
    return new Map(this.listeners.map(({ key }) => [key, { type: 'bound' } as const]));
  }

  async close(): Promise<void> {
    this.listeners = [];
  }
}
