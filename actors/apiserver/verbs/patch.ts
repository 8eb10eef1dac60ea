/** PATCH: JSON, merge, strategic merge and apply. Tried again on the newest version when somebody else was faster. */
import { applyJsonPatch, applyMergePatch, ObjectError } from '../../objects/index.js';
import type { KubeObject } from '../../objects/meta.js';
import { checkFields, parsePatch, serverSideApply, strategicMerge } from '../machinery.js';
import { parseMediaType } from '../negotiation.js';
import type { ApiResponse } from '../request.js';
import { isTrue } from '../request-info.js';
import { type RequestContext, writerOf } from '../server-context.js';
import { badRequest, conflict, invalid, notFound, unsupportedMediaType } from '../status.js';
import { objectKey } from '../storage.js';
import { strategyFor } from '../strategies.js';
import { transact } from '../transact.js';
import { checkKind } from './body.js';
import { createFrom } from './create.js';
import { viewOf } from './read.js';
import { checkName, checkUid, finishUpdate } from './update.js';

const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];

export async function patchObject(context: RequestContext): Promise<ApiResponse> {
  const { request, resource, info } = context;
  const { type } = parseMediaType(request.headers['content-type'] ?? '');
  const custom = resource.definition === undefined;
  if (!patchTypes.includes(type) || (custom && type === patchTypes[2])) {
    throw unsupportedMediaType(custom ? patchTypes.filter((_, index) => index !== 2) : patchTypes);
  }
  if (type === 'application/apply-patch+yaml') return await applyObject(context);
  const patch = patchFunction(context, type);
  const key = objectKey(resource.storage, info.namespace, info.name);
  const strategy = strategyFor(resource);
  const view = viewOf(context);
  const { entry } = await transact(context, { ...resource, name: info.name }, key, async (current, taken) => {
    if (!current) throw notFound(resource, info.name);
    const old = view.object(current);
    const next = patched(context, patch(structuredClone(old)));
    return await finishUpdate(context, strategy, next, old, current, taken, 'update');
  });
  return view.respond(entry, context.form, 200);
}

/** The patch, parsed once; each try applies it to the version at hand. */
export function patchFunction(
  { request, resource }: Pick<RequestContext, 'request' | 'resource'>,
  type: string,
): (object: KubeObject) => KubeObject {
  const document: unknown = parsePatch(request.body, 'json');
  switch (type) {
    case 'application/json-patch+json':
      return (object) => applyJsonPatch(object, document);
    case 'application/merge-patch+json':
      if (typeof document !== 'object' || document === null || Array.isArray(document)) {
        throw badRequest('a merge patch must be an object');
      }
      return (object) => applyMergePatch(object, document) as KubeObject;
    case 'application/strategic-merge-patch+json':
      return (object) => strategicMerge(resource, object, document);
    default:
      throw unsupportedMediaType(patchTypes);
  }
}

function patched(context: RequestContext, object: KubeObject): KubeObject {
  const checked = checkPatched(context, object);
  context.warnings.splice(0, Infinity, ...checked.warnings);
  const next = checkKind(checked.object, context.resource);
  checkName(next.metadata!, context.info.name);
  return next;
}

/** Unknown fields that a patch brings are faults of the patch, not of the body (apiserver, patch.go). */
function checkPatched({ resource, fieldValidation }: RequestContext, object: KubeObject) {
  try {
    return checkFields(resource, object, fieldValidation);
  } catch (error) {
    if (!(error instanceof ObjectError) || error.code !== 'STRICT_DECODING') throw error;
    const fault = error.message.slice(error.message.indexOf('strict decoding error'));
    const message = `Invalid value: ${JSON.stringify(JSON.stringify(object))}: ${fault}`;
    throw invalid({ group: '', kind: '' }, '', [{ reason: 'FieldValueInvalid', field: 'patch', message }]);
  }
}

async function applyObject(context: RequestContext): Promise<ApiResponse> {
  const { resource, info, request } = context;
  const force = isTrue(info.query.get('force'));
  const key = objectKey(resource.storage, info.namespace, info.name);
  const strategy = strategyFor(resource);
  const view = viewOf(context);
  const document = parsePatch(request.body, 'yaml');
  const writer = { ...writerOf(context), force };
  let missing = false;
  const result = await transact(context, { ...resource, name: info.name }, key, async (current, taken) => {
    missing = current === undefined;
    if (!current) throw notFound(resource, info.name);
    const { uid, resourceVersion } = appliedMetadata(document);
    if (uid) checkUid(context, uid, current);
    if (resourceVersion && resourceVersion !== String(current.revision)) throw conflict(resource, info.name);
    const old = view.object(current);
    const next = structuredClone(serverSideApply(resource, old, document, writer));
    checkName((next.metadata ??= {}), info.name);
    return await finishUpdate(context, strategy, next, old, current, taken, 'apply');
  }).catch((error: unknown) => {
    if (missing && info.subresource === '') return undefined;
    throw error;
  });
  if (result) return view.respond(result.entry, context.form, 200);
  const { uid } = appliedMetadata(document);
  if (uid) {
    const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
    throw conflict(resource, info.name, why);
  }
  const fresh = checkKind(serverSideApply(resource, undefined, document, writer), resource);
  checkName(fresh.metadata!, info.name);
  const { entry } = await createFrom(context, fresh, 'apply');
  return view.respond(entry, context.form, 201);
}

/** What an applied document says of the version that it is meant for. */
function appliedMetadata(document: unknown): { readonly uid?: string; readonly resourceVersion?: string } {
  return (document as KubeObject | undefined)?.metadata ?? {};
}
