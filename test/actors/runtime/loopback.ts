/** The smallest link that can lose things: joins the nodes of one test by a clock's defer. */
import type { Clock, Envelope, Incarnation, Link, LinkEvents, NodeId } from '../../../transport/index.js';

export class Loopback {
  readonly #clock: Clock;
  readonly #ports = new Map<NodeId, { incarnation: Incarnation; events: LinkEvents }>();
  /** Envelopes that the network swallows, told to the sender as a fault would be. */
  lose: (envelope: Envelope) => boolean = () => false;
  readonly carried: Envelope[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  link(node: NodeId, incarnation: Incarnation): Link {
    let mine: LinkEvents | undefined;
    return {
      node,
      incarnation,
      start: async (events) => {
        mine = events;
        for (const [peer, port] of this.#ports) {
          port.events.onPeerUp(node, incarnation);
          events.onPeerUp(peer, port.incarnation);
        }
        this.#ports.set(node, { incarnation, events });
      },
      addPeer: () => {},
      removePeer: () => {},
      send: (envelope) => {
        const target = this.#ports.get(envelope.to);
        if (!target) {
          mine?.onDrop(envelope, 'unreachable');
          return;
        }
        this.carried.push(envelope);
        if (this.lose(envelope)) {
          mine?.onDrop(envelope, 'fault');
          return;
        }
        this.#clock.defer(() => this.#ports.get(envelope.to)?.events.onEnvelope(envelope));
      },
      address: () => `loopback://${node}`,
      close: async () => {
        if (this.#ports.get(node)?.events === mine) this.cut(node, 'closed');
      },
    };
  }

  /** The node is gone for everybody else. */
  cut(node: NodeId, reason: 'timeout' | 'closed'): void {
    const port = this.#ports.get(node);
    this.#ports.delete(node);
    if (!port) return;
    for (const other of this.#ports.values()) other.events.onPeerDown(node, port.incarnation, reason);
  }
}
