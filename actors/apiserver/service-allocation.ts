/**
 * Cluster addresses and node ports of Services. Each is a key under /ranges/ that is created in the transaction which
 * writes the Service, so no two Services ever hold the same one and none is lost; the cache only helps to guess a
 * free one (Kubernetes: pkg/registry/core/service/storage/alloc.go).
 */
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../objects/meta.js';
import type { Service, ServicePort } from '../objects/types/core.js';
import type { ServerContext } from './server-context.js';
import { invalid } from './status.js';
import type { Reservation } from './storage.js';
import { resourcePrefix } from './storage.js';
import type { Companions } from './transact.js';

type Allocator = Pick<ServerContext, 'serviceCidr' | 'nodePorts' | 'cache' | 'system'>;

const ipKey = (ip: string) => `/ranges/serviceips/${ip}`;
const portKey = (port: number) => `/ranges/servicenodeports/${port}`;

export function serviceCompanions(
  server: Allocator,
  next: KubeObject | undefined,
  old: KubeObject | undefined,
  taken: ReadonlySet<string>,
): Companions {
  const before = keysOf(old as Service | undefined);
  if (!next) return { release: [...before] };
  const service = next as Service;
  keepAllocated(service, old as Service | undefined);
  const allocation = new Allocation(server, service, before, taken);
  allocation.address();
  allocation.ports();
  const after = keysOf(service);
  const owner = `${service.metadata?.namespace}/${service.metadata?.name}`;
  const reserve: Reservation[] = [...after].filter((key) => !before.has(key)).map((key) => ({ key, owner }));
  return { reserve, release: [...before].filter((key) => !after.has(key)) };
}

function hasAddress({ spec }: Service): boolean {
  return spec?.type !== 'ExternalName';
}

function hasNodePorts({ spec }: Service): boolean {
  if (spec?.type === 'NodePort') return true;
  return spec?.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false;
}

function keysOf(service: Service | undefined): Set<string> {
  const keys = new Set<string>();
  const spec = service?.spec;
  if (!service || !spec) return keys;
  if (hasAddress(service)) {
    for (const ip of spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])) {
      if (ip !== '' && ip !== 'None') keys.add(ipKey(ip));
    }
  }
  for (const { nodePort } of spec.ports ?? []) if (nodePort) keys.add(portKey(nodePort));
  if (spec.healthCheckNodePort) keys.add(portKey(spec.healthCheckNodePort));
  return keys;
}

/** An update that leaves out what the server had chosen means: keep it. */
function keepAllocated(next: Service, old: Service | undefined): void {
  const spec = next.spec;
  if (!spec || !old?.spec) return;
  dropDependents(next, old);
  if (!hasAddress(next)) {
    delete spec.clusterIP;
    delete spec.clusterIPs;
  } else if (hasAddress(old)) {
    if (!spec.clusterIP && old.spec.clusterIP) spec.clusterIP = old.spec.clusterIP;
    if (!spec.clusterIPs && spec.clusterIP === old.spec.clusterIP && old.spec.clusterIPs) {
      spec.clusterIPs = old.spec.clusterIPs;
    }
  }
  const samePort = (a: ServicePort, b: ServicePort) =>
    a.port === b.port && (a.protocol ?? 'TCP') === (b.protocol ?? 'TCP');
  for (const port of spec.ports ?? []) {
    if (!hasNodePorts(next)) {
      if (spec.type !== 'LoadBalancer') delete port.nodePort;
    } else if (!port.nodePort && hasNodePorts(old)) {
      const same = old.spec.ports?.find((each) => samePort(each, port))?.nodePort;
      if (same) port.nodePort = same;
    }
  }
}

/** What the new type has no use for goes, unless the writer touched it (registry/core/service, dropTypeDependentFields). */
function dropDependents(next: Service, old: Service): void {
  const spec = next.spec!;
  const before = old.spec!;
  const drop = (key: 'externalTrafficPolicy' | 'ipFamilies' | 'ipFamilyPolicy' | 'loadBalancerClass') => {
    if (isDeepStrictEqual(spec[key], before[key])) delete spec[key];
  };
  if (hasAddress(old) && !hasAddress(next)) {
    drop('ipFamilies');
    drop('ipFamilyPolicy');
  }
  if (isExternal(old) && !isExternal(next)) drop('externalTrafficPolicy');
  if (before.type === 'LoadBalancer' && spec.type !== 'LoadBalancer') {
    drop('loadBalancerClass');
    if (spec.allocateLoadBalancerNodePorts === before.allocateLoadBalancerNodePorts) {
      delete spec.allocateLoadBalancerNodePorts;
    }
  }
}

/** Whether traffic comes from outside of the cluster, so that externalTrafficPolicy means something. */
function isExternal({ spec }: Service): boolean {
  if (spec?.type === 'NodePort' || spec?.type === 'LoadBalancer') return true;
  return spec?.type === 'ClusterIP' && (spec.externalIPs?.length ?? 0) > 0;
}

class Allocation {
  readonly #server: Allocator;
  readonly #service: Service;
  readonly #held: ReadonlySet<string>;
  readonly #taken: ReadonlySet<string>;

  constructor(server: Allocator, service: Service, held: ReadonlySet<string>, taken: ReadonlySet<string>) {
    this.#server = server;
    this.#service = service;
    this.#held = held;
    this.#taken = taken;
  }

  address(): void {
    const spec = this.#service.spec;
    if (!spec || !hasAddress(this.#service)) return;
    spec.ipFamilies ??= ['IPv4'];
    spec.ipFamilyPolicy ??= 'SingleStack';
    const wanted = spec.clusterIP || spec.clusterIPs?.[0] || '';
    if (wanted === 'None') {
      spec.clusterIP = 'None';
      spec.clusterIPs = ['None'];
      return;
    }
    const ip = wanted === '' ? this.#freeAddress() : this.#checkAddress(wanted);
    spec.clusterIP = ip;
    spec.clusterIPs = [ip, ...(spec.clusterIPs ?? []).slice(1)];
  }

  #checkAddress(ip: string): string {
    if (this.#held.has(ipKey(ip))) return ip;
    const { base, size } = parseCidr(this.#server.serviceCidr);
    const number = ipToNumber(ip);
    const value = JSON.stringify([ip]);
    if (number === undefined || number <= base || number >= base + size) {
      throw this.#refuse(
        'spec.clusterIPs',
        `Invalid value: ${value}: failed to allocate IP ${ip}: the provided IP (${ip}) is not in the valid range. ` +
          `The range of valid IPs is ${this.#server.serviceCidr}`,
      );
    }
    if (this.#taken.has(ipKey(ip))) {
      throw this.#refuse(
        'spec.clusterIPs',
        `Invalid value: ${value}: failed to allocate IP ${ip}: provided IP is already allocated`,
      );
    }
    return ip;
  }

  /** The lower part of the range is left to addresses that people choose (KEP-3070). */
  #freeAddress(): string {
    const { base, size } = parseCidr(this.#server.serviceCidr);
    const used = this.#used();
    const reserved = Math.min(Math.max(16, Math.floor(size / 16)), 256, Math.floor(size / 2));
    const last = size - 2;
    const find = (from: number, to: number): string | undefined => {
      const count = to - from + 1;
      if (count <= 0) return undefined;
      const start = this.#server.system.env.random.integer(count);
      for (let step = 0; step < count; step++) {
        const ip = numberToIp(base + from + ((start + step) % count));
        if (!used.has(ipKey(ip)) && !this.#taken.has(ipKey(ip))) return ip;
      }
      return undefined;
    };
    const ip = find(reserved, last) ?? find(2, reserved - 1);
    if (ip === undefined) {
      throw this.#refuse(
        'spec.clusterIPs',
        'Invalid value: []: failed to allocate a serviceIP: range is full',
      );
    }
    return ip;
  }

  ports(): void {
    const spec = this.#service.spec;
    if (!spec) return;
    const used = this.#used();
    const mine = new Map<string, number>();
    if (hasNodePorts(this.#service)) {
      for (const [index, port] of (spec.ports ?? []).entries()) {
        if (port.nodePort) {
          this.#checkPort(port.nodePort, `spec.ports[${index}].nodePort`);
          continue;
        }
        // One number serves both protocols of a port.
        const sibling = mine.get(`${port.port}/${port.protocol === 'UDP' ? 'TCP' : 'UDP'}`);
        port.nodePort = sibling ?? this.#freePort(used);
        used.add(portKey(port.nodePort));
        mine.set(`${port.port}/${port.protocol ?? 'TCP'}`, port.nodePort);
      }
    }
    const needsHealthCheck = spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';
    if (!needsHealthCheck) delete spec.healthCheckNodePort;
    else if (!spec.healthCheckNodePort) spec.healthCheckNodePort = this.#freePort(used);
  }

  #checkPort(port: number, field: string): void {
    if (this.#held.has(portKey(port))) return;
    const { from, to } = this.#server.nodePorts;
    if (port < from || port > to) {
      throw this.#refuse(
        field,
        `Invalid value: ${port}: provided port is not in the valid range. The range of valid ports is ${from}-${to}`,
      );
    }
    if (this.#taken.has(portKey(port))) {
      throw this.#refuse(field, `Invalid value: ${port}: provided port is already allocated`);
    }
  }

  #freePort(used: ReadonlySet<string>): number {
    const { from, to } = this.#server.nodePorts;
    const count = to - from + 1;
    const start = this.#server.system.env.random.integer(count);
    for (let step = 0; step < count; step++) {
      const port = from + ((start + step) % count);
      if (!used.has(portKey(port)) && !this.#taken.has(portKey(port))) return port;
    }
    throw this.#refuse('spec.ports', 'Invalid value: []: failed to allocate a nodePort: range is full');
  }

  /** What the cached Services hold: a guess, the transaction decides. */
  #used(): Set<string> {
    const cache = this.#server.cache.resource(resourcePrefix({ group: '', resource: 'services' }));
    const used = new Set<string>(this.#held);
    for (const entry of cache.range(cache.prefix))
      for (const key of keysOf(entry.object as Service)) used.add(key);
    return used;
  }

  #refuse(field: string, message: string): Error {
    const name = this.#service.metadata?.name ?? '';
    return invalid({ group: '', kind: 'Service' }, name, [{ reason: 'FieldValueInvalid', field, message }]);
  }
}

/** `size` counts all addresses, network and broadcast included. Throws a TypeError for what is no IPv4 range. */
export function parseCidr(cidr: string): { readonly base: number; readonly size: number } {
  const [address = '', bits = ''] = cidr.split('/');
  const number = ipToNumber(address);
  const length = Number(bits);
  if (number === undefined || !Number.isInteger(length) || length < 8 || length > 30 || bits === '') {
    throw new TypeError(`service range ${JSON.stringify(cidr)} must be an IPv4 CIDR between /8 and /30`);
  }
  const size = 2 ** (32 - length);
  return { base: number - (number % size), size };
}

function ipToNumber(ip: string): number | undefined {
  const parts = ip.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

function numberToIp(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}

/** The first address of the range: where the `kubernetes` Service lives. */
export function firstServiceAddress(cidr: string): string {
  return numberToIp(parseCidr(cidr).base + 1);
}
