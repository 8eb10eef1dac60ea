/**
 * What must be written in the same transaction as an object: the fence that follows a Lease's holder (ARCHITECTURE rule
 * 10), the addresses and ports of a Service, the lease that an Event lives by.
 */
import { Buffer } from 'node:buffer';
import type { KubeObject } from '../objects/meta.js';
import type { Lease } from '../objects/types/coordination.js';
import { serviceCompanions } from './service-allocation.js';
import type { RequestContext } from './server-context.js';
import { fenceKey } from './storage.js';
import type { Companions } from './transact.js';

/**
 * `next` may be completed (a Service gets its address). `old` undefined: a create; `next` undefined: a delete.
 * `taken`: reservations that failed before.
 */
export async function companionsFor(
  context: Pick<RequestContext, 'server' | 'resource'>,
  next: KubeObject | undefined,
  old: KubeObject | undefined,
  taken: ReadonlySet<string>,
): Promise<Companions> {
  const { group, resource } = context.resource;
  if (group === 'coordination.k8s.io' && resource === 'leases') return leaseCompanions(next, old);
  if (resource === 'events' && next) return { lease: await context.server.eventLeases.current() };
  if (group === '' && resource === 'services') return serviceCompanions(context.server, next, old, taken);
  return {};
}

function leaseCompanions(next: Lease | undefined, old: Lease | undefined): Companions {
  const { namespace = '', name = '' } = (next ?? old)!.metadata ?? {};
  const key = fenceKey(namespace, name);
  if (!next) return { also: [{ type: 'delete', key }] };
  const value = fenceValue(next);
  if (old && fenceValue(old) === value) return {};
  return { also: [{ type: 'put', key, value: Buffer.from(value) }] };
}

/** `<holderIdentity>/<leaseTransitions>` */
function fenceValue({ spec }: Lease): string {
  return `${spec?.holderIdentity ?? ''}/${spec?.leaseTransitions ?? 0}`;
}
