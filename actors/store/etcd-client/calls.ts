/**
 * Calls to an etcd cluster, whichever of its endpoints serves. A read is made again elsewhere until its time is up; a write only
 * when it certainly did nothing (ARCHITECTURE rule 7).
 */
import { KvError } from 'raft-consensus';
import type { Clock } from '../../../transport/index.js';
import { StoreError } from '../client.js';
import { framePrefixBytes, sealFrame } from '../etcd/frames.js';
import type { Schema } from '../etcd/message.js';
import { WireError } from '../etcd/wire.js';
import type { Endpoints } from './endpoints.js';
import { type CallKind, failureOf } from './failures.js';
import type { EtcdClientLimits } from './limits.js';
import type { Login } from './login.js';

export interface CallMethod<Q extends object, R extends object> {
  /** `/etcdserverpb.KV/Txn` */
  readonly path: string;
  readonly request: Schema<Q>;
  readonly response: Schema<R>;
}

export interface CallsOptions {
  readonly endpoints: Endpoints;
  readonly clock: Clock;
  readonly limits: EtcdClientLimits;
  /** Absent: nobody is named. */
  readonly login: Login | undefined;
}

export class Calls {
  readonly #options: CallsOptions;
  #inFlight = 0;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /** Rejects with a StoreError. `answeredBy`: the endpoint. */
  async make<Q extends object, R extends object>(
    method: CallMethod<Q, R>,
    request: Partial<Q>,
    kind: CallKind,
    timeoutMs: number = this.#options.limits.requestTimeoutMs,
  ): Promise<{ readonly answer: R; readonly answeredBy: string }> {
    const { requestsInFlightMax, requestBytesMax } = this.#options.limits;
    if (this.#inFlight >= requestsInFlightMax) {
      throw new StoreError('Overloaded', `${requestsInFlightMax} requests to the store are under way`, true);
    }
    const frame = sealFrame(method.request.encode(request, framePrefixBytes));
    if (frame.length > requestBytesMax) {
      const cause = new KvError('RequestTooLarge', 'etcdserver: request is too large');
      throw new StoreError('Refused', `a request of ${frame.length} bytes is too large`, true, { cause });
    }
    this.#inFlight += 1;
    try {
      const { bytes, address } = await this.#untilAnswered(method.path, frame, kind, timeoutMs);
      return { answer: decoded(method.response, bytes, kind, address), answeredBy: address };
    } finally {
      this.#inFlight -= 1;
    }
  }

  async #untilAnswered(path: string, frame: Buffer, kind: CallKind, timeoutMs: number) {
    const { endpoints, clock, limits, login } = this.#options;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    let last: StoreError | undefined;
    for (let logins = 0; ;) {
      const served = await endpoints.serving(deadlineMs);
      const { address, connection } = served;
      const leftMs = Math.max(1, deadlineMs - clock.monotonicMs());
      // Of a write with so little time nobody would know the outcome; of the tries before it is known.
      if (last && leftMs < limits.tryMinMs) throw last;
      const waitMs = kind === 'read' ? Math.min(leftMs, limits.repeatAfterMs) : leftMs;
      let token: string | undefined;
      // What failed, if something does: until the request itself has left, nothing can have been done.
      let failing: CallKind = 'read';
      try {
        token = await login?.token(served, waitMs);
        failing = kind;
        return { bytes: await connection.unary(path, frame, waitMs, token), address };
      } catch (cause) {
        if (cause instanceof StoreError) throw cause;
        if (login?.isOver(cause, token) && ++logins <= limits.loginsPerRequestMax) continue;
        const { error, again, leave } = failureOf(cause, failing, address);
        if (leave) endpoints.leave(address);
        if (!again || deadlineMs - clock.monotonicMs() <= limits.retryDelayMs) throw error;
        last = error;
      }
      await new Promise<void>((resolve) => clock.setTimer(limits.retryDelayMs, resolve));
    }
  }
}

function decoded<R extends object>(schema: Schema<R>, bytes: Buffer, kind: CallKind, address: string): R {
  try {
    return schema.decode(bytes);
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    const text = `${address}: an answer that cannot be read: ${cause.message}`;
    throw new StoreError('Timeout', text, kind === 'read', { cause });
  }
}
