/** PUT and the common end of every change to an existing object: what a writer may touch, generation, finalizers. */
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject, ObjectMeta } from '../../objects/meta.js';
import { companionsFor } from '../companions.js';
import { refuseEscalation } from '../escalation.js';
import { applyDefaults, convertToStored, trackUpdate, validateObject } from '../machinery.js';
import type { ApiResponse } from '../request.js';
import type { CacheEntry } from '../resource-cache.js';
import { type RequestContext, writerOf } from '../server-context.js';
import { badRequest, conflict, invalid, notFound } from '../status.js';
import { objectKey } from '../storage.js';
import { type Strategy, strategyFor } from '../strategies.js';
import { type Outcome, transact } from '../transact.js';
import { readBody } from './body.js';
import { createFrom } from './create.js';
import { viewOf } from './read.js';

export async function updateObject(context: RequestContext): Promise<ApiResponse> {
  const { resource, info } = context;
  const body = readBody(context, resource);
  if (!body.metadata!.name) throw namelessBody(info.name);
  checkName(body.metadata!, info.name);
  const key = objectKey(resource.storage, info.namespace, info.name);
  const strategy = strategyFor(resource);
  const view = viewOf(context);
  let missing = false;
  const result = await transact(context, { ...resource, name: info.name }, key, async (current, taken) => {
    missing = current === undefined;
    if (!current) throw notFound(resource, info.name);
    const next = structuredClone(body);
    const metadata = next.metadata!;
    if (!metadata.resourceVersion || metadata.resourceVersion === '0') {
      if (!strategy.unconditionalUpdate) throw needsResourceVersion(context);
      metadata.resourceVersion = String(current.revision);
    }
    return await finishUpdate(context, strategy, next, view.object(current), current, taken, 'update');
  }).catch((error: unknown) => {
    if (missing && strategy.createOnUpdate && info.subresource === '') return undefined;
    throw error;
  });
  if (result) return view.respond(result.entry, context.form, 200);
  const fresh = structuredClone(body);
  if (fresh.metadata!.resourceVersion && fresh.metadata!.resourceVersion !== '0')
    throw notFound(resource, info.name);
  const created = await createFrom(context, fresh);
  return view.respond(created.entry, context.form, 201);
}

function needsResourceVersion(context: RequestContext): Error {
  return invalid(context.resource, context.info.name, [
    {
      reason: 'FieldValueInvalid',
      field: 'metadata.resourceVersion',
      message: 'Invalid value: 0: must be specified for an update',
    },
  ]);
}

function namelessBody(name: string): Error {
  return badRequest(
    `the name of the object (${name} based on URL) was undeterminable: name must be provided`,
  );
}

export function checkName(metadata: ObjectMeta, name: string): void {
  if (metadata.name && metadata.name !== name) {
    throw badRequest(
      `the name of the object (${metadata.name}) does not match the name on the URL (${name})`,
    );
  }
  metadata.name = name;
}

/**
 * From an object that a client wants to the outcome of the write. `next` is changed; `old` is the current object in
 * the request's version and is not. `tracked`: managedFields of `next` are final already (server-side apply).
 */
export async function finishUpdate(
  context: RequestContext,
  strategy: Strategy,
  next: KubeObject,
  old: KubeObject,
  current: CacheEntry,
  taken: ReadonlySet<string>,
  by: 'update' | 'apply',
): Promise<Outcome> {
  const { resource, info } = context;
  const { subresource } = info;
  checkPreconditions(context, next, old, current);
  const object = reconcile(strategy, next, old, subresource, resource.definition === undefined);
  if (subresource === '') strategy.prepareForUpdate?.(object, old);
  applyDefaults(resource, object);
  if (strategy.hasGeneration && subresource !== 'status' && contentChanged(object, old)) {
    object.metadata!.generation = (old.metadata?.generation ?? 0) + 1;
  }
  const complete = by === 'apply' ? object : trackUpdate(resource, old, object, writerOf(context));
  const gone = isFinallyGone(complete);
  // Before validation: an update that leaves out an allocated address is given it back here.
  const companions = await companionsFor(context, gone ? undefined : complete, old, taken);
  const causes = [...newFinalizers(complete, old), ...validateObject(resource, complete, old, subresource)];
  if (causes.length > 0) throw invalid(resource, info.name, causes);
  if (contentChanged(complete, old)) await refuseEscalation(context, complete);
  if (gone) return { type: 'delete', last: convertToStored(resource, complete), ...companions };
  return { type: 'write', object: convertToStored(resource, complete), ...companions };
}

function checkPreconditions(
  context: RequestContext,
  next: KubeObject,
  old: KubeObject,
  current: CacheEntry,
): void {
  const { resource, info } = context;
  const metadata = (next.metadata ??= {});
  if (metadata.uid) checkUid(context, metadata.uid, current);
  if (metadata.resourceVersion && metadata.resourceVersion !== String(current.revision)) {
    throw conflict(resource, info.name);
  }
  const namespace = old.metadata?.namespace;
  if (metadata.namespace && metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
}

export function checkUid({ resource, info }: RequestContext, wanted: string, current: CacheEntry): void {
  const uid = current.object.metadata?.uid;
  if (uid === wanted) return;
  throw conflict(
    resource,
    info.name,
    `StorageError: invalid object, Code: 4, Key: ${current.key}, ResourceVersion: 0, AdditionalErrorMsg: ` +
      `Precondition failed: UID in precondition: ${wanted}, UID in object meta: ${uid}`,
  );
}

/** Metadata that belongs to the server. */
const systemFields = [
  'name',
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'selfLink',
] as const satisfies readonly (keyof ObjectMeta)[];

/** Kinds whose labels stay when their status is written (the PrepareForUpdate of their status strategies). */
const labelsKeptByStatus = new Set(['APIService', 'Deployment', 'FlowSchema', 'PriorityLevelConfiguration']);

/** Puts together what the writer may set with what stays as it was. */
function reconcile(
  strategy: Strategy,
  next: KubeObject,
  old: KubeObject,
  subresource: string,
  custom: boolean,
): KubeObject {
  const kept = structuredClone(old) as KubeObject & { status?: unknown };
  const wanted = next as KubeObject & { status?: unknown };
  const metadata: ObjectMeta = { ...wanted.metadata };
  for (const field of systemFields) copyField(metadata, kept.metadata!, field);
  switch (subresource) {
    case '': {
      const object = { ...wanted, metadata };
      if (!strategy.hasStatus) return object;
      if (kept.status === undefined) delete object.status;
      else object.status = kept.status;
      return object;
    }
    case 'status': {
      copyField(metadata, kept.metadata!, 'ownerReferences');
      if (labelsKeptByStatus.has(old.kind ?? '')) copyField(metadata, kept.metadata!, 'labels');
      const own = custom ? { ...kept.metadata, managedFields: metadata.managedFields } : metadata;
      const object = { ...kept, metadata: own as ObjectMeta };
      if (wanted.status === undefined) delete object.status;
      else object.status = wanted.status;
      return object;
    }
    default:
      return { ...kept, ...partOf(subresource, wanted, kept), metadata };
  }
}

type Parts = { spec?: Record<string, unknown>; status?: unknown };

/** The part of the object that a subresource may change. */
function partOf(subresource: string, wanted: Parts, kept: Parts): Parts {
  switch (subresource) {
    case 'finalize':
      return { spec: { ...kept.spec, finalizers: wanted.spec?.['finalizers'] ?? [] } };
    case 'approval':
      return {
        status: { ...(kept.status as object), conditions: (wanted.status as Parts & Conditions)?.conditions },
      };
    case 'ephemeralcontainers':
      return { spec: { ...kept.spec, ephemeralContainers: wanted.spec?.['ephemeralContainers'] } };
    case 'resize':
      return { spec: { ...kept.spec, ...resized(wanted.spec, kept.spec) } };
    case 'scale':
      return { spec: { ...kept.spec, replicas: wanted.spec?.['replicas'] } };
    case 'binding':
      return wanted;
    default:
      throw new TypeError(`subresource ${subresource} changes no part of an object`);
  }
}

interface Conditions {
  readonly conditions?: unknown;
}

interface NamedContainer {
  readonly name: string;
  readonly resources?: unknown;
  readonly resizePolicy?: unknown;
}

/** Containers as they were, with the resources now wanted (KEP-1287). */
function resized(
  wanted: Parts['spec'],
  kept: Parts['spec'],
): { containers?: unknown; initContainers?: unknown } {
  const result: { containers?: unknown; initContainers?: unknown } = {};
  for (const list of ['containers', 'initContainers'] as const) {
    const before = kept?.[list] as readonly NamedContainer[] | undefined;
    if (!before) continue;
    const after = new Map(
      ((wanted?.[list] as readonly NamedContainer[] | undefined) ?? []).map((each) => [each.name, each]),
    );
    result[list] = before.map((container) => {
      const next = after.get(container.name);
      if (!next) return container;
      return {
        ...container,
        ...(next.resources !== undefined && { resources: next.resources }),
        ...(next.resizePolicy !== undefined && { resizePolicy: next.resizePolicy }),
      };
    });
  }
  return result;
}

function copyField<K extends keyof ObjectMeta>(to: ObjectMeta, from: ObjectMeta, field: K): void {
  const value = from[field];
  if (value === undefined) delete to[field];
  else to[field] = value;
}

/** Anything outside metadata and status. */
function contentChanged(next: KubeObject, old: KubeObject): boolean {
  const content = (object: KubeObject) => {
    const { metadata: _metadata, status: _status, ...rest } = object as KubeObject & { status?: unknown };
    return JSON.parse(JSON.stringify(rest)) as unknown;
  };
  return !isDeepStrictEqual(content(next), content(old));
}

function newFinalizers(
  next: KubeObject,
  old: KubeObject,
): { reason: string; field: string; message: string }[] {
  if (!old.metadata?.deletionTimestamp) return [];
  const before = new Set(old.metadata.finalizers);
  const added = (next.metadata?.finalizers ?? []).filter((finalizer) => !before.has(finalizer));
  if (added.length === 0) return [];
  const list = added.map((each) => JSON.stringify(each)).join(', ');
  return [
    {
      reason: 'FieldValueForbidden',
      field: 'metadata.finalizers',
      message:
        'Forbidden: no new finalizers can be added if the object is being deleted, ' +
        `found new finalizers []string{${list}}`,
    },
  ];
}

/** A terminating object that nothing holds any more. */
function isFinallyGone(object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata!;
  if (!deletionTimestamp || (finalizers?.length ?? 0) > 0 || deletionGracePeriodSeconds) return false;
  if (object.kind !== 'Namespace') return true;
  return ((object as { spec?: { finalizers?: string[] } }).spec?.finalizers?.length ?? 0) === 0;
}
