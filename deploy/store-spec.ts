/**
 * The specification of a store that runs alone, made or read again: a cluster of masters that are nothing but store members.
 * They keep their ports from one start to the next, unless somebody else has taken one meanwhile.
 */
import { randomBytes } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { curveKeyPair } from 'zeromq';
import { checkGroupSize, ShapeError } from './cluster-shape.js';
import type { ClusterSpec, MachineSpec, StoreAlone } from './cluster-spec.js';
import { freePorts, portIsFree } from './create-cluster.js';
import type { DataDir } from './data-dir.js';

export interface StoreShape {
  /** Default 3, or what the folder holds. */
  readonly members?: number;
  /** `host:port` of each member's etcd API. */
  readonly listen?: readonly string[];
  /** `host:port` at which each member hears the others; default: loopback and ports that are free. */
  readonly peerListen?: readonly string[];
  readonly alone: Omit<StoreAlone, 'joined'>;
}

/** What the folder holds, with the addresses of this start, or a new store. Everything is checked before anything is written. */
export async function prepareStore(dir: DataDir, shape: StoreShape): Promise<ClusterSpec> {
  const old = dir.exists ? dir.readSpec() : undefined;
  if (old && !old.store) {
    throw new ShapeError(`${dir.path} holds a Kubernetes cluster: "kabuki up" starts it again`);
  }
  const known = old && leftMachines(dir, old);
  const count = shape.members ?? known?.length ?? 3;
  if (!known) checkGroupSize('--members', count);
  if (known && known.length !== count) {
    const has = `${dir.path} holds a store of ${known.length} members, not ${count}`;
    throw new ShapeError(`${has}: leave --members out, or remove the folder to begin anew`);
  }
  const listen = shape.listen ?? known?.map(({ etcdListen }) => etcdListen as string);
  const addresses = checkListen(listen ?? defaultListen(count), count, shape.alone);
  const peers = shape.peerListen && checkPeerListen(shape.peerListen, count);
  checkTlsFiles(shape.alone);
  await refuseBusyPorts(addresses, '--etcd-listen');
  if (peers) await refuseBusyPorts(peers, '--peer-listen');
  if (!old) dir.create();
  const joined = old?.store?.joined;
  const store = { ...shape.alone, ...(joined && { joined }) };
  const spec = await storeSpec(dir, { id: old?.id, machines: known }, { addresses, peers }, store);
  dir.writeSpec(spec);
  return spec;
}

/** Without those that were removed from the group meanwhile. */
function leftMachines(dir: DataDir, { machines }: ClusterSpec): readonly MachineSpec[] {
  const left = machines.filter(({ name }) => !dir.isRemoved(name));
  if (left.length > 0) return left;
  const names = machines.map(({ name }) => name).join(', ');
  throw new ShapeError(
    `${names} of ${dir.path} was removed from its store and holds nothing that counts: remove the folder, ` +
      'and add a new member with "kabuki store run --join"',
  );
}

/** `host:port`, `[v6]:port` or `port`; the host is 127.0.0.1 when none is given. */
export function parseListen(
  text: string,
  option = '--etcd-listen',
): { readonly host: string; readonly port: number } {
  const match = /^(?:https?:\/\/)?(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/]+)):)?(\d{1,5})\/?$/.exec(text.trim());
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65_535) {
    throw new ShapeError(`${option} takes host:port, separated by commas, not ${JSON.stringify(text)}`);
  }
  return { host: match[1] ?? match[2] ?? '127.0.0.1', port };
}

export function defaultListen(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `127.0.0.1:${2379 + i * 10_000}`);
}

export function checkListen(
  listen: readonly string[],
  count: number,
  alone: Pick<StoreAlone, 'tls'>,
): string[] {
  if (listen.length !== count) {
    throw new ShapeError(
      `--etcd-listen names ${listen.length} address${listen.length === 1 ? '' : 'es'} for ${count} members: give one for each`,
    );
  }
  const addresses = listen.map((text) => {
    const { host, port } = parseListen(text);
    const isLoopback = /^(127\.|localhost$|::1$)/.test(host);
    if (!isLoopback && alone.tls?.clientCaFile === undefined) {
      throw new ShapeError(
        `--etcd-listen ${text} can be reached from other machines: ` +
          'give --cert-file, --key-file and --trusted-ca-file, so that only clients with a certificate are served',
      );
    }
    return hostPort(host, port);
  });
  refuseTwice(addresses, '--etcd-listen');
  return addresses;
}

/** CURVE keys guard these addresses: they may be reached from anywhere. */
export function checkPeerListen(listen: readonly string[], count: number): string[] {
  if (listen.length !== count) {
    const names = `--peer-listen names ${listen.length} address${listen.length === 1 ? '' : 'es'}`;
    throw new ShapeError(`${names} for ${count} member${count === 1 ? '' : 's'}: give one for each`);
  }
  const addresses = listen.map((text) => {
    const { host, port } = parseListen(text, '--peer-listen');
    if (!/^(0\.0\.0\.0|::)$/.test(host)) return hostPort(host, port);
    throw new ShapeError(`--peer-listen ${text} is no address that others can dial: name the machine's own`);
  });
  refuseTwice(addresses, '--peer-listen');
  return addresses;
}

function refuseTwice(addresses: readonly string[], option: string): void {
  const twice = addresses.find((address, i) => addresses.indexOf(address) !== i);
  if (twice !== undefined) throw new ShapeError(`${option} names ${twice} twice`);
}

function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function checkTlsFiles({ tls }: Pick<StoreAlone, 'tls'>): void {
  if (!tls) return;
  const files = {
    '--cert-file': tls.certFile,
    '--key-file': tls.keyFile,
    '--trusted-ca-file': tls.clientCaFile,
    '--client-crl-file': tls.clientCrlFile,
  };
  for (const [option, path] of Object.entries(files)) {
    if (path === undefined) continue;
    try {
      accessSync(path, constants.R_OK);
    } catch (cause) {
      throw new ShapeError(`${option} ${path} cannot be read: ${(cause as Error).message}`, { cause });
    }
  }
}

export async function refuseBusyPorts(addresses: readonly string[], option: string): Promise<void> {
  for (const address of addresses) {
    const { host, port } = parseListen(address);
    if (await portIsFree(port, host)) continue;
    throw new ShapeError(
      `${address} cannot be listened at, it is in use or not of this machine: give other addresses with ${option}`,
    );
  }
}

async function storeSpec(
  dir: DataDir,
  old: { readonly id: string | undefined; readonly machines: readonly MachineSpec[] | undefined },
  {
    addresses,
    peers,
  }: { readonly addresses: readonly string[]; readonly peers: readonly string[] | undefined },
  store: StoreAlone,
): Promise<ClusterSpec> {
  const taken = [...addresses, ...(peers ?? [])].map((address) => parseListen(address).port);
  const free = (await freePorts(2 * addresses.length + taken.length)).filter((port) => !taken.includes(port));
  const take = (host: string) => `tcp://${host}:${free.shift()}`;
  const machines: MachineSpec[] = [];
  for (const [i, etcdListen] of addresses.entries()) {
    const known = old.machines?.[i];
    const peer = peers?.[i];
    const host = peer === undefined ? '127.0.0.1' : peer.slice(0, peer.lastIndexOf(':'));
    const inner = {
      address: (await stillFree(known?.address, host)) ?? take(host),
      storeAddress:
        peer === undefined ? ((await stillFree(known?.storeAddress)) ?? take(host)) : `tcp://${peer}`,
      etcdListen,
    };
    machines.push(known ? { ...known, ...inner } : { ...newMachine(dir, `store-${i + 1}`), ...inner });
  }
  const id = old.id ?? randomBytes(16).toString('hex');
  return specOf(id, machines, store);
}

/** Of an earlier start, on this host (default: whichever). */
async function stillFree(address: string | undefined, host?: string): Promise<string | undefined> {
  if (address === undefined) return undefined;
  const at = parseListen(address.replace('tcp://', ''));
  if (host !== undefined && at.host !== host.replace(/^\[|\]$/g, '')) return undefined;
  return (await portIsFree(at.port, at.host)) ? address : undefined;
}

export function newMachine(dir: DataDir, name: string): Omit<MachineSpec, 'address'> {
  const keys = curveKeyPair();
  dir.writeMachineKeys(name, { secretKey: keys.secretKey });
  return { name, role: 'master', publicKey: keys.publicKey, podCidr: '' };
}

export function specOf(id: string, machines: readonly MachineSpec[], store: StoreAlone): ClusterSpec {
  const nothingElse = { frontPort: 0, serviceCidr: '', podCidr: '', kubernetesServicePort: 0 };
  return { name: 'store', id, machines, ...nothingElse, store };
}
