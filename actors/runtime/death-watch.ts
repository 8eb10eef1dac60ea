/**
 * Death watch over nodes. The watcher's side keeps what it watches and asserts it again every `watchRenewMs`; the
 * watched side keeps who watches. A watch names one life of an actor, so that a lost Terminated shows at the next
 * renewal. Each watch fires once: at Terminated, or at the loss of the node.
 */
import type { NodeId, Timer } from '../../transport/index.js';
import type { TerminationReason } from './actor.js';
import type { ControlMessage, WatchItem } from './control.js';
import type { Endpoint } from './endpoint.js';
import type { Host } from './host.js';
import { limits } from './limits.js';

interface Watch extends WatchItem {
  readonly node: NodeId;
  readonly fire: (reason: TerminationReason) => void;
  life?: number;
}

interface Watched {
  readonly life: number;
  readonly cancel: () => void;
  renewedMs: number;
}

export class DeathWatch {
  readonly #host: Host;
  readonly #send: (to: NodeId, message: ControlMessage) => void;
  readonly #find: (path: string) => Endpoint | undefined;
  #lastId = 0;
  readonly #watches = new Map<string, Watch>();
  /** Who watches here, by node and by the id that the node chose. */
  readonly #watched = new Map<NodeId, Map<string, Watched>>();
  #renewal: Timer | undefined;
  #closed = false;

  constructor(
    host: Host,
    send: (to: NodeId, message: ControlMessage) => void,
    find: (path: string) => Endpoint | undefined,
  ) {
    this.#host = host;
    this.#send = send;
    this.#find = find;
  }

  /** Calls `fire` once. Returns the way to stop watching. */
  watch(node: NodeId, path: string, atEnd: boolean, fire: (reason: TerminationReason) => void): () => void {
    this.#lastId += 1;
    const watchId = `${this.#host.system.incarnation}-${this.#lastId}`;
    this.#watches.set(watchId, { watchId, node, path, atEnd, fire });
    this.#send(node, { type: 'Watch', items: [{ watchId, path, atEnd }] });
    this.#scheduleRenewal();
    return () => {
      if (this.#watches.delete(watchId)) this.#send(node, { type: 'Unwatch', watchIds: [watchId] });
    };
  }

  onWatch(from: NodeId, items: readonly WatchItem[]): void {
    const known = this.#watched.get(from) ?? new Map<string, Watched>();
    this.#watched.set(from, known);
    const confirmed: { watchId: string; life: number }[] = [];
    const nowMs = this.#host.system.env.clock.monotonicMs();
    for (const { watchId, path, life, atEnd } of items) {
      const before = known.get(watchId);
      if (before) {
        before.renewedMs = nowMs;
        if (life === undefined) confirmed.push({ watchId, life: before.life });
        continue;
      }
      const endpoint = this.#find(path);
      if (!endpoint || (life !== undefined && life !== endpoint.life)) {
        this.#send(from, { type: 'Terminated', watchId, reason: 'not-found' });
        continue;
      }
      const cancel = (atEnd ? endpoint.onEnd : endpoint.onGone).add((reason) => {
        known.delete(watchId);
        this.#send(from, { type: 'Terminated', watchId, reason });
      });
      known.set(watchId, { life: endpoint.life, cancel, renewedMs: nowMs });
      confirmed.push({ watchId, life: endpoint.life });
    }
    if (confirmed.length > 0) this.#send(from, { type: 'Watching', items: confirmed });
    this.#scheduleRenewal();
  }

  onWatching(from: NodeId, items: readonly { readonly watchId: string; readonly life: number }[]): void {
    for (const { watchId, life } of items) {
      const watch = this.#watches.get(watchId);
      if (watch && watch.node === from) watch.life ??= life;
    }
  }

  onUnwatch(from: NodeId, watchIds: readonly string[]): void {
    const known = this.#watched.get(from);
    for (const watchId of watchIds) {
      known?.get(watchId)?.cancel();
      known?.delete(watchId);
    }
  }

  onTerminated(from: NodeId, watchId: string, reason: TerminationReason): void {
    const watch = this.#watches.get(watchId);
    if (!watch || watch.node !== from) return;
    this.#watches.delete(watchId);
    watch.fire(reason);
  }

  /** These watches never left: their node cannot be reached. */
  undelivered(items: readonly WatchItem[]): void {
    for (const { watchId } of items) {
      const watch = this.#watches.get(watchId);
      if (watch && this.#watches.delete(watchId)) watch.fire('unreachable');
    }
  }

  nodeDown(node: NodeId): void {
    for (const { cancel } of this.#watched.get(node)?.values() ?? []) cancel();
    this.#watched.delete(node);
    this.undelivered([...this.#watches.values()].filter((watch) => watch.node === node));
  }

  close(): void {
    this.#closed = true;
    this.#renewal?.cancel();
    this.#watches.clear();
    for (const known of this.#watched.values()) for (const { cancel } of known.values()) cancel();
    this.#watched.clear();
  }

  #scheduleRenewal(): void {
    if (this.#renewal || this.#closed || (this.#watches.size === 0 && this.#watched.size === 0)) return;
    this.#renewal = this.#host.system.env.clock.setTimer(limits.watchRenewMs, () => {
      this.#renewal = undefined;
      this.#renew();
      this.#expire();
      this.#scheduleRenewal();
    });
  }

  /** A watcher that saw this node lost, while this node never lost sight of it, does not say goodbye. */
  #expire(): void {
    const beforeMs = this.#host.system.env.clock.monotonicMs() - limits.watchLeaseMs;
    for (const [node, known] of this.#watched) {
      for (const [watchId, { cancel, renewedMs }] of known) {
        if (renewedMs >= beforeMs) continue;
        cancel();
        known.delete(watchId);
      }
      if (known.size === 0) this.#watched.delete(node);
    }
  }

  #renew(): void {
    const byNode = new Map<NodeId, WatchItem[]>();
    for (const { watchId, node, path, life, atEnd } of this.#watches.values()) {
      const items = byNode.get(node) ?? [];
      byNode.set(node, items);
      items.push(life === undefined ? { watchId, path, atEnd } : { watchId, path, atEnd, life });
    }
    for (const [node, items] of byNode) {
      for (let at = 0; at < items.length; at += limits.watchesPerEnvelopeMax) {
        this.#send(node, { type: 'Watch', items: items.slice(at, at + limits.watchesPerEnvelopeMax) });
      }
    }
  }
}
