/**
 * Edge: serves services' virtual addresses with sockets of this process (kube-proxy's userspace mode). All
 * nodes of a machine share the addresses, and only one process can hold one: a listener that finds its
 * address taken stands by and tries again at a bounded rate, so that another node takes over when the
 * holder dies.
 */
import type { Clock, Random, Timer } from '../../transport/index.js';
import { BackendChoice } from './backend-choice.js';
import type { BoundListener, ProxyResources } from './bound-listener.js';
import { type ProxyLimits, proxyLimits } from './limits.js';
import type { Listener } from './plan.js';
import type { ListenerState, ServiceProxy } from './service-proxy.js';
import { TcpListener } from './tcp-listener.js';
import { UdpListener } from './udp-listener.js';

export interface UserSpaceProxyOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: Partial<ProxyLimits>;
}

interface Entry {
  listener: Listener;
  state: ListenerState | undefined;
  bound: BoundListener | undefined;
  timer: Timer | undefined;
  readonly choice: BackendChoice;
}

export class UserSpaceProxy implements ServiceProxy {
  readonly #options: UserSpaceProxyOptions;
  readonly #resources: ProxyResources;
  readonly #entries = new Map<string, Entry>();
  readonly #hear = new Set<(listener: Listener, state: ListenerState) => void>();
  /** Closed to new clients, with connections that may still stand. */
  readonly #stopped = new Set<BoundListener>();

  constructor(options: UserSpaceProxyOptions) {
    this.#options = options;
    const limits = { ...proxyLimits, ...options.limits };
    this.#resources = { clock: options.clock, limits, connections: 0, udpFlows: 0 };
  }

  apply(listeners: readonly Listener[]): void {
    const wanted = new Map(listeners.map((listener) => [listener.key, listener]));
    for (const [key, entry] of this.#entries) {
      if (wanted.has(key)) continue;
      this.#entries.delete(key);
      this.#stop(entry);
    }
    for (const listener of listeners) {
      const entry = this.#entries.get(listener.key);
      if (entry === undefined) this.#add(listener);
      else {
        entry.listener = listener;
        entry.bound?.update(listener);
      }
    }
  }

  onState(hear: (listener: Listener, state: ListenerState) => void): () => void {
    this.#hear.add(hear);
    return () => this.#hear.delete(hear);
  }

  states(): ReadonlyMap<string, ListenerState> {
    const known = [...this.#entries].filter(([, { state }]) => state !== undefined);
    return new Map(known.map(([key, { state }]) => [key, state!]));
  }

  async close(): Promise<void> {
    for (const entry of this.#entries.values()) this.#stop(entry);
    this.#entries.clear();
    for (const bound of this.#stopped) bound.destroy();
    this.#stopped.clear();
  }

  #add(listener: Listener): void {
    const choice = new BackendChoice(this.#options.random, this.#resources.limits.affinityClientsMax);
    const entry: Entry = { listener, state: undefined, bound: undefined, timer: undefined, choice };
    this.#entries.set(listener.key, entry);
    this.#bind(entry);
  }

  #bind(entry: Entry): void {
    entry.timer = undefined;
    const events = {
      bound: () => this.#is(entry, bound, { type: 'bound' }),
      failed: (error: NodeJS.ErrnoException) => this.#failed(entry, bound, error),
      /** Nothing stands any more. */
      empty: () => this.#stopped.delete(bound),
    };
    const Kind = entry.listener.protocol === 'tcp' ? TcpListener : UdpListener;
    const bound: BoundListener = new Kind(entry.listener, this.#resources, entry.choice, events);
    entry.bound = bound;
  }

  #failed(entry: Entry, bound: BoundListener, error: NodeJS.ErrnoException): void {
    if (entry.bound !== bound) return;
    bound.destroy();
    entry.bound = undefined;
    const { limits, clock } = this.#resources;
    const state = stateOf(entry.listener, error);
    const pauseMs = state.type === 'refused' ? limits.refusedRetryMs : limits.standbyRetryMs;
    entry.timer = clock.setTimer(pauseMs * (0.75 + this.#options.random.next() / 2), () => this.#bind(entry));
    this.#tell(entry, state);
  }

  #is(entry: Entry, bound: BoundListener, state: ListenerState): void {
    if (entry.bound === bound) this.#tell(entry, state);
  }

  #tell(entry: Entry, state: ListenerState): void {
    const same = entry.state?.type === state.type;
    entry.state = state;
    if (same) return;
    for (const hear of this.#hear) hear(entry.listener, state);
  }

  #stop(entry: Entry): void {
    entry.timer?.cancel();
    if (entry.bound === undefined) return;
    this.#stopped.add(entry.bound);
    entry.bound.stop();
    entry.bound = undefined;
  }
}

function stateOf(listener: Listener, error: NodeJS.ErrnoException): ListenerState {
  const where = `${listener.address}:${listener.port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return { type: 'standby' };
    case 'EACCES':
    case 'EPERM':
      return {
        type: 'refused',
        reason: 'PortNotPermitted',
        message:
          `cannot listen on ${where}: ports below 1024 need a right that this process does not have. ` +
          'Give the service a port of 1024 or more, run kabuki as root, or set ' +
          'sysctl net.ipv4.ip_unprivileged_port_start=0',
      };
    case 'EADDRNOTAVAIL':
      return {
        type: 'refused',
        reason: 'AddressNotAvailable',
        message:
          `cannot listen on ${where}: it is not an address of this machine. Linux has all of 127.0.0.0/8; ` +
          'elsewhere add the address to the loopback device',
      };
    default:
      return {
        type: 'refused',
        reason: 'ListenFailed',
        message: `cannot listen on ${where}: ${error.message}`,
      };
  }
}
