/**
 * The specification of a store that runs alone, made or read again: a cluster of masters that are nothing but store members.
 * Ports between the members may change from one start to the next, for all members start together.
 */
import { randomBytes } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { curveKeyPair } from 'zeromq';
import type { ClusterSpec, MachineSpec, StoreAlone } from './cluster-spec.js';
import { freePorts, portIsFree } from './create-cluster.js';
import type { DataDir } from './data-dir.js';

export interface StoreShape {
  /** Default 3, or what the folder holds. */
  readonly members?: number;
  /** `host:port` of each member's etcd API. */
  readonly listen?: readonly string[];
  readonly alone: StoreAlone;
}

export class StoreShapeError extends Error {
  readonly code = 'InvalidShape';
}

/** What the folder holds, with the addresses of this start, or a new store. Everything is checked before anything is written. */
export async function prepareStore(dir: DataDir, shape: StoreShape): Promise<ClusterSpec> {
  const old = dir.exists ? dir.readSpec() : undefined;
  if (old && !old.store) {
    throw new StoreShapeError(`${dir.path} holds a Kubernetes cluster: "kabuki up" starts it again`);
  }
  const count = shape.members ?? old?.machines.length ?? 3;
  if (![1, 3, 5].includes(count)) {
    throw new StoreShapeError(`--members must be 1, 3 or 5 (an odd group survives failures), not ${count}`);
  }
  if (old && old.machines.length !== count) {
    const has = `${dir.path} holds a store of ${old.machines.length} members, not ${count}`;
    throw new StoreShapeError(`${has}: leave --members out, or remove the folder to begin anew`);
  }
  const listen = shape.listen ?? old?.machines.map(({ etcdListen }) => etcdListen as string);
  const addresses = checkListen(listen ?? defaultListen(count), count, shape.alone);
  checkTlsFiles(shape.alone);
  await refuseBusyPorts(addresses);
  if (!old) dir.create();
  const spec = await storeSpec(dir, old, addresses, shape.alone);
  dir.writeSpec(spec);
  return spec;
}

/** `host:port`, `[v6]:port` or `port`; the host is 127.0.0.1 when none is given. */
export function parseListen(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:https?:\/\/)?(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/]+)):)?(\d{1,5})\/?$/.exec(text.trim());
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65_535) {
    throw new StoreShapeError(
      `--etcd-listen takes host:port, separated by commas, not ${JSON.stringify(text)}`,
    );
  }
  return { host: match[1] ?? match[2] ?? '127.0.0.1', port };
}

function defaultListen(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `127.0.0.1:${2379 + i * 10_000}`);
}

function checkListen(listen: readonly string[], count: number, alone: StoreAlone): string[] {
  if (listen.length !== count) {
    throw new StoreShapeError(
      `--etcd-listen names ${listen.length} address${listen.length === 1 ? '' : 'es'} for ${count} members: give one for each`,
    );
  }
  const addresses = listen.map((text) => {
    const { host, port } = parseListen(text);
    const isLoopback = /^(127\.|localhost$|::1$)/.test(host);
    if (!isLoopback && alone.tls?.clientCaFile === undefined) {
      throw new StoreShapeError(
        `--etcd-listen ${text} can be reached from other machines: ` +
          'give --cert-file, --key-file and --trusted-ca-file, so that only clients with a certificate are served',
      );
    }
    return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  });
  const twice = addresses.find((address, i) => addresses.indexOf(address) !== i);
  if (twice !== undefined) throw new StoreShapeError(`--etcd-listen names ${twice} twice`);
  return addresses;
}

function checkTlsFiles({ tls }: StoreAlone): void {
  if (!tls) return;
  const files = {
    '--cert-file': tls.certFile,
    '--key-file': tls.keyFile,
    '--trusted-ca-file': tls.clientCaFile,
  };
  for (const [option, path] of Object.entries(files)) {
    if (path === undefined) continue;
    try {
      accessSync(path, constants.R_OK);
    } catch (cause) {
      throw new StoreShapeError(`${option} ${path} cannot be read: ${(cause as Error).message}`, { cause });
    }
  }
}

async function refuseBusyPorts(addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    const { host, port } = parseListen(address);
    if (await portIsFree(port, host)) continue;
    throw new StoreShapeError(
      `${address} cannot be listened at, it is in use or not of this machine: give other addresses with --etcd-listen`,
    );
  }
}

async function storeSpec(
  dir: DataDir,
  old: ClusterSpec | undefined,
  addresses: readonly string[],
  store: StoreAlone,
): Promise<ClusterSpec> {
  const taken = new Set(addresses.map((address) => parseListen(address).port));
  const ports = (await freePorts(3 * addresses.length)).filter((port) => !taken.has(port));
  const take = () => `tcp://127.0.0.1:${ports.shift()}`;
  const machines = addresses.map((etcdListen, i): MachineSpec => {
    const inner = { address: take(), storeAddress: take(), etcdListen };
    const known = old?.machines[i];
    if (known) return { ...known, ...inner };
    const name = `store-${i + 1}`;
    const keys = curveKeyPair();
    dir.writeMachineKeys(name, { secretKey: keys.secretKey });
    return { name, role: 'master', publicKey: keys.publicKey, podCidr: '', ...inner };
  });
  const nothingElse = { frontPort: 0, serviceCidr: '', podCidr: '', kubernetesServicePort: 0 };
  return { name: 'store', id: old?.id ?? randomBytes(16).toString('hex'), machines, ...nothingElse, store };
}
