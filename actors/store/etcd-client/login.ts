/**
 * Who calls an etcd that asks for it: a token, had for name and password over the connection that is in use, and shown with
 * each call. Tokens end: etcd's simple ones when they are not used for 300 s and when a member starts anew, JWTs when their
 * time is over, most with a change of users and roles. What is refused because of its token certainly did nothing; it is
 * made again with a new one, as clientv3 does it.
 */
import type { Clock } from '../../../transport/index.js';
import { StoreError } from '../client.js';
import { code, GrpcError } from '../etcd/status.js';
import { authenticate } from './authenticate.js';
import type { Served } from './endpoints.js';
import type { EtcdClientLimits } from './limits.js';

export interface Credentials {
  readonly name: string;
  /** Asked for each time: it may have been changed. What it throws is told. */
  password(): string;
}

export interface LoginOptions {
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly limits: EtcdClientLimits;
}

/** Undefined inside: nobody asked for one. */
interface Token {
  readonly text: string | undefined;
}

export class Login {
  readonly #options: LoginOptions;
  #token: Token | undefined;
  #asking: Promise<Token> | undefined;
  #refusal: StoreError | undefined;
  #restsUntilMs = 0;

  constructor(options: LoginOptions) {
    this.#options = options;
  }

  /**
   * Rejects with a StoreError Refused when name or password are wrong, for a while without asking again (each answer costs
   * etcd a hash), and else as `Connection.unary` does.
   */
  async token(served: Served, timeoutMs: number): Promise<string | undefined> {
    if (this.#token) return this.#token.text;
    if (this.#refusal && this.#options.clock.monotonicMs() < this.#restsUntilMs) throw this.#refusal;
    this.#asking ??= this.#ask(served, timeoutMs).finally(() => (this.#asking = undefined));
    return (await this.#asking).text;
  }

  /** Whether the call failed because of the token that it showed; the next one is another. */
  isOver(error: unknown, shown: string | undefined): boolean {
    if (!(error instanceof GrpcError) || !outworn.test(error.message)) return false;
    this.forget(shown);
    return true;
  }

  forget(shown: string | undefined): void {
    if (this.#token?.text === shown) this.#token = undefined;
  }

  async #ask(served: Served, timeoutMs: number): Promise<Token> {
    const { credentials, clock, limits } = this.#options;
    const { name } = credentials;
    try {
      const password = passwordOf(credentials);
      this.#token = { text: await authenticate(served.connection, { name, password }, timeoutMs) };
      this.#refusal = undefined;
      return this.#token;
    } catch (cause) {
      if (cause instanceof GrpcError && cause.code === code.invalidArgument) {
        const what = `${served.address}: user ${JSON.stringify(name)}: ${cause.message.replace(/^etcdserver: /, '')}`;
        this.#refusal = new StoreError('Refused', what, true, { cause });
      } else if (cause instanceof StoreError) this.#refusal = cause;
      else throw cause;
      this.#restsUntilMs = clock.monotonicMs() + limits.loginRestMs;
      throw this.#refusal;
    }
  }
}

/** The last: the token was had before authentication was enabled. */
const outworn = /invalid auth token|revision of auth store is old|user name is empty/;

function passwordOf({ name, password }: Credentials): string {
  try {
    return password();
  } catch (cause) {
    const what = `the password of ${JSON.stringify(name)} cannot be had: ${(cause as Error).message}`;
    throw new StoreError('Refused', what, true, { cause });
  }
}
