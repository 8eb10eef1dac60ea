/** Request bodies as objects of the kind that the path names. */
import { apiVersionOf } from '../../objects/index.js';
import type { KubeObject } from '../../objects/meta.js';
import { decodeBody, type ExpectedKind } from '../machinery.js';
import type { RequestContext } from '../server-context.js';
import { badRequest } from '../status.js';

/** The body as an object of `kind`, its kind and apiVersion set and checked. */
export function readBody<T extends KubeObject = KubeObject>(context: RequestContext, kind: ExpectedKind): T {
  const { request, fieldValidation, warnings } = context;
  const body = request.body ?? new Uint8Array();
  const decoded = decodeBody(kind, request.headers['content-type'], body, fieldValidation);
  warnings.push(...decoded.warnings);
  return checkKind(decoded.object, kind) as T;
}

export function checkKind(object: KubeObject, kind: ExpectedKind): KubeObject {
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    throw badRequest(`the object provided is unrecognized (must be of type ${kind.kind})`);
  }
  const apiVersion = apiVersionOf(kind);
  if (object.apiVersion !== undefined && object.apiVersion !== '' && object.apiVersion !== apiVersion) {
    throw badRequest(
      `the API version in the data (${object.apiVersion}) does not match the expected API version (${apiVersion})`,
    );
  }
  if (object.kind !== undefined && object.kind !== '' && object.kind !== kind.kind) {
    throw badRequest(
      `the object provided is unrecognized (must be of type ${kind.kind}): it is a ${object.kind}`,
    );
  }
  const { metadata } = object;
  if (
    metadata !== undefined &&
    metadata !== null &&
    (typeof metadata !== 'object' || Array.isArray(metadata))
  ) {
    throw badRequest('metadata must be an object');
  }
  return { ...object, kind: kind.kind, apiVersion, metadata: metadata ?? {} };
}
