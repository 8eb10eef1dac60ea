/**
 * How a typed verb becomes a request: paths, queries and bodies of the Kubernetes REST API, always in the
 * same order.
 */
import type { KubeObject } from '../objects/meta.js';
import type { DeleteOptions, ListOptions, PatchType, Resource, WriteOptions } from './api-client.js';

const encoder = new TextEncoder();

export function groupVersionOf(resource: Resource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** Decoded path of a collection, an object or a subresource. */
export function pathOf(
  resource: Resource,
  namespace: string | undefined,
  name?: string,
  subresource?: string,
): string {
  const root = resource.group === '' ? '/api' : '/apis';
  const scope = resource.namespaced && namespace !== undefined ? `/namespaces/${namespace}` : '';
  const collection = `${root}/${groupVersionOf(resource)}${scope}/${resource.resource}`;
  const object = name === undefined ? collection : `${collection}/${name}`;
  return subresource === undefined ? object : `${object}/${subresource}`;
}

/** Drops what is undefined; keeps the order of the entries. */
export function queryOf(entries: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(entries)) {
    if (value !== undefined) parts.push(`${name}=${encodeURIComponent(String(value))}`);
  }
  return parts.join('&');
}

export function listQuery(options: ListOptions): Record<string, string | number | undefined> {
  return {
    labelSelector: options.labelSelector,
    fieldSelector: options.fieldSelector,
    resourceVersion: options.resourceVersion,
    limit: options.limit,
    continue: options.continue,
  };
}

export function acceptOf({ metadataOnly }: ListOptions, partialKind: string): string {
  return metadataOnly ? `application/json;as=${partialKind};g=meta.k8s.io;v=v1` : 'application/json';
}

export function writeQuery(options: WriteOptions): Record<string, string | undefined> {
  return { dryRun: options.dryRun ? 'All' : undefined, fieldManager: options.fieldManager };
}

export function encodeBody(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** The object with its type in front, as a request body must have it. */
export function typed<T extends KubeObject>(resource: Resource<T>, object: T): T {
  return { ...object, apiVersion: groupVersionOf(resource), kind: resource.kind };
}

/**
 * List items carry no type of their own (API conventions); given one, they look like objects from a watch.
 */
export function withType<T extends KubeObject>(resource: Resource<T>, item: T): T {
  return { apiVersion: groupVersionOf(resource), kind: resource.kind, ...item };
}

export function deleteBody(options: DeleteOptions): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    ...(options.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: options.gracePeriodSeconds }),
    ...(options.preconditions === undefined ? {} : { preconditions: options.preconditions }),
    ...(options.propagationPolicy === undefined ? {} : { propagationPolicy: options.propagationPolicy }),
    ...(options.dryRun ? { dryRun: ['All'] } : {}),
  };
}

export const patchContentType: Readonly<Record<PatchType, string>> = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
};
