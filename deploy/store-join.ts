/**
 * A member that joins a running store: it was added there with its peer URL; here it makes its key, says both to a member of
 * the store, and learns its name in the group and who the others are. All of it is written down, so that the next start
 * needs nothing but the folder.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { curveKeyPair } from 'zeromq';
import { realClock } from '../actors/runtime/index.js';
import type { MemberClaim } from '../actors/store/index.js';
import { etcdClientLimits, http2Connect, joinStore, NotJoined } from '../actors/store/etcd-client/index.js';
import { nodeId } from '../transport/index.js';
import { ShapeError } from './cluster-shape.js';
import type { ClusterSpec, JoinedMember, StoreAlone } from './cluster-spec.js';
import { freePorts } from './create-cluster.js';
import type { DataDir } from './data-dir.js';
import {
  checkListen,
  checkPeerListen,
  checkTlsFiles,
  parseListen,
  refuseBusyPorts,
  specOf,
} from './store-spec.js';
import { clientUrl } from './store-peers.js';

export interface JoinShape {
  /** Says to the store who has come, and resolves with what it answers. */
  ask(claim: MemberClaim): Promise<JoinAnswer>;
  /** What etcd's clients are to call it. */
  readonly title: string;
  /** `host:port`, as it was added. */
  readonly peerListen: string;
  readonly listen: string;
  readonly alone: Omit<StoreAlone, 'joined'>;
}

export interface JoinAnswer {
  readonly clusterId: string;
  /** What the member is called in the group. */
  readonly name: string;
  /** The others. */
  readonly members: readonly JoinedMember[];
}

const joinTimeoutMs = 15_000;

/** Everything is checked before the store is asked; asking twice does no harm. */
export async function joinRunningStore(dir: DataDir, shape: JoinShape): Promise<ClusterSpec> {
  if (dir.exists) {
    throw new ShapeError(`${dir.path} holds a member already: leave --join out to start it again`);
  }
  const [etcdListen = ''] = checkListen([shape.listen], 1, shape.alone);
  const [peer = ''] = checkPeerListen([shape.peerListen], 1);
  checkTlsFiles(shape.alone);
  await refuseBusyPorts([etcdListen], '--etcd-listen');
  await refuseBusyPorts([peer], '--peer-listen');
  dir.create();
  const keys = joinKeys(dir);
  const storeAddress = `tcp://${peer}`;
  const { clusterId, name, members } = await shape.ask({
    peerUrl: storeAddress,
    title: shape.title,
    publicKey: keys.publicKey,
    clientUrls: [clientUrl(shape.alone, etcdListen)],
  });
  // Names become names of files and nodes.
  const joined = members.map(({ name: other, url, publicKey }) => ({ name: nodeId(other), url, publicKey }));
  const [port = 0] = await freePorts(1);
  const address = `tcp://${peer.slice(0, peer.lastIndexOf(':'))}:${port}`;
  const inner = { address, storeAddress, etcdListen, title: shape.title };
  const machine = { name, role: 'master' as const, publicKey: keys.publicKey, podCidr: '', ...inner };
  dir.writeMachineKeys(nodeId(name), { secretKey: keys.secretKey });
  const spec = specOf(clusterId, [machine], { ...shape.alone, joined });
  dir.writeSpec(spec);
  rmSync(join(dir.path, joinKeysFile));
  return spec;
}

/** Whom to trust and who we are: paths of PEM files, and a user of the store as `name:password`. */
export interface JoinIdentity {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly user?: string;
}

export interface JoinPatience {
  readonly timeoutMs?: number;
  /** Hears once whom it asks and what they answered, when that takes its time. */
  report(line: string): void;
}

/**
 * Asks at the etcd API of members of the store: `host:port`, or URLs; `https` with the files. Goes on until time is up, or none
 * of them will ever say anything else.
 */
export function joinAtApi(
  endpoints: readonly string[],
  identity: JoinIdentity,
  { timeoutMs = joinTimeoutMs, report }: JoinPatience,
): JoinShape['ask'] {
  const { user } = identity;
  const [, name, password] = /^([^:]+):(.*)$/s.exec(user ?? '') ?? [];
  if (user !== undefined && (name === undefined || password === undefined)) {
    throw new ShapeError('--user takes NAME:PASSWORD');
  }
  const who = name === undefined || password === undefined ? {} : { user: { name, password } };
  const parsed = endpoints.map((text) => ({ address: text, ...parseListen(text, '--join') }));
  const clientTls = clientTlsOf(endpoints, identity);
  const connect = http2Connect({
    clock: realClock,
    limits: etcdClientLimits,
    ...(clientTls && { tls: clientTls }),
  });
  return async (request) => {
    const options = { connect, endpoints: parsed, clock: realClock, timeoutMs, ...who };
    const onWaiting = (answers: string, leftMs: number) =>
      report(
        `no member of the store has taken this one in yet, asking on for ${seconds(leftMs)}: ${answers}`,
      );
    const asked = joinStore({ ...options, request, onWaiting }).catch((error: unknown) => {
      throw error instanceof NotJoined ? nobodyThere(error, timeoutMs, clientTls !== undefined) : error;
    });
    const { clusterId, name: named, members } = await asked;
    const others = members.map((one) => ({
      name: one.name ?? '',
      url: one.url ?? '',
      publicKey: one.publicKey ?? '',
    }));
    return { clusterId, name: named, members: others };
  };
}

function nobodyThere(cause: NotJoined, timeoutMs: number, isTls: boolean): Error {
  const when = cause.isFinal ? 'takes this one in' : `took this one in within ${timeoutMs / 1_000} s`;
  const advice =
    'give with --join where running members serve clients (CLIENT URL in "kabuki store members"), or their folder on this machine';
  const proof = isTls ? '; --join-cacert says whom to trust, --join-cert and --join-key who this is' : '';
  return new Error(`no member of a store ${when} at ${cause.message}: ${advice}${proof}`, { cause });
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1_000)} s`;
}

function clientTlsOf(endpoints: readonly string[], { caFile, certFile, keyFile }: JoinIdentity) {
  const isTls = endpoints.some((text) => text.startsWith('https:'));
  if (!isTls && (caFile ?? certFile ?? keyFile) !== undefined) {
    throw new ShapeError('--join-cacert, --join-cert and --join-key are for --join https://...');
  }
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new ShapeError('--join-cert and --join-key belong together');
  }
  if (!isTls) return undefined;
  return {
    ...(caFile !== undefined && { ca: pem('--join-cacert', caFile) }),
    ...(certFile !== undefined && { certificate: pem('--join-cert', certFile) }),
    ...(keyFile !== undefined && { key: pem('--join-key', keyFile) }),
  };
}

function pem(option: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ShapeError(`${option} ${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

const joinKeysFile = 'join-keys.json';

/** Kept until the store has taken note of them: a second try must come with the same. */
function joinKeys(dir: DataDir): { readonly publicKey: string; readonly secretKey: string } {
  try {
    return JSON.parse(dir.readText(joinKeysFile)) as { publicKey: string; secretKey: string };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const keys = curveKeyPair();
  dir.writeSecret(joinKeysFile, `${JSON.stringify(keys)}\n`);
  return keys;
}
