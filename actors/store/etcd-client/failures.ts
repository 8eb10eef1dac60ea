/**
 * What a failed call means: whether a write certainly was not made, whether the call may be made again, whether another endpoint
 * should be asked. etcd's texts are the contract (etcd api/v3rpc/rpctypes): the same that our front says.
 */
import { KvError, type KvErrorCode } from 'raft-consensus';
import { StoreError } from '../client.js';
import { code, GrpcError } from '../etcd/status.js';
import { ConnectionError } from './connection.js';

/** `read`: may be made as often as one likes. */
export type CallKind = 'read' | 'write';

export interface Failure {
  readonly error: StoreError;
  readonly again: boolean;
  /** This endpoint is not asked first the next time. */
  readonly leave: boolean;
}

export function failureOf(error: unknown, kind: CallKind, address: string): Failure {
  const isRead = kind === 'read';
  if (error instanceof ConnectionError) {
    const message = `${address}: ${error.message}`;
    if (!error.sent) return fled(new StoreError('NoLeader', message, true, { cause: error }));
    return {
      error: new StoreError('Timeout', message, isRead, { cause: error }),
      again: isRead,
      leave: true,
    };
  }
  if (!(error instanceof GrpcError)) throw error;
  const { message } = error;
  const options = { cause: error };
  // Refused before it was proposed: by a member without a leader, and by Raft itself in an election.
  if (/no leader|raft proposal dropped/.test(message))
    return fled(new StoreError('NoLeader', message, true, options));
  if (message.includes('too many requests')) {
    return { error: new StoreError('Overloaded', message, true, options), again: isRead, leave: false };
  }
  const refused = kvErrorOf(error);
  if (refused)
    return {
      error: new StoreError('Refused', message, true, { cause: refused }),
      again: false,
      leave: false,
    };
  if (refusals.has(error.code)) {
    return { error: new StoreError('Refused', message, true, options), again: false, leave: false };
  }
  const lost = message.includes('leader changed') ? 'LeaderChanged' : 'Timeout';
  const text = `${address}: ${message}`;
  return { error: new StoreError(lost, text, isRead, options), again: isRead, leave: true };
}

function fled(error: StoreError): Failure {
  return { error, again: true, leave: true };
}

/** Codes with which a request is turned down; PERMISSION_DENIED and UNAUTHENTICATED among them. */
const refusals: ReadonlySet<number> = new Set([
  code.invalidArgument,
  code.notFound,
  7,
  code.failedPrecondition,
  code.outOfRange,
  code.unimplemented,
  code.dataLoss,
  16,
]);

const byText: readonly (readonly [RegExp, KvErrorCode])[] = [
  [/required revision has been compacted/, 'Compacted'],
  [/required revision is a future revision/, 'FutureRevision'],
  [/requested lease not found/, 'LeaseNotFound'],
  [/lease already exists/, 'LeaseExists'],
  [/too large lease TTL/, 'LeaseTtlTooLarge'],
  [/key is not provided/, 'EmptyKey'],
  [/key not found/, 'KeyNotFound'],
  [/duplicate key given in txn request/, 'DuplicateKey'],
  [/too many operations in txn request/, 'TooManyOps'],
  [/request is too large|received message larger than max/, 'RequestTooLarge'],
  [/database space exceeded/, 'NoSpace'],
  [/corrupt cluster/, 'Corrupt'],
];

/** What our own state machine would have said; undefined when it is none of that. */
function kvErrorOf({ code: grpcCode, message }: GrpcError): KvError | undefined {
  const known = byText.find(([text]) => text.test(message));
  if (known) return new KvError(known[1], message);
  return grpcCode === code.invalidArgument ? new KvError('InvalidArgument', message) : undefined;
}
