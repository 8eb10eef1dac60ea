/**
 * The operations of a group version: which kind each path and method is about, and which parameters it takes.
 */
import type { ResourceInfo } from './registry.js';
import { apiVersionOf } from './registry.js';
import type { Definition } from './schema-table.js';
import { schemaTable } from './schema-table.js';
import type { JsonObject } from './typed.js';
import { refTo } from './openapi-schemas.js';

interface Target {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly definition: Definition | undefined;
}

interface Operation {
  readonly method: string;
  readonly action: string;
  readonly verb: string;
}

const onCollection: readonly Operation[] = [
  { method: 'get', action: 'list', verb: 'list' },
  { method: 'post', action: 'post', verb: 'create' },
  { method: 'delete', action: 'deletecollection', verb: 'deletecollection' },
];
const onItem: readonly Operation[] = [
  { method: 'get', action: 'get', verb: 'get' },
  { method: 'put', action: 'put', verb: 'update' },
  { method: 'delete', action: 'delete', verb: 'delete' },
  { method: 'patch', action: 'patch', verb: 'patch' },
];
const onSubresource: readonly Operation[] = [
  { method: 'get', action: 'get', verb: 'get' },
  { method: 'post', action: 'post', verb: 'create' },
  { method: 'put', action: 'put', verb: 'update' },
  { method: 'patch', action: 'patch', verb: 'patch' },
];

const patchTypes = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
];
const objectTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];

export function operationsOf(resources: readonly ResourceInfo[]): JsonObject {
  const paths: JsonObject = {};
  for (const info of resources) {
    const root = info.group === '' ? `/api/${info.version}` : `/apis/${apiVersionOf(info)}`;
    const collection = info.namespaced
      ? `${root}/namespaces/{namespace}/${info.resource}`
      : `${root}/${info.resource}`;
    addPath(paths, collection, onCollection, info.verbs, info, info);
    if (info.namespaced && info.verbs.includes('list')) {
      addPath(paths, `${root}/${info.resource}`, [onCollection[0]!], ['list'], info, info);
    }
    addPath(paths, `${collection}/{name}`, onItem, info.verbs, info, info);
    for (const subresource of info.subresources.values()) {
      const path = `${collection}/{name}/${subresource.name}`;
      if (subresource.connects) addConnection(paths, path, subresource);
      else addPath(paths, path, onSubresource, subresource.verbs, subresource, info);
    }
  }
  return paths;
}

function addPath(
  paths: JsonObject,
  path: string,
  operations: readonly Operation[],
  verbs: readonly string[],
  target: Target,
  owner: ResourceInfo,
): void {
  const served = operations.filter((operation) => verbs.includes(operation.verb));
  if (served.length === 0) return;
  const item: JsonObject = {};
  for (const operation of served) item[operation.method] = describe(operation, path, target, owner);
  item['parameters'] = pathParameters(path);
  paths[path] = item;
}

function addConnection(
  paths: JsonObject,
  path: string,
  target: Target & { readonly verbs: readonly string[] },
): void {
  const item: JsonObject = {};
  for (const [method, verb] of [
    ['get', 'get'],
    ['post', 'create'],
  ] as const) {
    if (!target.verbs.includes(verb)) continue;
    item[method] = {
      operationId: operationId('connect', method, path),
      'x-kubernetes-action': 'connect',
      'x-kubernetes-group-version-kind': gvkOf(target),
      responses: { 200: { description: 'OK' } },
    };
  }
  item['parameters'] = pathParameters(path);
  paths[path] = item;
}

function describe(operation: Operation, path: string, target: Target, owner: ResourceInfo): JsonObject {
  const isList = operation.action === 'list';
  const answers = isList
    ? listDefinition(owner)
    : operation.action.startsWith('delete')
      ? statusDefinition()
      : target.definition;
  return {
    tags: [owner.group === '' ? `core_${owner.version}` : `${owner.group.split('.')[0]!}_${owner.version}`],
    operationId: operationId(operation.action, operation.method, path),
    parameters: parametersOf(operation),
    ...bodyOf(operation, target),
    responses: {
      200: {
        description: 'OK',
        ...(answers ? { content: contentOf(objectTypes, { $ref: refTo(answers) }) } : {}),
      },
      401: { description: 'Unauthorized' },
    },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': gvkOf(target),
  };
}

function bodyOf(operation: Operation, target: Target): JsonObject {
  if (operation.method === 'patch') {
    const patch = schemaTable().definition('io.k8s.apimachinery.pkg.apis.meta.v1.Patch');
    return { requestBody: { content: contentOf(patchTypes, { $ref: refTo(patch) }), required: true } };
  }
  if (operation.method === 'delete') {
    const options = schemaTable().definition('io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions');
    return { requestBody: { content: contentOf(['*/*'], { $ref: refTo(options) }) } };
  }
  if ((operation.method === 'post' || operation.method === 'put') && target.definition) {
    return {
      requestBody: { content: contentOf(['*/*'], { $ref: refTo(target.definition) }), required: true },
    };
  }
  return {};
}

function parametersOf(operation: Operation): JsonObject[] {
  switch (operation.method) {
    case 'get':
      return operation.action === 'list'
        ? [
            query('allowWatchBookmarks', 'boolean'),
            query('continue', 'string'),
            query('fieldSelector', 'string'),
            query('labelSelector', 'string'),
            query('limit', 'integer'),
            query('resourceVersion', 'string'),
            query('resourceVersionMatch', 'string'),
            query('sendInitialEvents', 'boolean'),
            query('timeoutSeconds', 'integer'),
            query('watch', 'boolean'),
          ]
        : [];
    case 'delete':
      return [
        query('dryRun', 'string'),
        query('gracePeriodSeconds', 'integer'),
        query('orphanDependents', 'boolean'),
        query('propagationPolicy', 'string'),
      ];
    default:
      return [
        query('dryRun', 'string'),
        query('fieldManager', 'string'),
        query('fieldValidation', 'string'),
        ...(operation.method === 'patch' ? [query('force', 'boolean')] : []),
      ];
  }
}

function query(name: string, type: string): JsonObject {
  return { name, in: 'query', schema: { type, uniqueItems: true } };
}

function pathParameters(path: string): JsonObject[] {
  const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', uniqueItems: true },
  }));
  return [...named, query('pretty', 'string')];
}

function contentOf(types: readonly string[], schema: JsonObject): JsonObject {
  return Object.fromEntries(types.map((type) => [type, { schema }]));
}

function gvkOf({ group, version, kind }: Target): JsonObject {
  return { group, version, kind };
}

/** Unique within a document: the action and the path's own words. */
function operationId(action: string, method: string, path: string): string {
  const words = path
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== '')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `${action === 'connect' ? `connect${method}` : action}${words.join('')}`;
}

function listDefinition(info: ResourceInfo): Definition | undefined {
  return schemaTable().byGvk(info.group, info.version, info.listKind);
}

function statusDefinition(): Definition {
  return schemaTable().definition('io.k8s.apimachinery.pkg.apis.meta.v1.Status');
}
