/** From a request about a resource to the function that answers it. */
import { ObjectError } from '../objects/index.js';
import type { ApiResponse } from './request.js';
import type { Handler, RequestContext } from './server-context.js';
import { invalid, methodNotAllowed, notImplemented, StatusError } from './status.js';
import { subresourceHandlers } from './subresources/index.js';
import { reviewHandlers } from './reviews.js';
import { createObject } from './verbs/create.js';
import { deleteCollection, deleteObject } from './verbs/delete.js';
import { patchObject } from './verbs/patch.js';
import { getObject, listObjects, watchObjects } from './verbs/read.js';
import { updateObject } from './verbs/update.js';

const verbs: Readonly<Record<string, Handler>> = {
  get: getObject,
  list: listObjects,
  watch: watchObjects,
  create: createObject,
  update: updateObject,
  patch: patchObject,
  delete: deleteObject,
  deletecollection: deleteCollection,
};

/** Errors of the object machinery know no resource: they learn it here. */
export async function dispatch(context: RequestContext): Promise<ApiResponse> {
  try {
    return await run(context);
  } catch (error) {
    throw error instanceof ObjectError ? named(context, error) : error;
  }
}

function named({ resource, info }: RequestContext, error: ObjectError): StatusError {
  const { status, reason, message, causes } = error;
  if (error.code === 'INVALID') return invalid(resource, info.name, causes);
  // With a name in the details kubectl would not print the message (apiserver, patch.go; kubectl, checkErr).
  if (error.code === 'PATCH_FAILED') return new StatusError(status, reason, message, {}, { cause: error });
  const { group } = resource;
  const details = {
    ...(info.name && { name: info.name }),
    ...(group && { group }),
    kind: resource.resource,
    ...(causes.length > 0 && { causes }),
  };
  return new StatusError(status, reason, message, status === 400 || status === 500 ? undefined : details, {
    cause: error,
  });
}

async function run(context: RequestContext): Promise<ApiResponse> {
  const { info, resource } = context;
  const { verb, subresource } = info;
  if (subresource === '') {
    if (!isRoute(context)) throw methodNotAllowed();
    const review = reviewHandlers[`${resource.group}/${resource.resource}`];
    if (review && verb === 'create') return await review(context);
    const handler = verbs[verb];
    if (!handler || !resource.verbs.includes(verb)) throw methodNotAllowed();
    return await handler(context);
  }
  const described = resource.subresources.get(subresource)!;
  const handler = subresourceHandlers[subresource]?.(context);
  if (handler) return await handler(context);
  if (!described.verbs.includes(verb)) throw methodNotAllowed();
  throw notImplemented(`${verb} of ${resource.resource}/${subresource}`);
}

/** Collections are listed and posted to, items are not; over all namespaces there are only lists and watches. */
function isRoute({ info, resource }: RequestContext): boolean {
  const { method, verb, name, namespace } = info;
  if (method === 'HEAD') return false;
  if (verb === 'create' && name !== '') return false;
  if ((verb === 'update' || verb === 'patch') && name === '') return false;
  return !resource.namespaced || namespace !== '' || verb === 'list' || verb === 'watch' || name !== '';
}
