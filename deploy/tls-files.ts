/**
 * The PEM files with which a store serves TLS, read again when they change: certificates are renewed and revoked while it runs,
 * as with etcd. What cannot be read or used is said, and what was in force stays.
 */
import { readFileSync } from 'node:fs';
import type { EtcdTls } from '../actors/store/etcd/index.js';
import type { Clock } from '../transport/index.js';
import type { StoreAlone } from './cluster-spec.js';

type TlsFiles = NonNullable<StoreAlone['tls']>;

const lookIntervalMs = 2_000;

export function readTls(files: TlsFiles): EtcdTls {
  const { certFile, keyFile, clientCaFile, clientCertAuth, clientCrlFile, clientHostname, minVersion } =
    files;
  return {
    certificate: readFileSync(certFile, 'utf8'),
    key: readFileSync(keyFile, 'utf8'),
    ...(clientCaFile !== undefined && { clientCa: readFileSync(clientCaFile, 'utf8') }),
    ...(clientCrlFile !== undefined && { clientCrl: readFileSync(clientCrlFile, 'utf8') }),
    ...(clientHostname !== undefined && { clientHostname }),
    ...(clientCertAuth === true && { clientCertAuth }),
    ...(minVersion !== undefined && { minVersion }),
  };
}

/** Until `stop`; connections that are open stay so. */
export class TlsFollower {
  readonly #files: TlsFiles;
  readonly #clock: Clock;
  readonly #renew: (tls: EtcdTls) => void;
  readonly #note: (problem: string) => void;
  /** What was last seen, be it of use or not. */
  #seen: string;
  #timer: { cancel(): void };

  constructor(
    files: TlsFiles,
    options: {
      readonly clock: Clock;
      readonly inForce: EtcdTls;
      /** Throws when it cannot be used. */
      renew(tls: EtcdTls): void;
      note(problem: string): void;
    },
  ) {
    this.#files = files;
    this.#clock = options.clock;
    this.#renew = (tls) => options.renew(tls);
    this.#note = (problem) => options.note(problem);
    this.#seen = JSON.stringify(options.inForce);
    this.#timer = this.#later();
  }

  stop(): void {
    this.#timer.cancel();
  }

  #later(): { cancel(): void } {
    return this.#clock.setTimer(lookIntervalMs, () => {
      this.#timer = this.#later();
      this.#look();
    });
  }

  #look(): void {
    let seen = 'nothing';
    try {
      const tls = readTls(this.#files);
      seen = JSON.stringify(tls);
      if (seen !== this.#seen) this.#renew(tls);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (seen === 'nothing') seen = problem;
      if (seen !== this.#seen) this.#note(problem);
    }
    this.#seen = seen;
  }
}
