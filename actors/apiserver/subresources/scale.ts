/** `scale`: the autoscaling/v1 Scale view of a workload's replicas. */
import type { KubeObject } from '../../objects/meta.js';
import { checkFields } from '../machinery.js';
import { parseMediaType } from '../negotiation.js';
import type { ApiResponse } from '../request.js';
import type { CacheEntry } from '../resource-cache.js';
import { bytesResponse } from '../resource-view.js';
import { jsonBytes } from '../object-bytes.js';
import type { RequestContext } from '../server-context.js';
import { conflict, invalid, notFound } from '../status.js';
import { objectKey, resourcePrefix } from '../storage.js';
import { strategyFor } from '../strategies.js';
import { transact } from '../transact.js';
import { checkKind, readBody } from '../verbs/body.js';
import { patchFunction } from '../verbs/patch.js';
import { viewOf } from '../verbs/read.js';
import { checkName, finishUpdate } from '../verbs/update.js';
import { tableOf } from '../machinery.js';

interface Scale extends KubeObject {
  spec?: { replicas?: number };
  status?: { replicas: number; selector?: string };
}

interface Scaled extends KubeObject {
  spec?: { replicas?: number; selector?: unknown };
  status?: { replicas?: number };
}

export async function getScale(context: RequestContext): Promise<ApiResponse> {
  const { server, info, resource } = context;
  await server.cache.fresh();
  const key = objectKey(resource.storage, info.namespace, info.name);
  const entry = server.cache.resource(resourcePrefix(resource.storage)).get(key);
  if (!entry) throw notFound(resource, info.name);
  return respond(context, entry);
}

export async function updateScale(context: RequestContext): Promise<ApiResponse> {
  const body = readBody<Scale>(context, kindOf(context));
  checkName(body.metadata!, context.info.name);
  return await changeScale(context, () => structuredClone(body));
}

export async function patchScale(context: RequestContext): Promise<ApiResponse> {
  const { type } = parseMediaType(context.request.headers['content-type'] ?? '');
  const kind = kindOf(context);
  const patch = patchFunction({ request: context.request, resource: { ...context.resource, ...kind } }, type);
  return await changeScale(context, (scale) => {
    const { object } = checkFields(kind, patch(scale), context.fieldValidation);
    return checkKind(object, kind) as Scale;
  });
}

async function changeScale(context: RequestContext, change: (scale: Scale) => Scale): Promise<ApiResponse> {
  const { resource, info } = context;
  const view = viewOf(context);
  const key = objectKey(resource.storage, info.namespace, info.name);
  const strategy = strategyFor(resource);
  const { entry } = await transact(context, { ...resource, name: info.name }, key, async (current, taken) => {
    if (!current) throw notFound(resource, info.name);
    const old = view.object(current);
    const next = change(scaleOf(old));
    const { resourceVersion, uid } = next.metadata ?? {};
    if (resourceVersion && resourceVersion !== String(current.revision)) throw conflict(resource, info.name);
    if (uid && uid !== old.metadata?.uid) throw conflict(resource, info.name, 'Precondition failed: UID');
    const replicas = next.spec?.replicas ?? 0;
    if (!Number.isInteger(replicas) || replicas < 0) {
      throw invalid({ group: 'autoscaling', kind: 'Scale' }, info.name, [
        {
          reason: 'FieldValueInvalid',
          field: 'spec.replicas',
          message: `Invalid value: ${replicas}: must be greater than or equal to 0`,
        },
      ]);
    }
    const object = structuredClone(old) as Scaled;
    object.spec = { ...object.spec, replicas };
    return await finishUpdate(context, strategy, object, old, current, taken, 'update');
  });
  return respond(context, entry);
}

function kindOf({ resource, info }: RequestContext) {
  return resource.subresources.get(info.subresource)!;
}

function respond(context: RequestContext, entry: CacheEntry): ApiResponse {
  const { form, server, resource } = context;
  const scale = scaleOf(viewOf(context).object(entry));
  if (form.type !== 'table') return bytesResponse(200, jsonBytes(scale), form);
  const table = tableOf({ ...resource, group: 'autoscaling', kind: 'Scale' }, [scale], {
    includeObject: form.includeObject,
    nowMs: server.system.env.clock.nowMs(),
    metadata: { resourceVersion: String(entry.revision) },
    withoutColumns: false,
  });
  return bytesResponse(200, jsonBytes(table), form);
}

function scaleOf(object: KubeObject): Scale {
  const { metadata = {}, spec, status } = object as Scaled;
  const selector = selectorText(
    object.kind === 'ReplicationController' ? { matchLabels: spec?.selector } : spec?.selector,
  );
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata;
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      ...(name !== undefined && { name }),
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(creationTimestamp !== undefined && { creationTimestamp }),
    },
    spec: spec?.replicas ? { replicas: spec.replicas } : {},
    status: { replicas: status?.replicas ?? 0, ...(selector && { selector }) },
  };
}

/** A LabelSelector object in the syntax of `-l`. */
function selectorText(selector: unknown): string {
  const { matchLabels = {}, matchExpressions = [] } = (selector ?? {}) as {
    matchLabels?: Record<string, string>;
    matchExpressions?: { key: string; operator: string; values?: string[] }[];
  };
  const terms = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  for (const { key, operator, values = [] } of matchExpressions) {
    const list = [...values].sort().join(',');
    switch (operator) {
      case 'In':
        terms.push(`${key} in (${list})`);
        break;
      case 'NotIn':
        terms.push(`${key} notin (${list})`);
        break;
      case 'Exists':
        terms.push(key);
        break;
      case 'DoesNotExist':
        terms.push(`!${key}`);
        break;
      default:
        throw new TypeError(`unknown label selector operator ${operator}`);
    }
  }
  return terms.sort().join(',');
}
