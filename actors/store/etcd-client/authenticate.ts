/** The call by which etcd is told a name and a password, and answers with a token. */
import { AuthenticateRequest, AuthenticateResponse } from '../etcd/auth-messages.js';
import { framePrefixBytes, sealFrame } from '../etcd/frames.js';
import { errors, GrpcError } from '../etcd/status.js';
import type { Connection } from './connection.js';

export interface NameAndPassword {
  readonly name: string;
  readonly password: string;
}

/** Undefined where nobody needs a token. Rejects as `Connection.unary` does. */
export async function authenticate(
  connection: Connection,
  who: NameAndPassword,
  timeoutMs: number,
): Promise<string | undefined> {
  const frame = sealFrame(AuthenticateRequest.encode(who, framePrefixBytes));
  try {
    const answer = await connection.unary('/etcdserverpb.Auth/Authenticate', frame, timeoutMs);
    return AuthenticateResponse.decode(answer).token;
  } catch (error) {
    const isNeedless = error instanceof GrpcError && error.message === errors.authNotEnabled().message;
    if (!isNeedless) throw error;
    return undefined;
  }
}
