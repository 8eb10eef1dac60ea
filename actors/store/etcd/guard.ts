/**
 * Which methods ask for what right before they do anything. Those named as judged by the store carry the caller to where the
 * request takes effect; a few take somebody, whoever it is; everything else is for the role root, so that a method that is
 * added and forgotten here is closed and not open (CVE-2026-33413).
 */
import type { Need } from '../caller-store.js';
import type { Method, Methods, StreamCall, StreamHandler, StreamMethod, UnaryMethod } from './method.js';
import { toGrpcError } from './status.js';

const judgedByTheStore: ReadonlySet<string> = new Set([
  ...['Range', 'RangeStream', 'Put', 'DeleteRange', 'Txn', 'Compact'].map(
    (name) => `/etcdserverpb.KV/${name}`,
  ),
  // Each watcher at its creation.
  '/etcdserverpb.Watch/Watch',
  ...['LeaseGrant', 'LeaseRevoke', 'LeaseKeepAlive', 'LeaseTimeToLive', 'LeaseLeases'].map(
    (name) => `/etcdserverpb.Lease/${name}`,
  ),
  // They are transactions of the caller.
  ...['Lock', 'Unlock'].map((name) => `/v3lockpb.Lock/${name}`),
  ...['Campaign', 'Proclaim', 'Leader', 'Observe', 'Resign'].map((name) => `/v3electionpb.Election/${name}`),
  '/etcdserverpb.Maintenance/Alarm',
  ...['AuthStatus', 'UserGet', 'RoleGet'].map((name) => `/etcdserverpb.Auth/${name}`),
  // It says nothing of the store.
  ...['Check', 'Watch'].map((name) => `/grpc.health.v1.Health/${name}`),
  // Whoever asks for a token has none yet.
  '/etcdserverpb.Auth/Authenticate',
]);

const forAnybody: ReadonlySet<string> = new Set([
  '/etcdserverpb.Cluster/MemberList',
  '/etcdserverpb.Maintenance/Status',
]);

export function guarded(methods: Methods): Methods {
  return new Map([...methods].map(([path, method]) => [path, guardedMethod(path, method)]));
}

function guardedMethod(path: string, method: Method): Method {
  if (judgedByTheStore.has(path)) return method;
  const need: Need = { type: forAnybody.has(path) ? 'user' : 'admin' };
  return method.type === 'unary' ? guardedUnary(method, need) : guardedStream(method, need);
}

function guardedUnary(method: UnaryMethod, need: Need): UnaryMethod {
  return {
    ...method,
    serve: async (request, call) => {
      const { client } = await call.stores();
      await client.authorize(need, { timeoutMs: call.timeoutMs() });
      return method.serve(request, call);
    },
  };
}

function guardedStream(method: StreamMethod, need: Need): StreamMethod {
  return { ...method, open: (call) => new GuardedStream(method, need, call) };
}

/** The stream behind it does not begin before its caller has the right; what he says meanwhile waits. */
class GuardedStream implements StreamHandler<object> {
  #inner: StreamHandler<object> | undefined;
  #waiting: object[] = [];
  #isFinished = false;

  constructor(method: StreamMethod, need: Need, call: StreamCall<object>) {
    this.#begin(method, need, call).catch((error: unknown) => call.end(toGrpcError(error)));
  }

  message(request: object): void {
    if (this.#inner) this.#inner.message(request);
    else this.#waiting.push(request);
  }

  finished(): void {
    this.#isFinished = true;
    this.#inner?.finished();
  }

  drained(): void {
    this.#inner?.drained?.();
  }

  async #begin(method: StreamMethod, need: Need, call: StreamCall<object>): Promise<void> {
    const { client } = await call.stores();
    await client.authorize(need, { timeoutMs: call.timeoutMs() });
    if (call.isGone) return;
    this.#inner = method.open(call);
    for (const request of this.#waiting.splice(0)) this.#inner.message(request);
    if (this.#isFinished) this.#inner.finished();
  }
}
