/**
 * The one place where the apiserver meets the object machinery: decoding, defaults, validation, versions, managed
 * fields and tables, each in the shape that the verbs need.
 */
import type { KubeObject } from '../objects/meta.js';
import type { ResourceInfo } from '../objects/index.js';
import { parse as parseYaml } from 'yaml';
import { parseMediaType } from './negotiation.js';
import { textOf } from './object-bytes.js';
import { badRequest, notImplemented, unsupportedMediaType, type StatusCause } from './status.js';

export interface Decoded {
  readonly object: KubeObject;
  readonly warnings: readonly string[];
}

const bodyTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];

export interface BodyKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** A request body as an object of the kind expected. */
export function decodeBody(
  _kind: BodyKind,
  contentType: string | undefined,
  body: Uint8Array,
  _fieldValidation: 'Ignore' | 'Warn' | 'Strict',
): Decoded {
  const { type } = parseMediaType(contentType || 'application/json');
  switch (type) {
    case 'application/json':
      return { object: parseJson(textOf(body)), warnings: [] };
    case 'application/yaml':
      return { object: parseYaml(textOf(body)) as KubeObject, warnings: [] };
    default:
      throw unsupportedMediaType(bodyTypes);
  }
}

export function parseJson(text: string): KubeObject {
  try {
    return JSON.parse(text) as KubeObject;
  } catch (error) {
    throw badRequest(`couldn't get version/kind; json parse error: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

export function convertFromStored(_info: ResourceInfo, object: KubeObject): KubeObject {
  return object;
}

export function convertToStored(_info: ResourceInfo, object: KubeObject): KubeObject {
  return object;
}

export function applyDefaults(_info: BodyKind, _object: KubeObject): void {}

export function validateObject(
  _info: ResourceInfo,
  _object: KubeObject,
  _old: KubeObject | undefined,
  _subresource: string,
): readonly StatusCause[] {
  return [];
}

export function tableOf(
  _info: ResourceInfo,
  objects: readonly KubeObject[],
  _options: { readonly includeObject: 'None' | 'Metadata' | 'Object'; readonly nowMs: number },
): Record<string, unknown> {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    columnDefinitions: [{ name: 'Name', type: 'string', format: 'name', description: '', priority: 0 }],
    rows: objects.map((object) => ({
      cells: [object.metadata?.name],
      object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata },
    })),
  };
}

export interface FieldManager {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string;
}

/** managedFields of `next` after an update by hand (no apply). */
export function trackUpdate(
  _info: ResourceInfo,
  _old: KubeObject | undefined,
  _next: KubeObject,
  _by: FieldManager,
): void {}

export function checkFields(
  _info: ResourceInfo,
  _object: KubeObject,
  _fieldValidation: 'Ignore' | 'Warn' | 'Strict',
): readonly string[] {
  return [];
}

export function strategicMerge(_info: ResourceInfo, _object: KubeObject, _patch: unknown): KubeObject {
  throw notImplemented('strategic merge patch');
}

export interface AppliedConfiguration {
  /** What the live object becomes; throws 409 when others own fields and `force` is not set. */
  onto(live: KubeObject, force: boolean): KubeObject;
  /** The object to create when there is none. */
  fresh(): KubeObject;
}

export function serverSideApply(
  _context: { readonly resource: ResourceInfo },
  _text: string,
  _by: FieldManager,
): AppliedConfiguration {
  throw notImplemented('server-side apply');
}
