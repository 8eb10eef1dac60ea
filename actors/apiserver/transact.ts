/**
 * Read, change, compare-and-write, again on conflict: the one way in which objects change (Kubernetes:
 * GuaranteedUpdate). The first try starts from the cache; whatever it would answer from a cached version that may be
 * old is asked again of the store first.
 */
import { isDeepStrictEqual } from 'node:util';
import type { LeaseId, Op } from 'raft-consensus';
import type { KubeObject } from '../objects/meta.js';
import { decodeStored, encodeStored, sameBytes } from './object-bytes.js';
import { limits } from './limits.js';
import { CacheEntry } from './resource-cache.js';
import type { RequestContext } from './server-context.js';
import { conflict, fenced, type GroupResource, internalError } from './status.js';
import type { Fence, Requirement, Reservation, Write } from './storage.js';
import { prefixOfKey } from './storage.js';

export interface Companions {
  readonly require?: readonly Requirement[];
  readonly reserve?: readonly Reservation[];
  readonly release?: readonly string[];
  readonly also?: readonly Op[];
  readonly lease?: LeaseId | undefined;
}

export type Outcome =
  | { readonly type: 'keep' }
  /** In the stored version. */
  | ({ readonly type: 'write'; readonly object: KubeObject } & Companions)
  /** `last`: what the writer left of it, for the answer; absent: as it was. */
  | ({ readonly type: 'delete'; readonly last?: KubeObject } & Companions);

export interface Change {
  /**
   * Says what becomes of the current version; throws a StatusError to refuse. Called again when the version was not
   * the newest. `taken`: keys of reservations that turned out to be another's, and of requirements that were old.
   */
  (current: CacheEntry | undefined, taken: ReadonlySet<string>): Outcome | Promise<Outcome>;
}

export interface Transacted {
  /** The version that stands now; of a delete, the last one at the revision of the delete. */
  readonly entry: CacheEntry;
  readonly type: 'kept' | 'created' | 'updated' | 'deleted';
}

export async function transact(
  context: Pick<RequestContext, 'server' | 'dryRun' | 'fence'>,
  of: GroupResource & { readonly name: string },
  key: string,
  change: Change,
): Promise<Transacted> {
  const { storage, cache } = context.server;
  const taken = new Set<string>();
  await cache.reached(0);
  let current = cache.resource(prefixOfKey(key)).get(key);
  let newest = false;
  /** Reads the newest version; true when it is another than the one at hand. */
  const refresh = async (): Promise<boolean> => {
    const before = current?.revision;
    current = await storage.read(key);
    newest = true;
    return current?.revision !== before;
  };
  for (let tries = 0; tries <= limits.conflictRetriesMax + limits.allocationTriesMax; tries++) {
    let outcome: Outcome;
    try {
      outcome = await change(current, taken);
    } catch (error) {
      if (!newest && (await refresh())) continue;
      throw error;
    }
    const value = outcome.type === 'write' ? encodeStored(outcome.object) : undefined;
    const same = value !== undefined && current !== undefined && sameContent(value, current);
    if (outcome.type === 'keep' || same) {
      if (!newest && (await refresh())) continue;
      if (!current) throw internalError(`nothing to keep at ${key}`);
      return { entry: current, type: 'kept' };
    }
    if (outcome.type === 'delete' && !current) throw internalError(`nothing to delete at ${key}`);
    const type = outcome.type === 'delete' ? 'deleted' : current ? 'updated' : 'created';
    if (context.dryRun) {
      if (!newest && (await refresh())) continue;
      const entry = value ? new CacheEntry(key, value, current?.revision ?? 0) : current!;
      return { entry, type };
    }
    const result = await storage.write(writeOf(key, current, value, context.fence, outcome));
    switch (result.type) {
      case 'written':
        // The journal names what was written, so that a trace can be found by its object.
        context.server.system.note('apiserver', `object ${type}`, { object: key, revision: result.revision });
        return { entry: entryAfter(key, value, outcome, current, result.revision), type };
      case 'changed':
        current = result.current;
        newest = true;
        if (tries >= limits.conflictRetriesMax) throw conflict(of, of.name);
        break;
      case 'fenced':
        throw fenced(of, of.name, context.fence?.value ?? '');
      case 'taken':
        for (const each of result.keys) taken.add(each);
        break;
      default:
        result satisfies never;
    }
  }
  throw conflict(of, of.name);
}

function entryAfter(
  key: string,
  value: Uint8Array | undefined,
  outcome: Outcome,
  current: CacheEntry | undefined,
  revision: number,
): CacheEntry {
  if (value) return new CacheEntry(key, value, revision);
  if (outcome.type === 'delete' && outcome.last)
    return new CacheEntry(key, encodeStored(outcome.last), revision);
  return current!.at(revision);
}

function writeOf(
  key: string,
  current: CacheEntry | undefined,
  value: Uint8Array | undefined,
  fence: Fence | undefined,
  { reserve = [], require = [], release = [], also = [], lease }: Companions,
): Write {
  const expected = current?.revision ?? 0;
  return { key, expected, ...(value && { value }), fence, reserve, require, release, also, lease };
}

/** Equal but for the order of fields and the times in managedFields: such a write must not be one (KEP-555). */
function sameContent(value: Uint8Array, current: CacheEntry): boolean {
  if (value.length !== current.bytes.length) return false;
  if (sameBytes(value, current.bytes)) return true;
  const untimed = (bytes: Uint8Array) => {
    const object = decodeStored(bytes, 0);
    for (const entry of object.metadata?.managedFields ?? []) delete entry.time;
    return object;
  };
  return isDeepStrictEqual(untimed(value), untimed(current.bytes));
}
