/** How RPCs fail: gRPC's codes and etcd's texts to the letter (etcd api/v3rpc/rpctypes), because clients match on them. */
import { KvError, type MembershipRefusal, RaftError } from 'raft-consensus';
import { StoreError } from '../client.js';

/** gRPC status codes (grpc.io, "Status codes and their use in gRPC"). */
export const code = {
  ok: 0,
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** As Go's gRPC prints it: `PermissionDenied`. */
export function codeName(of: GrpcCode): string {
  const name = Object.entries(code).find(([, value]) => value === of)?.[0] ?? 'unknown';
  return name[0]!.toUpperCase() + name.slice(1);
}

export type GrpcCode = (typeof code)[keyof typeof code];

export class GrpcError extends Error {
  readonly code: GrpcCode;

  constructor(grpcCode: GrpcCode, text: string, options?: ErrorOptions) {
    super(text, options);
    this.name = 'GrpcError';
    this.code = grpcCode;
  }
}

const make = (grpcCode: GrpcCode, text: string) => (cause?: unknown) =>
  new GrpcError(grpcCode, text, cause === undefined ? undefined : { cause });

export const errors = {
  emptyKey: make(code.invalidArgument, 'etcdserver: key is not provided'),
  keyNotFound: make(code.invalidArgument, 'etcdserver: key not found'),
  valueProvided: make(code.invalidArgument, 'etcdserver: value is provided'),
  leaseProvided: make(code.invalidArgument, 'etcdserver: lease is provided'),
  tooManyOps: make(code.invalidArgument, 'etcdserver: too many operations in txn request'),
  invalidClientApiVersion: make(code.invalidArgument, 'etcdserver: invalid client api version'),
  invalidSortOption: make(code.invalidArgument, 'etcdserver: invalid sort option'),
  requestTooLarge: make(code.invalidArgument, 'etcdserver: request is too large'),
  compacted: make(code.outOfRange, 'etcdserver: mvcc: required revision has been compacted'),
  leaseTtlTooLarge: make(code.outOfRange, 'etcdserver: too large lease TTL'),
  tooManyRequests: make(code.resourceExhausted, 'etcdserver: too many requests'),
  noLeader: make(code.unavailable, 'etcdserver: no leader'),
  notLeader: make(code.failedPrecondition, 'etcdserver: not leader'),
  leaderChanged: make(code.unavailable, 'etcdserver: leader changed'),
  timeout: make(code.unavailable, 'etcdserver: request timed out'),
  timeoutLeaderFailed: make(
    code.unavailable,
    'etcdserver: request timed out, possibly due to previous leader failure',
  ),
  timeoutConnectionLost: make(
    code.unavailable,
    'etcdserver: request timed out, possibly due to connection lost',
  ),
  stopped: make(code.unavailable, 'etcdserver: server stopped'),
  badTransferee: make(code.failedPrecondition, 'etcdserver: bad leader transferee'),
  memberNotFound: make(code.notFound, 'etcdserver: member not found'),
  badMemberUrls: make(code.invalidArgument, 'etcdserver: given member URLs are invalid'),
  peerUrlExists: make(code.failedPrecondition, 'etcdserver: Peer URLs already exists'),
  notLearner: make(code.failedPrecondition, 'etcdserver: can only promote a learner member'),
  learnerNotReady: make(
    code.failedPrecondition,
    'etcdserver: can only promote a learner member which is in sync with leader',
  ),
  tooManyLearners: make(code.failedPrecondition, 'etcdserver: too many learner members in cluster'),
  notEnoughStarted: make(
    code.failedPrecondition,
    'etcdserver: re-configuration failed due to not enough started members',
  ),
  unhealthy: make(code.unavailable, 'etcdserver: unhealthy cluster'),
  canceled: make(code.canceled, 'etcdserver: request canceled'),
  deadlineExceeded: make(code.deadlineExceeded, 'etcdserver: context deadline exceeded'),
  authFailed: make(code.invalidArgument, 'etcdserver: authentication failed, invalid user ID or password'),
  permissionNotGiven: make(code.invalidArgument, 'etcdserver: permission not given'),
  invalidAuthMgmt: make(code.invalidArgument, 'etcdserver: invalid auth management'),
  invalidAuthToken: make(code.unauthenticated, 'etcdserver: invalid auth token'),
  authNotEnabled: make(code.failedPrecondition, 'etcdserver: authentication is not enabled'),
} as const;

const ofKvError: Readonly<Record<string, GrpcCode>> = {
  Compacted: code.outOfRange,
  FutureRevision: code.outOfRange,
  LeaseNotFound: code.notFound,
  LeaseExists: code.failedPrecondition,
  LeaseTtlTooLarge: code.outOfRange,
  NoSpace: code.resourceExhausted,
  Corrupt: code.dataLoss,
  RootUserNotExist: code.failedPrecondition,
  RootRoleNotExist: code.failedPrecondition,
  UserAlreadyExist: code.failedPrecondition,
  UserNotFound: code.failedPrecondition,
  RoleAlreadyExist: code.failedPrecondition,
  RoleNotFound: code.failedPrecondition,
  RoleNotGranted: code.failedPrecondition,
  PermissionNotGranted: code.failedPrecondition,
  PermissionDenied: code.permissionDenied,
  InvalidAuthToken: code.unauthenticated,
};

const ofRefusal: Readonly<Record<MembershipRefusal, (cause: unknown) => GrpcError>> = {
  'member-exists': errors.peerUrlExists,
  'member-not-found': errors.memberNotFound,
  'not-a-learner': errors.notLearner,
  'learner-not-ready': errors.learnerNotReady,
  'too-many-learners': errors.tooManyLearners,
  'too-many-members': (cause) =>
    new GrpcError(code.failedPrecondition, 'etcdserver: too many members in cluster', { cause }),
  // Of members that have started and are down; voters that have not started there are none (membership-requests.ts).
  'quorum-at-risk': errors.unhealthy,
  'no-voter-left': errors.notEnoughStarted,
  pending: errors.unhealthy,
  'prev-index': errors.unhealthy,
  invalid: errors.badMemberUrls,
};

/** The KvError's texts are etcd's already. */
export function toGrpcError(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error;
  if (error instanceof KvError) return fromKvError(error);
  if (!(error instanceof StoreError)) {
    const text = error instanceof Error ? error.message : String(error);
    return new GrpcError(code.internal, `etcdserver: ${text}`, { cause: error });
  }
  switch (error.code) {
    case 'NoLeader':
      return errors.noLeader(error);
    case 'Timeout':
      return errors.timeout(error);
    case 'LeaderChanged':
      return errors.leaderChanged(error);
    case 'Overloaded':
      return errors.tooManyRequests(error);
    case 'Refused':
      if (error.cause instanceof KvError) return fromKvError(error.cause);
      if (error.cause instanceof RaftError && error.cause.reason !== null) {
        return ofRefusal[error.cause.reason](error);
      }
      return new GrpcError(code.unknown, error.message, { cause: error });
  }
}

function fromKvError(error: KvError): GrpcError {
  return new GrpcError(ofKvError[error.code] ?? code.invalidArgument, error.message, { cause: error });
}
