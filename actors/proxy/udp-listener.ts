/**
 * Edge: one UDP address of a service. A client's datagrams go to one endpoint as long as they keep coming.
 */
import { createSocket, type Socket } from 'node:dgram';
import type { Timer } from '../../transport/index.js';
import { type BackendChoice, nameOf } from './backend-choice.js';
import type { Backend, Listener } from './plan.js';
import type { BoundListener, ListenerEvents, ProxyResources } from './bound-listener.js';

interface Flow {
  readonly backend: Backend;
  readonly upstream: Socket;
  timer: Timer;
}

export class UdpListener implements BoundListener {
  #listener: Listener;
  readonly #resources: ProxyResources;
  readonly #choice: BackendChoice;
  readonly #events: ListenerEvents;
  readonly #socket: Socket;
  readonly #flows = new Map<string, Flow>();
  #stopped = false;

  constructor(listener: Listener, resources: ProxyResources, choice: BackendChoice, events: ListenerEvents) {
    this.#listener = listener;
    this.#resources = resources;
    this.#choice = choice;
    this.#events = events;
    this.#socket = createSocket('udp4');
    this.#socket.on('error', (error) => events.failed(error));
    this.#socket.on('message', (bytes, client) => this.#forward(bytes, client.address, client.port));
    this.#socket.bind({ address: listener.address, port: listener.port, exclusive: true }, () =>
      events.bound(),
    );
  }

  update(listener: Listener): void {
    this.#listener = listener;
    // Flows to endpoints that are gone would lead nowhere for as long as the client goes on.
    const names = new Set(listener.backends.map(nameOf));
    for (const [client, flow] of this.#flows) if (!names.has(nameOf(flow.backend))) this.#end(client);
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const client of this.#flows.keys()) this.#end(client);
    this.#socket.close();
    this.#events.empty();
  }

  destroy(): void {
    this.stop();
  }

  #forward(bytes: Buffer, address: string, port: number): void {
    const client = `${address}:${port}`;
    const flow = this.#flows.get(client) ?? this.#open(client, address, port);
    if (flow === undefined) return;
    flow.timer.cancel();
    flow.timer = this.#idleTimer(client);
    flow.upstream.send(bytes, flow.backend.port, flow.backend.address);
  }

  #open(client: string, address: string, port: number): Flow | undefined {
    const { limits, clock } = this.#resources;
    if (this.#resources.udpFlows >= limits.udpFlowsMax) return undefined;
    const nowMs = clock.monotonicMs();
    const backend = this.#choice.order(this.#listener, address, nowMs)[0];
    if (backend === undefined) return undefined;
    this.#choice.used(this.#listener, address, backend, nowMs);
    const upstream = createSocket('udp4');
    upstream.on('error', () => this.#end(client));
    upstream.on('message', (answer, from) => {
      if (from.address !== backend.address || from.port !== backend.port || this.#stopped) return;
      this.#socket.send(answer, port, address);
    });
    const flow: Flow = { backend, upstream, timer: this.#idleTimer(client) };
    this.#flows.set(client, flow);
    this.#resources.udpFlows += 1;
    return flow;
  }

  #idleTimer(client: string): Timer {
    return this.#resources.clock.setTimer(this.#resources.limits.udpIdleMs, () => this.#end(client));
  }

  #end(client: string): void {
    const flow = this.#flows.get(client);
    if (flow === undefined) return;
    this.#flows.delete(client);
    this.#resources.udpFlows -= 1;
    flow.timer.cancel();
    flow.upstream.close();
  }
}
