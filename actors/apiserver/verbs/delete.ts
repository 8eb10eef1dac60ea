/**
 * DELETE: at once, gracefully (somebody still runs the object), or after finalizers (Kubernetes: rest.BeforeDelete,
 * registry.Store.Delete). Namespaces wait for their spec.finalizers.
 */
import type { KubeObject } from '../../objects/meta.js';
import type { Namespace } from '../../objects/types/core.js';
import { admitDelete } from '../admission.js';
import { companionsFor } from '../companions.js';
import { limits } from '../limits.js';
import { convertToStored, decodeDeleteOptions } from '../machinery.js';
import type { ApiResponse } from '../request.js';
import { jsonResponse } from '../resource-view.js';
import type { CacheEntry } from '../resource-cache.js';
import { nowText, type RequestContext, timestamp } from '../server-context.js';
import {
  badRequest,
  conflict,
  invalidOptions,
  notFound,
  type StatusCause,
  StatusError,
  success,
} from '../status.js';
import { isTrue } from '../request-info.js';
import { objectKey, resourcePrefix } from '../storage.js';
import { strategyFor } from '../strategies.js';
import { type Outcome, transact, type Transacted } from '../transact.js';
import { dryRunFaults, notSupported } from '../write-options.js';
import { selectionOf, viewOf } from './read.js';

export interface DeletionOptions {
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: string;
  readonly orphanDependents?: boolean;
  readonly dryRun?: readonly string[];
}

export async function deleteObject(context: RequestContext): Promise<ApiResponse> {
  const options = deletionOptions(context);
  const dryRun = context.dryRun || (options.dryRun?.length ?? 0) > 0;
  const { info } = context;
  admitDelete(context, info.name);
  warnOfOrphans(context, options);
  return answer(context, await deleteOne({ ...context, dryRun }, info.namespace, info.name, options));
}

function answer(context: RequestContext, { entry, type }: Transacted): ApiResponse {
  const { resource } = context;
  if (type !== 'deleted' || strategyFor(resource).returnsDeleted) {
    return viewOf(context).respond(entry, context.form, 200);
  }
  const { name, uid } = entry.object.metadata!;
  return jsonResponse(
    200,
    success({
      name: name!,
      ...(resource.group && { group: resource.group }),
      kind: resource.resource,
      ...(uid && { uid }),
    }),
  );
}

export async function deleteCollection(context: RequestContext): Promise<ApiResponse> {
  const options = deletionOptions(context);
  const dryRun = context.dryRun || (options.dryRun?.length ?? 0) > 0;
  const { server, resource } = context;
  const { keyPrefix, matches } = selectionOf(context);
  await server.cache.fresh();
  const all = server.cache.resource(resourcePrefix(resource.storage)).range(keyPrefix);
  const doomed = matches ? all.filter(matches) : [...all];
  const deleted: CacheEntry[] = [];
  for (let from = 0; from < doomed.length; from += limits.deleteCollectionChunk) {
    const chunk = doomed.slice(from, from + limits.deleteCollectionChunk);
    const results = await Promise.all(
      chunk.map((entry) => {
        const { namespace = '', name = '' } = entry.object.metadata!;
        return deleteOne({ ...context, dryRun }, namespace, name, options).catch((error: unknown) => {
          // Somebody else was faster: what was asked for is the case.
          if (error instanceof StatusError && error.reason === 'NotFound') return undefined;
          throw error;
        });
      }),
    );
    for (const result of results) if (result) deleted.push(result.entry);
  }
  return viewOf(context).respondList(
    deleted,
    { resourceVersion: String(server.cache.revision) },
    context.form,
  );
}

/** The body, or without one the query; both may be absent. A dry run that is asked for anywhere is one. */
function deletionOptions(context: RequestContext): DeletionOptions {
  const { request } = context;
  const options =
    request.body && request.body.length > 0
      ? (decodeDeleteOptions(request.headers['content-type'], request.body) as DeletionOptions)
      : optionsOfQuery(context.info.query);
  checkOptions(options);
  return options;
}

function optionsOfQuery(query: URLSearchParams): DeletionOptions {
  const grace = query.get('gracePeriodSeconds') ?? '';
  if (!/^([+-]?\d+)?$/.test(grace)) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(grace)}: invalid syntax`);
  }
  const policy = query.get('propagationPolicy');
  const orphan = query.get('orphanDependents');
  return {
    ...(grace !== '' && { gracePeriodSeconds: Number(grace) }),
    ...(policy && { propagationPolicy: policy }),
    ...(orphan !== null && { orphanDependents: isTrue(orphan) }),
    dryRun: query.getAll('dryRun'),
  };
}

/** apimachinery's ValidateDeleteOptions. */
function checkOptions({ orphanDependents, propagationPolicy, dryRun }: DeletionOptions): void {
  const causes: StatusCause[] = [];
  const field = 'propagationPolicy';
  if (propagationPolicy && orphanDependents !== undefined && orphanDependents !== null) {
    const message =
      `Invalid value: ${JSON.stringify(propagationPolicy)}: ` +
      'orphanDependents and deletionPropagation cannot be both set';
    causes.push({ reason: 'FieldValueInvalid', field, message });
  }
  if (propagationPolicy && !policies.includes(propagationPolicy)) {
    causes.push(notSupported(field, propagationPolicy, [...policies, 'nil']));
  }
  causes.push(...dryRunFaults(dryRun ?? []));
  if (causes.length > 0) throw invalidOptions('DeleteOptions', causes);
}

const policies = ['Foreground', 'Background', 'Orphan'];

export async function deleteOne(
  context: RequestContext,
  namespace: string,
  name: string,
  options: DeletionOptions,
): Promise<Transacted> {
  const { resource } = context;
  const view = viewOf(context);
  const key = objectKey(resource.storage, namespace, name);
  return await transact(context, { ...resource, name }, key, async (current, taken): Promise<Outcome> => {
    if (!current) throw notFound(resource, name);
    const object = structuredClone(view.object(current));
    checkPreconditions(context, name, object, options);
    const verdict = decide(context, object, options);
    switch (verdict) {
      case 'already-deleting':
        return { type: 'keep' };
      case 'wait':
        return { type: 'write', object: convertToStored(resource, object) };
      case 'now':
        return { type: 'delete', ...(await companionsFor(context, undefined, object, taken)) };
      default:
        return verdict satisfies never;
    }
  });
}

function checkPreconditions(
  context: RequestContext,
  name: string,
  object: KubeObject,
  { preconditions }: DeletionOptions,
): void {
  const { uid, resourceVersion } = object.metadata!;
  // The resource of these two conflicts is the kind (apiserver, rest.BeforeDelete).
  const of = { group: context.resource.group, resource: context.resource.kind };
  if (preconditions?.uid && preconditions.uid !== uid) {
    throw conflict(
      of,
      name,
      `the UID in the precondition (${preconditions.uid}) does not match the UID in record (${uid}). ` +
        'The object might have been deleted and then recreated',
    );
  }
  if (preconditions?.resourceVersion && preconditions.resourceVersion !== resourceVersion) {
    throw conflict(
      of,
      name,
      `the ResourceVersion in the precondition (${preconditions.resourceVersion}) does not match the ` +
        `ResourceVersion in record (${resourceVersion}). The object might have been modified`,
    );
  }
}

/** Marks the object as being deleted where it must wait. */
function decide(
  context: RequestContext,
  object: KubeObject,
  options: DeletionOptions,
): 'already-deleting' | 'wait' | 'now' {
  const strategy = strategyFor(context.resource);
  const metadata = object.metadata!;
  const requested = options.gracePeriodSeconds ?? undefined;
  const nowMs = context.server.system.env.clock.nowMs();
  let graceSeconds = 0;
  if (metadata.deletionTimestamp) {
    const before = metadata.deletionGracePeriodSeconds ?? 0;
    const nothingLeft = (metadata.finalizers?.length ?? 0) === 0 && object.kind !== 'Namespace';
    if (before === 0 && !nothingLeft && !namespaceIsEmpty(object)) return 'already-deleting';
    if (before > 0) {
      if (requested === undefined) return 'already-deleting';
      graceSeconds = requested < 0 ? 1 : requested;
      if (graceSeconds >= before) return 'already-deleting';
      const deadline = Date.parse(metadata.deletionTimestamp) - (before - graceSeconds) * 1_000;
      metadata.deletionTimestamp = timestamp(deadline);
      metadata.deletionGracePeriodSeconds = graceSeconds;
    }
  } else if (strategy.gracePeriodSeconds) {
    graceSeconds = strategy.gracePeriodSeconds(object, requested);
    mark(object, timestamp(nowMs + graceSeconds * 1_000), graceSeconds);
  }
  metadata.finalizers = collectorFinalizers(context, metadata.finalizers ?? [], options);
  const held = metadata.finalizers.length > 0;
  if (!held) delete metadata.finalizers;
  if (object.kind === 'Namespace' && !namespaceIsEmpty(object)) {
    if (metadata.deletionTimestamp) return 'already-deleting';
    mark(object, nowText(context.server), undefined);
    const namespace = object as Namespace;
    namespace.status = { ...namespace.status, phase: 'Terminating' };
    return 'wait';
  }
  if (graceSeconds > 0) return 'wait';
  if (!held) return 'now';
  if (!metadata.deletionTimestamp) mark(object, nowText(context.server), 0);
  metadata.deletionGracePeriodSeconds = 0;
  return 'wait';
}

function mark(object: KubeObject, deletionTimestamp: string, graceSeconds: number | undefined): void {
  const metadata = object.metadata!;
  metadata.deletionTimestamp = deletionTimestamp;
  if (graceSeconds !== undefined) metadata.deletionGracePeriodSeconds = graceSeconds;
  if (metadata.generation) metadata.generation += 1;
}

function namespaceIsEmpty(object: KubeObject): boolean {
  if (object.kind !== 'Namespace') return false;
  return ((object as Namespace).spec?.finalizers?.length ?? 0) === 0;
}

/** Kinds whose dependents stay unless told otherwise: a promise made before there was a garbage collector. */
const orphanByDefault = new Set(['/replicationcontrollers', 'batch/jobs']);

/** The pods that a deleted job leaves behind surprise people. */
function warnOfOrphans(
  context: RequestContext,
  { propagationPolicy, orphanDependents }: DeletionOptions,
): void {
  const { group, resource } = context.resource;
  if (group !== 'batch' || resource !== 'jobs' || propagationPolicy || typeof orphanDependents === 'boolean')
    return;
  context.warnings.push(
    'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them ' +
      'or set propagationPolicy=Orphan to suppress this warning',
  );
}

/** Kubernetes: deletionFinalizersForGarbageCollection. */
function collectorFinalizers(
  { resource }: RequestContext,
  present: readonly string[],
  { propagationPolicy, orphanDependents }: DeletionOptions,
): string[] {
  let orphan: boolean;
  let foreground: boolean;
  if (propagationPolicy) {
    orphan = propagationPolicy === 'Orphan';
    foreground = propagationPolicy === 'Foreground';
  } else if (orphanDependents !== undefined && orphanDependents !== null) {
    orphan = orphanDependents;
    foreground = false;
  } else {
    foreground = present.includes('foregroundDeletion');
    const asked = present.includes('orphan');
    orphan = asked || (!foreground && orphanByDefault.has(`${resource.group}/${resource.resource}`));
  }
  const others = present.filter((each) => each !== 'orphan' && each !== 'foregroundDeletion');
  return [...others, ...(orphan ? ['orphan'] : []), ...(foreground ? ['foregroundDeletion'] : [])];
}
