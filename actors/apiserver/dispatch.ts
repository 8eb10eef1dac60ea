/** From a request about a resource to the function that answers it. */
import type { ApiResponse } from './request.js';
import type { RequestContext } from './server-context.js';
import { methodNotAllowed, notImplemented } from './status.js';
import { subresourceHandlers } from './subresources/index.js';
import { reviewHandlers } from './reviews.js';
import { createObject } from './verbs/create.js';
import { deleteCollection, deleteObject } from './verbs/delete.js';
import { patchObject } from './verbs/patch.js';
import { getObject, listObjects, watchObjects } from './verbs/read.js';
import { updateObject } from './verbs/update.js';

export type Handler = (context: RequestContext) => Promise<ApiResponse>;

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

export async function dispatch(context: RequestContext): Promise<ApiResponse> {
  const { info, resource } = context;
  const { verb, subresource } = info;
  if (subresource === '') {
    const review = reviewHandlers[`${resource.group}/${resource.resource}`];
    if (review && verb === 'create') return await review(context);
    const handler = verbs[verb];
    const nameless = info.name === '' && (verb === 'update' || verb === 'patch');
    if (!handler || nameless || !resource.verbs.includes(verb)) throw methodNotAllowed(resource, verb);
    return await handler(context);
  }
  const described = resource.subresources.get(subresource)!;
  const handler = subresourceHandlers[subresource]?.(context);
  if (handler) return await handler(context);
  if (!described.verbs.includes(verb)) {
    throw methodNotAllowed({ group: resource.group, resource: `${resource.resource}/${subresource}` }, verb);
  }
  throw notImplemented(`${verb} of ${resource.resource}/${subresource}`);
}
