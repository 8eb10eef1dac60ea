/** etcd's Lease service. TTLs are whole seconds here and milliseconds in the store. */
import { KvError, leaseId } from 'raft-consensus';
import { StoreError } from '../client.js';
import type { ClusterView } from './cluster-view.js';
import { etcdLimits } from './limits.js';
import { service, type StreamCall, type StreamHandler, streaming, unary } from './method.js';
import {
  Empty,
  HeaderOnly,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRequest,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from './rpc-messages.js';
import { errors, toGrpcError } from './status.js';

export function leaseService(view: ClusterView) {
  const revoke = unary(LeaseRequest, HeaderOnly, async ({ id }, call) => {
    const { client } = await call.stores();
    const at = await client.leaseRevoke(leaseId(id), { timeoutMs: call.timeoutMs() });
    return { header: view.header(at) };
  });
  const timeToLive = unary(LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, async ({ id, keys }, call) => {
    const { client } = await call.stores();
    try {
      const lease = await client.leaseTimeToLive(leaseId(id), { keys, timeoutMs: call.timeoutMs() });
      return {
        header: view.header(lease.revision),
        id,
        ttl: Math.floor(lease.ttlMs / 1000),
        grantedTtl: Math.round(lease.grantedTtlMs / 1000),
        keys: lease.keys,
      };
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return { header: view.header(), id, ttl: -1 };
    }
  });
  const leases = unary(Empty, LeaseLeasesResponse, async (_request, call) => {
    const { client } = await call.stores();
    const { revision: at, result } = await client.leases({ timeoutMs: call.timeoutMs() });
    return { header: view.header(at), leases: result.map((id) => ({ id })) };
  });
  return service('etcdserverpb.Lease', {
    LeaseGrant: unary(LeaseGrantRequest, LeaseGrantResponse, async ({ ttl, id }, call) => {
      if (ttl > etcdLimits.leaseTtlMaxSeconds) throw errors.leaseTtlTooLarge();
      const seconds = Math.max(ttl, etcdLimits.leaseTtlMinSeconds);
      const { client } = await call.stores();
      const timeoutMs = call.timeoutMs();
      const granted = await client.leaseGrant(seconds * 1000, { id: leaseId(id), timeoutMs });
      return { header: view.header(), id: granted, ttl: seconds };
    }),
    LeaseRevoke: revoke,
    LeaseTimeToLive: timeToLive,
    LeaseLeases: leases,
    LeaseKeepAlive: streaming(LeaseRequest, LeaseKeepAliveResponse, (call) => new KeepAlive(call, view)),
  });
}

/** Renewals of one stream are carried out side by side and answered as they are done. */
class KeepAlive implements StreamHandler<{ readonly id: number | bigint }> {
  readonly #call: StreamCall<{ id: number | bigint; ttl: number }>;
  readonly #view: ClusterView;
  #running = 0;
  #isFinished = false;

  constructor(call: StreamCall<never>, view: ClusterView) {
    this.#call = call;
    this.#view = view;
  }

  message({ id }: { readonly id: number | bigint }): void {
    this.#running += 1;
    void this.#renew(id);
  }

  finished(): void {
    this.#isFinished = true;
    if (this.#running === 0) this.#call.end();
  }

  async #renew(id: number | bigint): Promise<void> {
    try {
      const { ttl, header } = await this.#renewed(id);
      this.#call.send({ header, id, ttl } as never);
    } catch (error) {
      this.#call.end(toGrpcError(error));
    } finally {
      this.#running -= 1;
      if (this.#isFinished && this.#running === 0) this.#call.end();
    }
  }

  /** A lease that is not there has no time to live: that is an answer, not an error. */
  async #renewed(id: number | bigint) {
    try {
      const { client } = await this.#call.stores();
      const { revision: at, ttlMs } = await client.leaseKeepAlive(leaseId(id));
      return { ttl: Math.ceil(ttlMs / 1000), header: this.#view.header(at) };
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return { ttl: 0, header: this.#view.header() };
    }
  }
}

function isNotFound(error: unknown): boolean {
  return (
    error instanceof StoreError && error.cause instanceof KvError && error.cause.code === 'LeaseNotFound'
  );
}
