/**
 * A member that joins a running store: it was added there with its peer URL; here it makes its key, says both to a member of
 * the store, and learns its name in the group and who the others are. All of it is written down, so that the next start
 * needs nothing but the folder.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { curveKeyPair } from 'zeromq';
import { realClock } from '../actors/runtime/index.js';
import { etcdClientLimits, http2Connect, joinStore } from '../actors/store/etcd-client/index.js';
import { nodeId } from '../transport/index.js';
import type { ClusterSpec, StoreAlone } from './cluster-spec.js';
import { freePorts } from './create-cluster.js';
import type { DataDir } from './data-dir.js';
import {
  checkListen,
  checkPeerListen,
  checkTlsFiles,
  parseListen,
  refuseBusyPorts,
  specOf,
  StoreShapeError,
} from './store-spec.js';
import { clientUrl } from './store-peers.js';

export interface JoinShape {
  /** `host:port` or URLs of the etcd API of members of the store. */
  readonly endpoints: readonly string[];
  /** What etcd's clients are to call it. */
  readonly title: string;
  /** `host:port`, as it was added. */
  readonly peerListen: string;
  readonly listen: string;
  readonly alone: Omit<StoreAlone, 'joined'>;
}

const joinTimeoutMs = 15_000;

/** Everything is checked before the store is asked; asking twice does no harm. */
export async function joinRunningStore(dir: DataDir, shape: JoinShape): Promise<ClusterSpec> {
  if (dir.exists) {
    throw new StoreShapeError(`${dir.path} holds a member already: leave --join out to start it again`);
  }
  const [etcdListen = ''] = checkListen([shape.listen], 1, shape.alone);
  const [peer = ''] = checkPeerListen([shape.peerListen], 1);
  checkTlsFiles(shape.alone);
  const endpoints = shape.endpoints.map((text) => ({
    address: text,
    ...parseListen(text, '--join'),
    isTls: text.startsWith('https:'),
  }));
  await refuseBusyPorts([etcdListen], '--etcd-listen');
  await refuseBusyPorts([peer], '--peer-listen');
  dir.create();
  const keys = joinKeys(dir);
  const storeAddress = `tcp://${peer}`;
  const { tls } = shape.alone;
  const isTls = endpoints.some((endpoint) => endpoint.isTls);
  const clientTls = isTls && {
    ...(tls?.clientCaFile !== undefined && { ca: readFileSync(tls.clientCaFile, 'utf8') }),
    ...(tls && { certificate: readFileSync(tls.certFile, 'utf8'), key: readFileSync(tls.keyFile, 'utf8') }),
  };
  const { clusterId, name, members } = await joinStore({
    connect: http2Connect({
      clock: realClock,
      limits: etcdClientLimits,
      ...(clientTls && { tls: clientTls }),
    }),
    endpoints,
    clock: realClock,
    timeoutMs: joinTimeoutMs,
    request: {
      peerUrl: storeAddress,
      title: shape.title,
      publicKey: keys.publicKey,
      clientUrls: [clientUrl(shape.alone, etcdListen)],
    },
  });
  const joined = members.map((member) => ({
    // Names become names of files and nodes.
    name: nodeId(member.name ?? ''),
    url: member.url ?? '',
    publicKey: member.publicKey ?? '',
  }));
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
