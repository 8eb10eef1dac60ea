/**
 * The call by which a member that was added to a store says that it runs, to any of the store's members. What may pass is tried
 * again; an endpoint whose answer no waiting can change is asked no more.
 */
import type { Clock } from '../../../transport/index.js';
import { JoinRequest, JoinResponse } from '../etcd/cluster-messages.js';
import { framePrefixBytes, sealFrame } from '../etcd/frames.js';
import type { MessageOf } from '../etcd/message.js';
import { code, GrpcError } from '../etcd/status.js';
import { authenticate, type NameAndPassword } from './authenticate.js';
import { type Connect, ConnectionError, type Endpoint, HungUpAfterHandshake } from './connection.js';

export interface JoinOptions {
  readonly connect: Connect;
  readonly endpoints: readonly Endpoint[];
  readonly clock: Clock;
  /** A store that has no leader at the moment, or is not reached, is asked again until then. */
  readonly timeoutMs: number;
  readonly request: MessageOf<typeof JoinRequest>;
  /** On whose behalf; a store that asks nobody for rights does not look at it. */
  readonly user?: NameAndPassword;
  /** Once, after a second without success: what each endpoint answered so far, and for how long they are asked on. */
  readonly onWaiting?: (answers: string, leftMs: number) => void;
}

/** No endpoint took the member in. The message says of each that was asked why not. */
export class NotJoined extends Error {
  /** Asking again does not help: the endpoints, or who asks, are wrong. */
  readonly isFinal: boolean;

  constructor(message: string, isFinal: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = 'NotJoined';
    this.isFinal = isFinal;
  }
}

const retryMs = 500;
const callTimeoutMs = 5_000;
const quietMs = 1_000;

/** Said twice it does no harm. Rejects with what the store said (GrpcError), or with NotJoined. */
export async function joinStore(options: JoinOptions): Promise<MessageOf<typeof JoinResponse>> {
  const { endpoints, clock, timeoutMs, onWaiting } = options;
  if (endpoints.length === 0) throw new TypeError('there is no endpoint to join at');
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  const answers = new Map<string, string>(endpoints.map(({ address }) => [address, 'no answer yet']));
  const waiting = clock.setTimer(quietMs, () =>
    onWaiting?.(textOf(answers), deadlineMs - clock.monotonicMs()),
  );
  try {
    return await asked(options, answers, deadlineMs);
  } finally {
    waiting.cancel();
  }
}

async function asked(options: JoinOptions, answers: Map<string, string>, deadlineMs: number) {
  const { clock } = options;
  for (let left = options.endpoints, tries = 0; ; tries += 1) {
    const endpoint = left[tries % left.length] as Endpoint;
    try {
      return await callAt(endpoint, options);
    } catch (error) {
      const { isFinal, why } = whatItSays(error);
      answers.set(endpoint.address, why);
      if (isFinal) left = left.filter((other) => other !== endpoint);
      if (left.length === 0 || clock.monotonicMs() + retryMs >= deadlineMs) {
        throw new NotJoined(textOf(answers), left.length === 0, { cause: error });
      }
      if (isFinal) continue;
    }
    await new Promise<void>((resolve) => void clock.setTimer(retryMs, resolve));
  }
}

function textOf(answers: ReadonlyMap<string, string>): string {
  return [...answers].map(([address, why]) => `${address} (${why})`).join(', ');
}

/** Of one endpoint; the others may be right. Throws what the store itself says: any member would. */
function whatItSays(error: unknown): { readonly isFinal: boolean; readonly why: string } {
  if (error instanceof ConnectionError) return { isFinal: !mayPass(error), why: error.message };
  if (!(error instanceof GrpcError)) throw error;
  switch (error.code) {
    case code.unavailable:
    case code.deadlineExceeded:
      return { isFinal: false, why: error.message };
    case code.unimplemented:
      return { isFinal: true, why: `it serves a store that is none of ours: ${error.message}` };
    case code.unknown:
      return { isFinal: true, why: error.message };
    default:
      throw error;
  }
}

/**
 * What a machine that starts, or a network that heals, does away with: the codes of system calls, and a connection that ended
 * without a reason. Not what TLS says, nor a server that speaks another protocol.
 */
function mayPass(error: ConnectionError): boolean {
  if (error instanceof HungUpAfterHandshake) return false;
  const { cause } = error;
  const { code: why } = (cause ?? {}) as { readonly code?: unknown };
  return cause === undefined || (typeof why === 'string' && passing.has(why));
}

const passing: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  // Names of machines that are being made.
  'ENOTFOUND',
  'EAI_AGAIN',
]);

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
