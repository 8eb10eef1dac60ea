/**
 * The proxy actor of a node (kube-proxy): plans listeners from Services and EndpointSlices whenever they
 * change, has them served, and says on a service why it cannot be. It closes its listeners when it has
 * heard from no apiserver for too long: what it knows may be wrong by then, and the proxy of a connected
 * node can take the addresses over.
 */
import {
  type ApiClient,
  ApiError,
  type EventRecorder,
  type Informer,
  services as serviceResource,
} from '../client/index.js';
import type { Service } from '../objects/types/core.js';
import type { EndpointSlice } from '../objects/types/discovery.js';
import type { Actor, ActorContext, StopReason } from '../runtime/index.js';
import type { ProxyLimits } from './limits.js';
import { type Listener, plan, type PlanOptions } from './plan.js';
import type { ListenerState, ServiceProxy } from './service-proxy.js';

export type ProxyMessage =
  | { readonly type: 'ProxyChanged' }
  | { readonly type: 'ProxyApply' }
  | { readonly type: 'ProxyListener'; readonly listener: Listener; readonly state: ListenerState }
  | { readonly type: 'ProxyContactDue' }
  | { readonly type: 'ProxyContact'; readonly ok: boolean }
  | { readonly type: 'ProxyCrashed'; readonly error: unknown };

export interface ProxyActorOptions {
  readonly client: ApiClient;
  readonly services: Informer<Service>;
  readonly slices: Informer<EndpointSlice>;
  readonly proxy: ServiceProxy;
  readonly events: EventRecorder;
  readonly limits: ProxyLimits;
  readonly node: PlanOptions;
}

interface ProxyState {
  /** Changes are being gathered. */
  readonly gathering: boolean;
  readonly contactAtMs: number;
  readonly stale: boolean;
  /** Problems that were told, so that each is told once. */
  readonly told: ReadonlySet<string>;
}

type Context = ActorContext<ProxyMessage>;

export class Proxy implements Actor<ProxyState, ProxyMessage> {
  readonly #options: ProxyActorOptions;
  #stopListening: (() => void)[] = [];

  constructor(options: ProxyActorOptions) {
    this.#options = options;
  }

  initial(ctx: Context): ProxyState {
    const { services, slices, proxy } = this.#options;
    const changed = () => ctx.system.tell(ctx.self, { type: 'ProxyChanged' });
    const handlers = { added: changed, updated: changed, deleted: changed, synced: changed };
    this.#stopListening = [
      services.addHandlers(handlers),
      slices.addHandlers(handlers),
      proxy.onState((listener, state) =>
        ctx.system.tell(ctx.self, { type: 'ProxyListener', listener, state }),
      ),
    ];
    ctx.tell(ctx.self, { type: 'ProxyChanged' });
    ctx.tell(ctx.self, { type: 'ProxyContactDue' });
    return { gathering: false, contactAtMs: ctx.env.clock.monotonicMs(), stale: false, told: new Set() };
  }

  async stopped(_state: ProxyState | undefined, reason: StopReason): Promise<void> {
    for (const stop of this.#stopListening) stop();
    // After a crash the next life goes on with the same sockets.
    if (reason === 'shutdown') await this.#options.proxy.close();
  }

  receive(state: ProxyState, message: ProxyMessage, ctx: Context): ProxyState {
    switch (message.type) {
      case 'ProxyChanged':
        if (state.gathering) return state;
        ctx.setTimer('apply', this.#options.limits.gatherMs, { type: 'ProxyApply' });
        return { ...state, gathering: true };
      case 'ProxyApply':
        return this.#apply({ ...state, gathering: false }, ctx);
      case 'ProxyListener':
        return this.#listenerIs(state, message.listener, message.state, ctx);
      case 'ProxyContactDue':
        return this.#askForContact(state, ctx);
      case 'ProxyContact':
        return this.#contact(state, message.ok, ctx);
      case 'ProxyCrashed':
        throw message.error;
      default:
        return message satisfies never;
    }
  }

  #apply(state: ProxyState, ctx: Context): ProxyState {
    const { services, slices, proxy, node } = this.#options;
    // Half of a picture would close what is in use.
    if (state.stale || !services.hasSynced || !slices.hasSynced) return state;
    const { listeners, problems } = plan(services.list(), slices.list(), node);
    proxy.apply(listeners);
    ctx.note('listeners planned', { count: listeners.length });
    let told = state.told;
    for (const { service, reason, message } of problems) told = this.#tell(told, service, reason, message);
    return { ...state, told };
  }

  #listenerIs(state: ProxyState, listener: Listener, now: ListenerState, ctx: Context): ProxyState {
    ctx.note('listener', { key: listener.key, state: now.type });
    if (now.type !== 'refused') return state;
    return { ...state, told: this.#tell(state.told, listener.service, now.reason, now.message) };
  }

  #tell(told: ReadonlySet<string>, key: string, reason: string, message: string): ReadonlySet<string> {
    const service = this.#options.services.get(key);
    const id = `${key}/${service?.metadata?.uid}/${message}`;
    if (service === undefined || told.has(id)) return told;
    this.#options.events.event({ ...service, apiVersion: 'v1', kind: 'Service' }, 'Warning', reason, message);
    return new Set(told).add(id);
  }

  /** Any answer is a sign of life; the service of the API itself is one that always exists. */
  #askForContact(state: ProxyState, ctx: Context): ProxyState {
    ctx.setTimer('contact', this.#options.limits.contactIntervalMs, { type: 'ProxyContactDue' });
    ctx.pipeToSelf(
      this.#options.client.get(serviceResource, 'default', 'kubernetes'),
      () => ({ type: 'ProxyContact', ok: true }),
      (error) => {
        if (!(error instanceof ApiError)) return { type: 'ProxyCrashed', error };
        // A refusal is an answer; silence and a server without its store are not.
        return { type: 'ProxyContact', ok: error.status >= 400 && error.status < 500 };
      },
    );
    return this.#contact(state, undefined, ctx);
  }

  #contact(state: ProxyState, ok: boolean | undefined, ctx: Context): ProxyState {
    const nowMs = ctx.env.clock.monotonicMs();
    if (ok) {
      const next = { ...state, contactAtMs: nowMs, stale: false };
      return state.stale ? this.#apply(next, ctx) : next;
    }
    if (state.stale || nowMs - state.contactAtMs < this.#options.limits.staleAfterMs) return state;
    ctx.note('listeners closed: no apiserver', { forMs: Math.round(nowMs - state.contactAtMs) });
    this.#options.proxy.apply([]);
    return { ...state, stale: true };
  }
}
