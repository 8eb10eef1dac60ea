/** A connection to a port of a pod as a Node stream, carried by a port-forward session with the pod's kubelet. */
import { Duplex } from 'node:stream';
import { KubeletSession, type SessionRequest } from './kubelet-session.js';
import { limits } from './limits.js';
import type { ServerContext } from './server-context.js';
import type { StatusError } from './status.js';

/** Rejects with a StatusError when the kubelet or the pod does not take the connection. */
export async function connectThroughKubelet(
  server: ServerContext,
  node: string,
  request: SessionRequest,
): Promise<Duplex> {
  const duplex = new KubeletDuplex(server, node, request);
  await duplex.opened;
  return duplex;
}

class KubeletDuplex extends Duplex {
  readonly opened: Promise<void>;
  readonly #server: ServerContext;
  readonly #session: KubeletSession;

  constructor(server: ServerContext, node: string, request: SessionRequest) {
    super({ allowHalfOpen: true });
    this.#server = server;
    this.#session = new KubeletSession(server, node, request, {
      output: (_stream, bytes) => this.push(bytes),
      ended: (_exitCode, error) => this.#ended(error),
      bufferedBytes: () => this.readableLength,
    });
    this.opened = this.#session.opened;
  }

  override _read(): void {
    // Bytes come by themselves, under the credit that what is taken gives back.
  }

  override _write(chunk: Uint8Array, _encoding: string, taken: () => void): void {
    this.#session.input(chunk);
    this.#whenTaken(taken);
  }

  override _final(taken: () => void): void {
    this.#session.inputEnd();
    taken();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#session.cancel();
    done(error);
  }

  #whenTaken(taken: () => void): void {
    if (this.#session.inputBacklog() < limits.proxyBufferedBytesMax) taken();
    else {
      const { clock } = this.#server.system.env;
      clock.setTimer(limits.watcherDrainPollMs, () => this.#whenTaken(taken));
    }
  }

  #ended(error: StatusError | undefined): void {
    if (error) this.destroy(error);
    else this.push(null);
  }
}
