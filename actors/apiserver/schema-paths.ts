/** Discovery and OpenAPI: what this server serves, in the forms that clients ask for; unchanged documents are 304. */
import {
  aggregatedDiscovery,
  aggregatedDiscoveryType,
  etagOf,
  groupDocument,
  groupList,
  legacyVersions,
  OpenApi,
  type Registry,
  resourceList,
} from '../objects/index.js';
import { parseAccept } from './negotiation.js';
import { jsonBytes } from './object-bytes.js';
import { answerOpenApiV2 } from './openapi-v2.js';
import type { ApiRequest, ApiResponse } from './request.js';
import type { ServerContext } from './server-context.js';
import { noSuchPath, notAcceptable } from './status.js';

/** Documents of a registry, made on first use and kept as long as the registry is. */
class Documents {
  readonly #registry: Registry;
  readonly #made = new Map<string, { readonly bytes: Uint8Array; readonly etag: string }>();
  readonly openApi: OpenApi;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.openApi = new OpenApi(registry);
  }

  get(
    key: string,
    make: (registry: Registry) => unknown,
  ): { readonly bytes: Uint8Array; readonly etag: string } | undefined {
    const known = this.#made.get(key);
    if (known) return known;
    const value = make(this.#registry);
    if (value === undefined) return undefined;
    const bytes = jsonBytes(value);
    const document = { bytes, etag: etagOf(bytes) };
    this.#made.set(key, document);
    return document;
  }
}

const documentsOf = new WeakMap<Registry, Documents>();

export function answerSchema(server: ServerContext, request: ApiRequest, path: string): ApiResponse {
  const { registry } = server;
  let documents = documentsOf.get(registry);
  if (!documents) documentsOf.set(registry, (documents = new Documents(registry)));
  if (request.method !== 'GET' && request.method !== 'HEAD') throw noSuchPath();
  if (path === '/openapi/v2') return answerOpenApiV2(request);
  if (path.startsWith('/openapi/')) return answerOpenApi(documents.openApi, request, path);
  const [root, group, version, ...rest] = path.split('/').slice(1);
  if (rest.length > 0) throw noSuchPath();
  const aggregated = group === undefined && (root === 'api' || root === 'apis') && wantsAggregated(request);
  if (path === '/api' && !aggregated) {
    // Holds the address that this client uses: not worth keeping.
    const bytes = jsonBytes(legacyVersions(registry, request.headers['host'] ?? ''));
    return tagged(request, bytes, etagOf(bytes), 'application/json');
  }
  const document = documents.get(`${path} ${aggregated}`, (served) => {
    if (root === '' && group === undefined) return rootPaths(served);
    if (root === 'api') {
      if (group !== undefined) return version === undefined ? resourceList(served, '', group) : undefined;
      return aggregatedDiscovery(served, 'api');
    }
    if (root !== 'apis') return undefined;
    if (version !== undefined) return resourceList(served, group!, version);
    if (group !== undefined) return groupDocument(served, group);
    return aggregated ? aggregatedDiscovery(served, 'apis') : groupList(served);
  });
  if (!document) throw noSuchPath();
  return tagged(
    request,
    document.bytes,
    document.etag,
    aggregated ? aggregatedDiscoveryType : 'application/json',
  );
}

function wantsAggregated(request: ApiRequest): boolean {
  for (const { type, parameters } of parseAccept(request.headers['accept'] || 'application/json')) {
    if (type === '*/*' || type === 'application/*') return false;
    if (type !== 'application/json') continue;
    const as = parameters['as'];
    if (as === undefined) return false;
    if (
      as === 'APIGroupDiscoveryList' &&
      parameters['g'] === 'apidiscovery.k8s.io' &&
      parameters['v'] === 'v2'
    ) {
      return true;
    }
  }
  throw notAcceptable(['application/json', aggregatedDiscoveryType]);
}

function answerOpenApi(openApi: OpenApi, request: ApiRequest, path: string): ApiResponse {
  const match = /^\/openapi\/v3(?:\/(?:api|apis\/([^/]+))\/([^/]+))?$/.exec(path);
  if (!match) throw noSuchPath();
  const [, group = '', version] = match;
  const document = version === undefined ? openApi.root() : openApi.document(group, version);
  if (!document) throw noSuchPath();
  const response = tagged(request, document.bytes, `"${document.hash}"`, 'application/json');
  const asked = new URLSearchParams(request.query).get('hash');
  if (asked === null) return response;
  if (asked !== document.hash) return moved(path, document.hash);
  // The address names the content: it may be kept for ever.
  return { ...response, headers: { ...response.headers, 'cache-control': 'public, immutable' } };
}

/** The document has changed since its address was read. */
function moved(path: string, hash: string): ApiResponse {
  const headers = { 'content-type': 'text/plain; charset=utf-8', location: `${path}?hash=${hash}` };
  return { status: 301, headers, body: Buffer.from('Moved Permanently\n') };
}

function tagged(request: ApiRequest, bytes: Uint8Array, etag: string, type: string): ApiResponse {
  const headers = { 'content-type': type, etag, vary: 'Accept' };
  if (request.headers['if-none-match'] === etag) return { status: 304, headers, body: new Uint8Array() };
  return { status: 200, headers, body: bytes };
}

function rootPaths(registry: Registry): unknown {
  const paths = ['/api', '/apis'];
  for (const group of registry.groups()) {
    if (group !== '') paths.push(`/apis/${group}`);
    for (const version of registry.versions(group)) {
      paths.push(group === '' ? `/api/${version}` : `/apis/${group}/${version}`);
    }
  }
  return {
    paths: [
      ...paths,
      '/healthz',
      '/livez',
      '/metrics',
      '/openapi/v2',
      '/openapi/v3',
      '/readyz',
      '/version',
    ].sort(),
  };
}
