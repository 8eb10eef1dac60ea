/**
 * What a request is about: verb, group, version, resource, subresource, namespace and name read off method, path and
 * query, as kube-apiserver's RequestInfoFactory does it. Authorisation and dispatch both work on this alone.
 */
import type { ApiRequest } from './request.js';

export interface ResourceRequestInfo {
  readonly type: 'resource';
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** get, list, watch, create, update, patch, delete, deletecollection. */
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  /** What follows the subresource, for proxies. */
  readonly rest: readonly string[];
}

export interface PathRequestInfo {
  readonly type: 'path';
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** The method in lower case: what nonResourceURLs rules speak of. */
  readonly verb: string;
}

export type RequestInfo = ResourceRequestInfo | PathRequestInfo;

/** Second segments under /namespaces/<name> that belong to the namespace itself. */
const namespaceSubresources = new Set(['status', 'finalize']);

export function requestInfo(request: Pick<ApiRequest, 'method' | 'path' | 'query'>): RequestInfo {
  const query = new URLSearchParams(request.query);
  const method = request.method.toUpperCase();
  const segments = request.path.split('/').filter((segment) => segment !== '');
  const plain: PathRequestInfo = {
    type: 'path',
    method,
    path: request.path,
    query,
    verb: method.toLowerCase(),
  };
  let group = '';
  let rest: string[];
  if (segments[0] === 'api' && segments.length >= 3) rest = segments.slice(1);
  else if (segments[0] === 'apis' && segments.length >= 4) {
    group = segments[1]!;
    rest = segments.slice(2);
  } else return plain;
  const version = rest.shift()!;
  let verbPrefix: string | undefined;
  if (rest[0] === 'watch' && rest.length > 1) {
    verbPrefix = 'watch';
    rest.shift();
  }
  let namespace = '';
  if (rest[0] === 'namespaces') {
    if (rest.length > 1) {
      namespace = rest[1]!;
      if (rest.length > 2 && !namespaceSubresources.has(rest[2]!)) rest = rest.slice(2);
    }
  }
  const [resource = '', name = '', subresource = '', ...tail] = rest;
  return {
    type: 'resource',
    method,
    path: request.path,
    query,
    verb: verbPrefix ?? verbOf(method, name, query),
    group,
    version,
    namespace,
    resource,
    subresource,
    name: name || (verbPrefix ? '' : nameSelected(method, query)),
    rest: tail,
  };
}

function verbOf(method: string, name: string, query: URLSearchParams): string {
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name ? 'delete' : 'deletecollection';
    case 'GET':
    case 'HEAD':
      if (isTrue(query.get('watch'))) return 'watch';
      return name ? 'get' : 'list';
    default:
      return method.toLowerCase();
  }
}

/** A list or watch of `metadata.name=x` is authorised as one of that name. */
function nameSelected(method: string, query: URLSearchParams): string {
  if (method !== 'GET') return '';
  const match = /^metadata\.name==?([^,=]+)$/.exec(query.get('fieldSelector') ?? '');
  return match?.[1] ?? '';
}

/** How Kubernetes reads a boolean parameter: present and neither `false` nor `0`. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== 'false' && value !== '0';
}
