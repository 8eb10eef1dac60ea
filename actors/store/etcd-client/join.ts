/** The call by which a member that was added to a store says that it runs, to any of the store's members. */
import type { Clock } from '../../../transport/index.js';
import { JoinRequest, JoinResponse } from '../etcd/cluster-messages.js';
import { framePrefixBytes, sealFrame } from '../etcd/frames.js';
import type { MessageOf } from '../etcd/message.js';
import { code, GrpcError } from '../etcd/status.js';
import { authenticate, type NameAndPassword } from './authenticate.js';
import { type Connect, ConnectionError, type Endpoint } from './connection.js';

export interface JoinOptions {
  readonly connect: Connect;
  readonly endpoints: readonly Endpoint[];
  readonly clock: Clock;
  /** A store that has no leader at the moment, or is not reached, is asked again until then. */
  readonly timeoutMs: number;
  readonly request: MessageOf<typeof JoinRequest>;
  /** On whose behalf; a store that asks nobody for rights does not look at it. */
  readonly user?: NameAndPassword;
}

const retryMs = 500;
const callTimeoutMs = 5_000;

/**
 * Said twice it does no harm. Rejects with what the store said (GrpcError), or with a ConnectionError that says of each endpoint
 * that was tried why it took nobody in.
 */
export async function joinStore(options: JoinOptions): Promise<MessageOf<typeof JoinResponse>> {
  const { endpoints, clock, timeoutMs } = options;
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  const reasons = new Map<string, string>();
  for (let tries = 0; ; tries += 1) {
    const endpoint = endpoints[tries % endpoints.length];
    if (!endpoint) throw new TypeError('there is no endpoint to join at');
    try {
      return await callAt(endpoint, options);
    } catch (error) {
      const mayPass =
        error instanceof ConnectionError || (error instanceof GrpcError && passes.has(error.code));
      if (error instanceof GrpcError && error.code === code.unimplemented) {
        const what = `${endpoint.address} serves a store that is none of ours (${error.message})`;
        throw new GrpcError(error.code, what, { cause: error });
      }
      if (!mayPass) throw error;
      reasons.set(endpoint.address, error.message);
      if (clock.monotonicMs() + retryMs >= deadlineMs) {
        const tried = [...reasons].map(([address, why]) => `${address} (${why})`).join(', ');
        throw new ConnectionError(tried, true, { cause: error });
      }
    }
    await new Promise<void>((resolve) => void clock.setTimer(retryMs, resolve));
  }
}

const passes: ReadonlySet<number> = new Set([code.unavailable, code.deadlineExceeded]);

async function callAt(endpoint: Endpoint, { connect, request, user }: JoinOptions) {
  const frame = sealFrame(JoinRequest.encode(request, framePrefixBytes));
  const connection = await connect(endpoint);
  try {
    const token = user && (await authenticate(connection, user, callTimeoutMs));
    return JoinResponse.decode(await connection.unary('/kabuki.Store/Join', frame, callTimeoutMs, token));
  } finally {
    connection.close();
  }
}
