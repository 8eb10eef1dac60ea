/**
 * Which endpoint calls go to: one at a time, kept as long as it serves; the next one when it does not. Endpoints that cannot be
 * reached rest, each time for longer.
 */
import type { Clock } from '../../../transport/index.js';
import { StoreError } from '../client.js';
import type { Connect, Connection, Endpoint } from './connection.js';
import type { EtcdClientLimits } from './limits.js';

export interface EndpointsOptions {
  /** First the one to begin with. */
  readonly endpoints: readonly Endpoint[];
  readonly connect: Connect;
  readonly clock: Clock;
  readonly limits: EtcdClientLimits;
  /** For the journal: what happens to connections. */
  note(what: string, fields: Readonly<Record<string, string | number | boolean>>): void;
}

/** Who serves a call. */
export interface Served {
  readonly address: string;
  readonly connection: Connection;
}

interface State {
  readonly endpoint: Endpoint;
  connection: Connection | undefined;
  connecting: Promise<Connection> | undefined;
  failures: number;
  /** Monotonic; not tried before. */
  restsUntilMs: number;
  lastError: string | undefined;
}

export class Endpoints {
  readonly #options: EndpointsOptions;
  readonly #states: readonly State[];
  #current = 0;
  #isClosed = false;

  constructor(options: EndpointsOptions) {
    if (options.endpoints.length === 0) throw new TypeError('the store has no endpoints');
    this.#options = options;
    this.#states = options.endpoints.map((endpoint) => ({
      endpoint,
      connection: undefined,
      connecting: undefined,
      failures: 0,
      restsUntilMs: Number.NEGATIVE_INFINITY,
      lastError: undefined,
    }));
  }

  /** `deadlineMs`: monotonic. Rejects with a StoreError NoLeader when no endpoint can be reached by then. */
  async serving(deadlineMs: number): Promise<Served> {
    const { clock } = this.#options;
    for (;;) {
      for (let i = 0; i < this.#states.length; i += 1) {
        const index = (this.#current + i) % this.#states.length;
        const state = this.#states[index]!;
        const connection = await this.#connected(state, deadlineMs);
        if (this.#isClosed) throw new StoreError('NoLeader', 'the client of the store is closed', true);
        if (!connection?.isOpen) continue;
        if (index !== this.#current) this.#moveTo(index);
        return { address: state.endpoint.address, connection };
      }
      const nowMs = clock.monotonicMs();
      const nextMs = Math.min(...this.#states.map(({ restsUntilMs }) => restsUntilMs));
      const waitMs = Math.max(this.#options.limits.retryDelayMs, nextMs - nowMs);
      if (nowMs + waitMs >= deadlineMs) throw this.#unreachable();
      await new Promise<void>((resolve) => clock.setTimer(waitMs, resolve));
    }
  }

  /** It did not serve well: another one comes first, if this one still did. */
  leave(address: string): void {
    if (this.#states[this.#current]!.endpoint.address !== address || this.#states.length === 1) return;
    this.#moveTo((this.#current + 1) % this.#states.length);
  }

  close(): void {
    this.#isClosed = true;
    for (const { connection } of this.#states) connection?.close();
  }

  #moveTo(index: number): void {
    this.#current = index;
    this.#options.note('store endpoint changed', { endpoint: this.#states[index]!.endpoint.address });
  }

  /** Undefined when it cannot be reached now, or not in time. */
  async #connected(state: State, deadlineMs: number): Promise<Connection | undefined> {
    if (state.connection?.isOpen) return state.connection;
    const { clock } = this.#options;
    const leftMs = deadlineMs - clock.monotonicMs();
    if (leftMs <= 0 || clock.monotonicMs() < state.restsUntilMs) return undefined;
    const connecting = (state.connecting ??= this.#connect(state));
    let timer;
    const timeUp = new Promise<undefined>((resolve) => {
      timer = clock.setTimer(leftMs, () => resolve(undefined));
    });
    try {
      return await Promise.race([connecting, timeUp]);
    } catch {
      // Noted in the state, and told when no other endpoint is there either.
      return undefined;
    } finally {
      (timer as { cancel(): void } | undefined)?.cancel();
    }
  }

  async #connect(state: State): Promise<Connection> {
    const { clock, limits, connect, note } = this.#options;
    const { address } = state.endpoint;
    try {
      const connection = await connect(state.endpoint);
      state.connection = connection;
      state.failures = 0;
      state.restsUntilMs = Number.NEGATIVE_INFINITY;
      note('store endpoint connected', { endpoint: address });
      connection.onClose((why) => {
        if (state.connection === connection) state.connection = undefined;
        state.lastError = why;
        if (this.#isClosed) return;
        note('store endpoint lost', { endpoint: address, why });
        this.leave(address);
      });
      if (this.#isClosed) connection.close();
      return connection;
    } catch (error) {
      state.lastError = (error as Error).message;
      const restMs = limits.reconnectDelayMinMs * 2 ** Math.min(state.failures, 16);
      state.restsUntilMs = clock.monotonicMs() + Math.min(restMs, limits.reconnectDelayMaxMs);
      state.failures += 1;
      if (state.failures === 1)
        note('store endpoint not reached', { endpoint: address, why: state.lastError });
      throw error;
    } finally {
      state.connecting = undefined;
    }
  }

  #unreachable(): StoreError {
    const each = this.#states.map(({ endpoint, lastError = 'no answer in time' }) => {
      // Errors of the system name the address themselves.
      return lastError.includes(endpoint.address) ? lastError : `${endpoint.address}: ${lastError}`;
    });
    return new StoreError('NoLeader', `no endpoint of the store can be reached: ${each.join('; ')}`, true);
  }
}
