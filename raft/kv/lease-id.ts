/**
 * Ids of leases: any 64-bit signed integer but 0, as etcd has them (its own servers make ids of 63 bits, clients choose any).
 * Nearly all puts have none and our own ids are short, so an id is a number as long as a number holds it exactly, and a bigint
 * beyond that; always the shorter form of the two. So `===`, `<` and keys of maps work on ids as they are; arithmetic
 * between the two forms does not (docs/decisions/0015).
 */
export type LeaseId = (number | bigint) & { readonly __brand: 'LeaseId' };

/** `id` in its one form. The caller has made sure that a number is a safe integer. */
export function leaseId(id: number | bigint): LeaseId {
  if (typeof id === 'number') return id as LeaseId;
  const short = Number(id);
  return (Number.isSafeInteger(short) ? short : id) as LeaseId;
}

export function isLeaseId(id: number | bigint): boolean {
  return typeof id === 'number' ? Number.isSafeInteger(id) : BigInt.asIntN(64, id) === id;
}

/** For sorting. */
export function compareLeaseIds(a: LeaseId, b: LeaseId): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
