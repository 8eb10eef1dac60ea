/**
 * get, list and watch: answered from the watch cache, at the revision that the client's resourceVersion asks for
 * (Kubernetes API concepts, "Resource versions"). Chunked lists stay at the revision of their first page.
 */
import { everyField, matchEverything, parseFieldSelector, parseLabelSelector } from '../../objects/index.js';
import { limits } from '../limits.js';
import type { ApiResponse } from '../request.js';
import { isTrue } from '../request-info.js';
import { afterPrefix, type CacheEntry, type ResourceCache } from '../resource-cache.js';
import { ResourceView } from '../resource-view.js';
import type { RequestContext } from '../server-context.js';
import {
  badRequest,
  expired,
  invalidOptions,
  notFound,
  revisionTooLarge,
  type StatusCause,
} from '../status.js';
import { objectKey, resourcePrefix } from '../storage.js';
import { WatchStream } from '../watch-stream.js';
import { notSupported } from '../write-options.js';

export function viewOf(context: RequestContext): ResourceView {
  const { clock } = context.server.system.env;
  return new ResourceView(context.resource, () => clock.nowMs());
}

export async function getObject(context: RequestContext): Promise<ApiResponse> {
  const { server, info, resource, form } = context;
  const wanted = resourceVersionOf(info.query);
  if (wanted === undefined) await server.cache.fresh();
  else await server.cache.reached(wanted);
  const key = objectKey(resource.storage, info.namespace, info.name);
  const entry = server.cache.resource(resourcePrefix(resource.storage)).get(key);
  if (!entry) throw notFound(resource, info.name);
  return viewOf(context).respond(entry, form, 200);
}

export interface Selection {
  /** Undefined: everything. */
  readonly matches: ((entry: CacheEntry) => boolean) | undefined;
  /** All keys selected begin with it. */
  readonly keyPrefix: string;
}

export function selectionOf(context: RequestContext): Selection {
  const { info, resource } = context;
  const labels = parseLabelSelector(info.query.get('labelSelector') ?? '');
  const fieldText = info.query.get('fieldSelector') ?? '';
  const fields = fieldText === '' ? everyField : parseFieldSelector(fieldText, resource);
  const prefix = resourcePrefix(resource.storage);
  const keyPrefix = info.namespace && resource.namespaced ? `${prefix}${info.namespace}/` : prefix;
  if (labels === matchEverything || (labels.matchesEverything && fields.matchesEverything)) {
    if (fields.matchesEverything) return { matches: undefined, keyPrefix };
  }
  return {
    keyPrefix,
    matches: (entry) => labels.matches(entry.object.metadata?.labels) && fields.matches(entry.object),
  };
}

export async function listObjects(context: RequestContext): Promise<ApiResponse> {
  const { server, info, resource, form } = context;
  const query = info.query;
  checkListOptions(query, 'list');
  const selection = selectionOf(context);
  const cache = server.cache.resource(resourcePrefix(resource.storage));
  const plan = await planList(context);
  let limit = limitOf(query);
  if (query.get('resourceVersion') === '0' && plan.from === '') limit = 0;
  const page = await readPage(context, cache, selection, plan, limit);
  const head = {
    resourceVersion: String(plan.revision),
    ...(page.next !== undefined && { continue: encodeContinue({ rv: plan.revision, start: page.next }) }),
    ...(page.next !== undefined && !selection.matches && { remainingItemCount: page.remaining }),
  };
  return viewOf(context).respondList(page.entries, head, form);
}

interface ListPlan {
  /** The revision that the list shows. */
  readonly revision: number;
  /** The first key of the page; '' for the beginning. */
  readonly from: string;
}

async function planList(context: RequestContext): Promise<ListPlan> {
  const { server, info } = context;
  const query = info.query;
  const cache = server.cache;
  const token = query.get('continue') ?? '';
  const wanted = resourceVersionOf(query);
  if (token !== '') {
    if (wanted !== undefined && wanted > 0) {
      throw badRequest('specifying resource version is not allowed when using continue');
    }
    const { rv, start } = decodeContinue(token);
    if (rv > 0) return { revision: rv, from: start };
    await cache.fresh();
    return { revision: cache.revision, from: start };
  }
  if (wanted === undefined) await cache.fresh();
  else {
    const match = query.get('resourceVersionMatch') ?? '';
    const exact = match === 'Exact' || (match === '' && wanted > 0 && limitOf(query) > 0);
    await cache.reached(wanted);
    if (exact) return { revision: wanted, from: '' };
  }
  return { revision: cache.revision, from: '' };
}

interface Page {
  readonly entries: readonly CacheEntry[];
  /** The key that the next page begins with. */
  readonly next: string | undefined;
  readonly remaining: number;
}

async function readPage(
  context: RequestContext,
  cache: ResourceCache,
  { keyPrefix, matches }: Selection,
  { revision, from }: ListPlan,
  limit: number,
): Promise<Page> {
  const { storage } = context.server;
  if (revision > context.server.cache.revision) {
    throw revisionTooLarge(revision, context.server.cache.revision);
  }
  const start = from > keyPrefix ? from : keyPrefix;
  // Nothing changed here since then: the cache still is the state at that revision.
  if (cache.changedAt <= revision) return takePage(cache.range(keyPrefix, start), matches, limit);
  const kept: CacheEntry[] = [];
  const end = afterPrefix(keyPrefix);
  let key = start;
  for (;;) {
    const chunk = await storage.pageAt(keyPrefix, key, end, revision, limit || limits.relistPageKeys);
    if (!chunk) {
      throw from === ''
        ? expired('The resourceVersion for the provided list is too old.')
        : expired(continueTooOld, encodeContinue({ rv: -1, start: from }));
    }
    for (const [index, entry] of chunk.entries.entries()) {
      if (matches && !matches(entry)) continue;
      if (limit > 0 && kept.length === limit) {
        const remaining = chunk.entries.length - index + chunk.remaining;
        return { entries: kept, next: entry.key, remaining };
      }
      kept.push(entry);
    }
    const last = chunk.entries.at(-1);
    if (chunk.remaining === 0 || !last) return { entries: kept, next: undefined, remaining: 0 };
    key = `${last.key}\0`;
    if (limit > 0 && kept.length === limit) return { entries: kept, next: key, remaining: chunk.remaining };
  }
}

function takePage(entries: readonly CacheEntry[], matches: Selection['matches'], limit: number): Page {
  if (limit === 0) {
    return { entries: matches ? entries.filter(matches) : entries, next: undefined, remaining: 0 };
  }
  const kept: CacheEntry[] = [];
  for (const [index, entry] of entries.entries()) {
    if (matches && !matches(entry)) continue;
    if (kept.length === limit) return { entries: kept, next: entry.key, remaining: entries.length - index };
    kept.push(entry);
  }
  return { entries: kept, next: undefined, remaining: 0 };
}

const continueTooOld =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list ' +
  'without the continue parameter, or use the continue token in this response to retrieve the remainder of the ' +
  'results. Continuing with the provided token results in an inconsistent list - objects that were created, ' +
  'modified, or deleted between the time the first chunk was returned and now may show up in the list.';

interface ContinueToken {
  /** -1: whatever is newest. */
  readonly rv: number;
  readonly start: string;
}

function encodeContinue(token: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', ...token })).toString('base64url');
}

function decodeContinue(text: string): ContinueToken {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>;
    if (v === 'meta.k8s.io/v1' && Number.isInteger(rv) && rv !== 0 && typeof start === 'string') {
      return { rv: rv as number, start };
    }
  } catch (error) {
    throw badRequest('invalid continue token: continue key is not valid: illegal token', { cause: error });
  }
  throw badRequest('invalid continue token: continue key is not valid: server does not recognize it');
}

export async function watchObjects(context: RequestContext): Promise<ApiResponse> {
  const { server, info, resource, form, request } = context;
  const query = info.query;
  checkListOptions(query, 'watch');
  const selection = selectionOf(context);
  const wanted = resourceVersionOf(query);
  const sendInitialEvents = query.get('sendInitialEvents');
  const initial = sendInitialEvents !== null && isTrue(sendInitialEvents);
  const bookmarks = isTrue(query.get('allowWatchBookmarks'));
  if (initial) await (wanted === undefined ? server.cache.fresh() : server.cache.reached(wanted));
  else if (wanted === undefined) await server.cache.fresh();
  else if (wanted > 0) await reachedSoon(context, wanted);
  const fromState = initial || (sendInitialEvents === null && (wanted === undefined || wanted === 0));
  const fromNow = !initial && sendInitialEvents !== null && (wanted === undefined || wanted === 0);
  server.watchers.opened();
  const stream = new WatchStream({
    system: server.system,
    cache: server.cache,
    prefix: resourcePrefix(resource.storage),
    keyPrefix: selection.keyPrefix,
    matches: selection.matches,
    encoder: viewOf(context).encoder(form),
    from: fromState
      ? { type: 'state' }
      : { type: 'revision', revision: fromNow ? server.cache.revision : wanted! },
    initialEventsEnd: initial && bookmarks,
    bookmarks,
    timeoutMs: watchTimeoutMs(context),
    ended: () => server.watchers.closed(),
  });
  return {
    status: 200,
    headers: { 'content-type': watchContentType(request.headers['accept']) },
    body: stream,
  };
}

/** A watch from a revision that the cache has not seen waits for it; one beyond the store's is the client's error. */
async function reachedSoon(context: RequestContext, revision: number): Promise<void> {
  if (context.server.cache.revision < revision) await context.server.cache.reached(revision);
  else await context.server.cache.reached(0);
}

function watchContentType(accept: string | undefined): string {
  return accept?.includes('stream=watch') ? 'application/json;stream=watch' : 'application/json';
}

function watchTimeoutMs(context: RequestContext): number {
  const text = context.info.query.get('timeoutSeconds');
  if (text !== null && text !== '') {
    const seconds = Number(text);
    if (!Number.isInteger(seconds) || seconds < 0) {
      throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
    }
    if (seconds > 0) return Math.min(seconds, limits.watchTimeoutMaxSeconds * 24) * 1_000;
  }
  const spread = limits.watchTimeoutMaxSeconds - limits.watchTimeoutMinSeconds;
  return (limits.watchTimeoutMinSeconds + context.server.system.env.random.next() * spread) * 1_000;
}

/** Undefined when not given. */
function resourceVersionOf(query: URLSearchParams): number | undefined {
  const text = query.get('resourceVersion') ?? '';
  if (text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) {
    throw invalidListOptions([
      {
        reason: 'FieldValueInvalid',
        field: 'resourceVersion',
        message: `Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
      },
    ]);
  }
  return Number(text);
}

function limitOf(query: URLSearchParams): number {
  const text = query.get('limit') ?? '';
  if (text === '') return 0;
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 0) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  return limit;
}

function invalidListOptions(causes: readonly StatusCause[]): Error {
  return invalidOptions('ListOptions', causes);
}

/** apimachinery's ValidateListOptions. */
function checkListOptions(query: URLSearchParams, verb: 'list' | 'watch'): void {
  const match = query.get('resourceVersionMatch') ?? '';
  const version = query.get('resourceVersion') ?? '';
  const initial = query.get('sendInitialEvents');
  const causes: StatusCause[] = [];
  const forbid = (field: string, why: string) =>
    causes.push({ reason: 'FieldValueForbidden', field, message: `Forbidden: ${why}` });
  if (verb === 'watch' && initial !== null) {
    if (match === '') {
      forbid(
        'resourceVersionMatch',
        'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      );
    } else if (match !== 'NotOlderThan') {
      causes.push(notSupported('resourceVersionMatch', match, ['NotOlderThan']));
    }
  } else if (verb === 'watch' && match !== '') {
    forbid(
      'resourceVersionMatch',
      'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    );
  } else if (verb === 'list') {
    if (initial !== null) forbid('sendInitialEvents', 'sendInitialEvents is forbidden for list');
    if (match !== '' && version === '') {
      forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided');
    }
    if (match !== '' && query.get('continue')) {
      forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided');
    }
    if (match !== '' && match !== 'Exact' && match !== 'NotOlderThan') {
      causes.push(notSupported('resourceVersionMatch', match, ['Exact', 'NotOlderThan', '']));
    }
    if (match === 'Exact' && version === '0') {
      forbid('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
    }
  }
  if (causes.length > 0) throw invalidListOptions(causes);
}
