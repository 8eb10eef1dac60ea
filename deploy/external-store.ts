/**
 * A cluster whose store is a real etcd: what `--store` says, and the client that each master opens. What is made sure of before
 * it is used is in store-entry.ts.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { realClock } from '../actors/runtime/index.js';
import {
  type Credentials,
  EtcdStore,
  etcdClientLimits,
  http2Connect,
} from '../actors/store/etcd-client/index.js';
import type { ClusterSpec, ExternalStore } from './cluster-spec.js';

export interface StoreOptions {
  /** `etcd://host:port,host:port`; `etcds://` for TLS. */
  readonly url: string;
  /** Before every key, `/team-a`. */
  readonly prefix?: string;
  /** PEM files: the authority of the servers; what we show to them. Any of them means TLS. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Of an etcd with authentication; the file holds the password and nothing else. */
  readonly user?: string;
  readonly passwordFile?: string;
}

export class ExternalStoreError extends Error {
  readonly code: 'InvalidStore' | 'Unreachable' | 'NoRights' | 'NotOurs';

  constructor(code: ExternalStoreError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ExternalStoreError';
    this.code = code;
  }
}

const endpointsMax = 32;

export function parseStore(options: StoreOptions): ExternalStore {
  const { url, prefix = '' } = options;
  // Somebody's password may be in it: that is not said again.
  if (url.includes('@'))
    throw wrong('--store takes no user: --store-user and --store-password-file name him');
  const match = /^(etcds?):\/\/([^/]+)\/?$/.exec(url.trim());
  if (!match)
    throw wrong(`--store takes etcd://host:port,host:port (etcds:// for TLS), not ${JSON.stringify(url)}`);
  const endpoints = (match[2] as string).split(',').map((text) => endpointOf(text).address);
  const twice = endpoints.find((address, i) => endpoints.indexOf(address) !== i);
  if (twice !== undefined) throw wrong(`--store names ${twice} twice`);
  if (endpoints.length > endpointsMax) throw wrong(`--store takes at most ${endpointsMax} endpoints`);
  if (!/^(\/[A-Za-z0-9._-]+)*$/.test(prefix)) {
    throw wrong(`--store-prefix must be like /team-a, not ${JSON.stringify(prefix)}`);
  }
  const tls = parseTls(options, match[1] === 'etcds');
  const user = parseUser(options);
  const store = { endpoints, prefix, ...(tls && { tls }), ...(user && { user }) };
  // What cannot be read is told before anything begins.
  tlsOf(store);
  credentialsOf(store)?.password();
  return store;
}

function parseTls({ caFile, certFile, keyFile }: StoreOptions, isAsked: boolean): ExternalStore['tls'] {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw wrong('--store-cert and --store-key belong together');
  }
  if (!isAsked && caFile === undefined && certFile === undefined) return undefined;
  return {
    ...(caFile !== undefined && { caFile: resolve(caFile) }),
    ...(certFile !== undefined &&
      keyFile !== undefined && { certFile: resolve(certFile), keyFile: resolve(keyFile) }),
  };
}

function parseUser({ user, passwordFile }: StoreOptions): ExternalStore['user'] {
  if (user === undefined && passwordFile === undefined) return undefined;
  if (user === undefined || user === '' || passwordFile === undefined) {
    throw wrong('--store-user and --store-password-file belong together');
  }
  if (user.includes(':')) throw wrong('--store-user is a name; the password goes into --store-password-file');
  return { name: user, passwordFile: resolve(passwordFile) };
}

function wrong(what: string): ExternalStoreError {
  return new ExternalStoreError('InvalidStore', what);
}

/** `etcds://a:2379,b:2379/team-a`, for people. */
export function storeUrl({ endpoints, prefix, tls }: ExternalStore): string {
  return `${tls ? 'etcds' : 'etcd'}://${endpoints.join(',')}${prefix}`;
}

/** The client of one master: masters begin at different endpoints. */
export function openExternalStore(
  store: ExternalStore,
  first: number,
  note?: (what: string, fields: Readonly<Record<string, string | number | boolean>>) => void,
): EtcdStore {
  const start = first % store.endpoints.length;
  const tls = tlsOf(store);
  const credentials = credentialsOf(store);
  return new EtcdStore({
    endpoints: [...store.endpoints.slice(start), ...store.endpoints.slice(0, start)].map(endpointOf),
    connect: http2Connect({ clock: realClock, limits: etcdClientLimits, ...(tls && { tls }) }),
    clock: realClock,
    prefix: store.prefix,
    ...(credentials && { credentials }),
    ...(note && { note }),
  });
}

/** For what only the built-in store has. */
export function refuseExternalStore(spec: ClusterSpec): void {
  if (!spec.externalStore) return;
  throw new ExternalStoreError(
    'InvalidStore',
    `the store of this cluster is ${storeUrl(spec.externalStore)}: none of its machines leads it or has a part of it; use etcdctl`,
  );
}

/** A client for a question or two. */
export async function withClient<T>(
  store: ExternalStore,
  use: (client: EtcdStore) => Promise<T>,
): Promise<T> {
  const client = openExternalStore(store, 0);
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

function endpointOf(text: string): { address: string; host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const port = Number(match?.[3] ?? 2379);
  if (!match || port < 1 || port > 65_535) {
    throw new ExternalStoreError('InvalidStore', `--store: ${JSON.stringify(text)} is not host:port`);
  }
  const host = (match[1] ?? match[2]) as string;
  return { address: `${match[1] === undefined ? host : `[${host}]`}:${port}`, host, port };
}

/** Undefined: nobody is named. The file is read at each login: passwords change while a cluster runs. */
function credentialsOf({ user }: ExternalStore): Credentials | undefined {
  if (!user) return undefined;
  const { name, passwordFile } = user;
  const password = (): string => {
    const text = read('--store-password-file', passwordFile).replace(/\r?\n$/, '');
    if (text === '') throw wrong(`--store-password-file ${passwordFile} is empty`);
    return text;
  };
  return { name, password };
}

/** Undefined: plaintext. */
function tlsOf({ tls }: ExternalStore) {
  if (!tls) return undefined;
  return {
    ...(tls.caFile !== undefined && { ca: read('--store-cacert', tls.caFile) }),
    ...(tls.certFile !== undefined && { certificate: read('--store-cert', tls.certFile) }),
    ...(tls.keyFile !== undefined && { key: read('--store-key', tls.keyFile) }),
  };
}

function read(option: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const what = `${option} ${path} cannot be read: ${(cause as Error).message}`;
    throw new ExternalStoreError('InvalidStore', what, { cause });
  }
}
