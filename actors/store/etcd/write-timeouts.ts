/**
 * What is said of a write whose outcome nobody knows: that it timed out, and in etcd's words why, where the member beside this
 * front can tell (etcd server.go: parseProposeCtxErr). Without such words clients cannot tell a leader that fell from one that is
 * slow. etcd waits seven seconds before it says so; here the end of a leader is noticed, and what is waited for is no more than
 * the next leader.
 */
import { isReadOnly } from 'raft-consensus';
import type { Clock } from '../../../transport/index.js';
import { AskError } from '../../runtime/index.js';
import { StoreError } from '../client.js';
import type { ClusterView } from './cluster-view.js';
import type { TxnRequest } from './kv-messages.js';
import { etcdLimits } from './limits.js';
import type { Call, Method, Methods, UnaryMethod } from './method.js';
import { errors, type GrpcError } from './status.js';
import { txnOp } from './txn-request.js';

/** What goes through etcd's log. Locks and elections are not among them: they wait for others, and not for the log. */
const writes: ReadonlySet<string> = new Set([
  ...['Put', 'DeleteRange', 'Txn', 'Compact'].map((name) => `/etcdserverpb.KV/${name}`),
  ...['LeaseGrant', 'LeaseRevoke'].map((name) => `/etcdserverpb.Lease/${name}`),
  ...['MemberAdd', 'MemberRemove', 'MemberUpdate', 'MemberPromote'].map(
    (name) => `/etcdserverpb.Cluster/${name}`,
  ),
  '/etcdserverpb.Maintenance/Alarm',
  ...['AuthEnable', 'AuthDisable', 'UserAdd', 'UserDelete', 'UserChangePassword', 'UserGrantRole'].map(
    (name) => `/etcdserverpb.Auth/${name}`,
  ),
  ...['UserRevokeRole', 'RoleAdd', 'RoleDelete', 'RoleGrantPermission', 'RoleRevokePermission'].map(
    (name) => `/etcdserverpb.Auth/${name}`,
  ),
]);

export function withWriteTimeouts(methods: Methods, view: ClusterView, clock: Clock): Methods {
  const timeouts = new WriteTimeouts(view, clock);
  return new Map(
    [...methods].map(([path, method]): [string, Method] =>
      writes.has(path) && method.type === 'unary' ? [path, explained(method, timeouts)] : [path, method],
    ),
  );
}

function explained(method: UnaryMethod, timeouts: WriteTimeouts): UnaryMethod {
  return {
    ...method,
    serve: (request, call) => {
      const write = timeouts.begin(call);
      return method.serve(request, call).catch(async (error: unknown) => {
        if (!isOpen(error) || isRead(request)) throw error;
        throw await timeouts.explain(error, write);
      });
    },
  };
}

interface Write {
  readonly beganMs: number;
  readonly deadlineMs: number;
}

export class WriteTimeouts {
  readonly #view: Pick<ClusterView, 'status'>;
  readonly #clock: Clock;

  constructor(view: Pick<ClusterView, 'status'>, clock: Clock) {
    this.#view = view;
    this.#clock = clock;
  }

  begin(call: Pick<Call, 'timeoutMs'>): Write {
    const beganMs = this.#clock.monotonicMs();
    return { beganMs, deadlineMs: beganMs + call.timeoutMs() };
  }

  async explain(error: StoreError, { beganMs, deadlineMs }: Write): Promise<GrpcError> {
    // The leader itself said that it is none any more.
    if (error.code === 'LeaderChanged') return errors.timeoutLeaderFailed(error);
    const isCutShort = error.cause instanceof AskError && error.cause.code !== 'Timeout';
    const noticedMs = Math.min(deadlineMs, this.#clock.monotonicMs() + etcdLimits.leaderLossNoticedMs);
    for (;;) {
      const status = await this.#view.status().catch(() => undefined);
      const nowMs = this.#clock.monotonicMs();
      // As in etcd: a member that knows of no leader, or nothing at all, knows no reason.
      if (status === undefined) return errors.timeout(error);
      const tookMs = nowMs - beganMs;
      if (status.leader !== null && status.leaderForMs < tookMs) return errors.timeoutLeaderFailed(error);
      const isWaiting = isCutShort && nowMs < (status.leader === null ? deadlineMs : noticedMs);
      if (!isWaiting) {
        const isLost = status.leader !== null && (isCutShort || status.connectedForMs < tookMs);
        return isLost ? errors.timeoutConnectionLost(error) : errors.timeout(error);
      }
      await new Promise<void>((resolve) => this.#clock.setTimer(etcdLimits.leaderAskedAgainMs, resolve));
    }
  }
}

function isOpen(error: unknown): error is StoreError {
  return (
    error instanceof StoreError &&
    !error.definite &&
    (error.code === 'Timeout' || error.code === 'LeaderChanged')
  );
}

/** A transaction that only reads does not go through the log. */
function isRead(request: object): boolean {
  return 'compare' in request && isReadOnly(txnOp(request as TxnRequest));
}
