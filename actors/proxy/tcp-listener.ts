/** Edge: one TCP address of a service. Each connection goes to one endpoint; a refused one to the next. */
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { BackendChoice } from './backend-choice.js';
import type { Backend, Listener } from './plan.js';
import type { BoundListener, ListenerEvents, ProxyResources } from './bound-listener.js';

export class TcpListener implements BoundListener {
  #listener: Listener;
  readonly #resources: ProxyResources;
  readonly #choice: BackendChoice;
  readonly #events: ListenerEvents;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #stopped = false;

  constructor(listener: Listener, resources: ProxyResources, choice: BackendChoice, events: ListenerEvents) {
    this.#listener = listener;
    this.#resources = resources;
    this.#choice = choice;
    this.#events = events;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
      void this.#serve(client);
    });
    this.#server.on('error', (error) => events.failed(error));
    this.#server.listen({ host: listener.address, port: listener.port, exclusive: true }, () =>
      events.bound(),
    );
  }

  update(listener: Listener): void {
    this.#listener = listener;
  }

  stop(): void {
    this.#stopped = true;
    this.#server.close(() => {});
    this.#told();
  }

  destroy(): void {
    this.stop();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #serve(client: Socket): Promise<void> {
    const { limits, clock } = this.#resources;
    if (this.#resources.connections >= limits.connectionsMax) {
      client.resetAndDestroy();
      return;
    }
    this.#resources.connections += 1;
    this.#track(client);
    client.once('close', () => {
      this.#resources.connections -= 1;
    });
    const who = client.remoteAddress ?? '';
    const listener = this.#listener;
    for (const backend of this.#choice.order(listener, who, clock.monotonicMs())) {
      const upstream = await this.#connect(backend);
      if (client.destroyed) {
        upstream?.destroy();
        return;
      }
      if (upstream === undefined) continue;
      this.#choice.used(listener, who, backend, clock.monotonicMs());
      join(client, upstream);
      return;
    }
    client.resetAndDestroy();
  }

  /** Undefined if the endpoint does not take the connection. */
  #connect(backend: Backend): Promise<Socket | undefined> {
    return new Promise((resolve) => {
      const socket = createConnection({ host: backend.address, port: backend.port, allowHalfOpen: true });
      this.#track(socket);
      const refused = () => {
        socket.destroy();
        resolve(undefined);
      };
      socket.setTimeout(this.#resources.limits.connectTimeoutMs, refused);
      socket.once('error', refused);
      socket.once('connect', () => {
        socket.setTimeout(0);
        socket.off('error', refused);
        resolve(socket);
      });
    });
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#told();
    });
  }

  #told(): void {
    if (this.#stopped && this.#sockets.size === 0) this.#events.empty();
  }
}

/** Bytes both ways, each half closed by itself; an error on one side is an error on the other. */
function join(client: Socket, upstream: Socket): void {
  const pairs = [
    [client, upstream],
    [upstream, client],
  ] as const;
  for (const [from, to] of pairs) {
    from.setNoDelay(true);
    from.on('error', () => to.resetAndDestroy());
    from.on('close', (failed) => {
      if (!failed && !to.destroyed && !to.writableEnded) to.end();
    });
    from.pipe(to);
  }
}
