/**
 * Who makes a call, as etcd finds out (AuthInfoFromCtx): by the token in its metadata, else by the common name of the client's
 * certificate where that counts, else nobody. While nobody is asked for rights a token is not looked at. What a caller may do
 * is not known here: the store is told who it is, and judges.
 */
import type { AuthSecrets, Caller } from 'raft-consensus';
import type { Clock } from '../../../transport/index.js';
import type { CallerStore, GuardedStoreClient } from '../caller-store.js';
import type { EtcdLimits } from './limits.js';
import { errors } from './status.js';
import { type TokenKeys, verifyToken } from './tokens.js';

/** The store on the behalf of one caller. */
export interface CallerStores {
  /** Nearest member first. */
  readonly client: CallerStore;
  /** Of the member beside the front only. */
  readonly local: CallerStore;
}

export interface Credentials {
  /** From the metadata; undefined: none. */
  readonly token: string | undefined;
  /** Of a certificate that was verified; undefined: none, or names do not count. */
  readonly commonName: string | undefined;
}

export interface CallersOptions {
  readonly client: GuardedStoreClient;
  readonly local: GuardedStoreClient;
  readonly clock: Clock;
  readonly limits: EtcdLimits;
  /** Instead of the group's. */
  readonly tokenKeys?: TokenKeys | undefined;
}

interface Known {
  readonly stores: CallerStores;
  readonly expiresAtMs: number;
}

export class Callers {
  readonly #options: CallersOptions;
  readonly #nobody: CallerStores;
  /** Tokens that were verified, the oldest first. */
  readonly #byToken = new Map<string, Known>();
  readonly #byName = new Map<string, CallerStores>();
  #secrets: AuthSecrets | undefined;
  #asking: Promise<AuthSecrets> | undefined;

  constructor(options: CallersOptions) {
    this.#options = options;
    this.#nobody = this.#storesOf({ type: 'anonymous' });
  }

  /** Rejects with "invalid auth token". At once for whoever is known: calls come here one by one. */
  of({ token, commonName }: Credentials): CallerStores | Promise<CallerStores> {
    if (token === undefined) return this.#named(commonName);
    const known = this.#byToken.get(token);
    if (known && this.#options.clock.nowMs() < known.expiresAtMs) return known.stores;
    return this.#verify(token, commonName);
  }

  /** An empty name proves nobody. */
  #named(commonName: string | undefined): CallerStores {
    if (commonName === undefined || commonName === '') return this.#nobody;
    const known = this.#byName.get(commonName);
    if (known) return known;
    const stores = this.#storesOf({ type: 'certificate', user: commonName });
    remember(this.#byName, commonName, stores, this.#options.limits.callersRememberedMax);
    return stores;
  }

  async #verify(token: string, commonName: string | undefined): Promise<CallerStores> {
    const nowMs = this.#options.clock.nowMs();
    const { tokenKeys } = this.#options;
    const known = this.#secrets;
    let claims = known?.enabled ? await verifyToken(token, tokenKeys ?? known.tokenKey, nowMs) : undefined;
    if (!claims) {
      // Rights may be enforced only since, or with another key.
      const { enabled, tokenKey } = await this.#ask();
      if (!enabled) return this.#named(commonName);
      claims = await verifyToken(token, tokenKeys ?? tokenKey, nowMs);
    }
    if (!claims) throw errors.invalidAuthToken();
    const { user, authRevision, expiresAtMs } = claims;
    const stores = this.#storesOf({ type: 'token', user, authRevision });
    remember(this.#byToken, token, { stores, expiresAtMs }, this.#options.limits.callersRememberedMax);
    return stores;
  }

  /** Calls that wait for the same question share it. */
  #ask(): Promise<AuthSecrets> {
    this.#asking ??= this.#options.client
      .authSecrets(undefined, { timeoutMs: this.#options.limits.requestTimeoutMs })
      .then((secrets) => (this.#secrets = secrets))
      .finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  #storesOf(caller: Caller): CallerStores {
    return { client: this.#options.client.as(caller), local: this.#options.local.as(caller) };
  }
}

function remember<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > most) map.delete(map.keys().next().value as string);
}
