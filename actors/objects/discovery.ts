/**
 * Discovery documents from a registry: the aggregated one (KEP-3352) that kubectl asks for, and the legacy
 * three that other clients still read. The same registry always gives the same bytes, so they can be tagged
 * and cached.
 */
import { createHash } from 'node:crypto';
import type { Registry, ResourceInfo, SubresourceInfo } from './registry.js';
import { apiVersionOf } from './registry.js';
import type { JsonObject } from './typed.js';

/** The media type that asks for, and marks, the aggregated form. */
export const aggregatedDiscoveryType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** `GET /api` and `GET /apis`, aggregated. */
export function aggregatedDiscovery(registry: Registry, root: 'api' | 'apis'): JsonObject {
  const groups = registry.groups().filter((group) => (group === '') === (root === 'api'));
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map((group) => ({
      metadata: group === '' ? {} : { name: group },
      versions: registry.versions(group).map((version) => ({
        version,
        resources: registry.inGroupVersion(group, version).map(describeResource),
        freshness: 'Current',
      })),
    })),
  };
}

/** `GET /api`, legacy. `serverAddress` is `host:port` as clients reach it. */
export function legacyVersions(registry: Registry, serverAddress: string): JsonObject {
  return {
    kind: 'APIVersions',
    versions: registry.versions(''),
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  };
}

/** `GET /apis`, legacy. */
export function groupList(registry: Registry): JsonObject {
  const groups = registry.groups().filter((group) => group !== '');
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: groups.map((group) => describeGroup(registry, group)),
  };
}

/** `GET /apis/<group>`; undefined when no such group is served. */
export function groupDocument(registry: Registry, group: string): JsonObject | undefined {
  if (group === '' || registry.versions(group).length === 0) return undefined;
  return { kind: 'APIGroup', apiVersion: 'v1', ...describeGroup(registry, group) };
}

/** `GET /api/v1`, `GET /apis/<group>/<version>`; undefined when it is not served. */
export function resourceList(registry: Registry, group: string, version: string): JsonObject | undefined {
  const resources = registry.inGroupVersion(group, version);
  if (resources.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    ...(group === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: apiVersionOf({ group, version }),
    resources: resources.flatMap((info) => [
      legacyResource(info),
      ...[...info.subresources.values()].map((subresource) => legacySubresource(info, subresource)),
    ]),
  };
}

/** Strong ETag of a document's bytes. */
export function etagOf(bytes: Uint8Array): string {
  return `"${createHash('sha256').update(bytes).digest('hex').toUpperCase()}"`;
}

/** Changes when the stored form of a resource does; the function is the real server's. */
export function storageVersionHash(info: ResourceInfo): string {
  const { group, version } = info.storage;
  const digest = createHash('sha256').update(`${group}/${version}/${info.kind}`).digest();
  return digest.subarray(0, 8).toString('base64');
}

function describeResource(info: ResourceInfo): JsonObject {
  return {
    resource: info.resource,
    responseKind: { group: info.group, version: info.version, kind: info.kind },
    scope: info.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: info.singularName,
    verbs: info.verbs,
    ...(info.shortNames.length > 0 ? { shortNames: info.shortNames } : {}),
    ...(info.categories.length > 0 ? { categories: info.categories } : {}),
    ...(info.subresources.size > 0
      ? {
          subresources: [...info.subresources.values()].map(({ name, group, version, kind, verbs }) => ({
            subresource: name,
            responseKind: { group, version, kind },
            verbs,
          })),
        }
      : {}),
  };
}

function describeGroup(registry: Registry, group: string): JsonObject {
  const versions = registry
    .versions(group)
    .map((version) => ({ groupVersion: apiVersionOf({ group, version }), version }));
  return { name: group, versions, preferredVersion: versions[0] };
}

function isStored(info: ResourceInfo): boolean {
  return info.verbs.includes('get') && info.verbs.includes('create');
}

function legacyResource(info: ResourceInfo): JsonObject {
  return {
    name: info.resource,
    singularName: info.singularName,
    namespaced: info.namespaced,
    kind: info.kind,
    verbs: info.verbs,
    ...(info.shortNames.length > 0 ? { shortNames: info.shortNames } : {}),
    ...(info.categories.length > 0 ? { categories: info.categories } : {}),
    ...(isStored(info) ? { storageVersionHash: storageVersionHash(info) } : {}),
  };
}

function legacySubresource(info: ResourceInfo, subresource: SubresourceInfo): JsonObject {
  const { name, group, version, kind, verbs } = subresource;
  const elsewhere = group !== info.group || version !== info.version;
  return {
    name: `${info.resource}/${name}`,
    singularName: '',
    namespaced: info.namespaced,
    ...(elsewhere ? { group, version } : {}),
    kind,
    verbs,
  };
}
