/** `pods/binding`: the scheduler's verdict (Kubernetes: registry/core/pod/storage, assignPod). */
import type { Binding, Pod } from '../../objects/types/core.js';
import type { ApiResponse } from '../request.js';
import { jsonResponse } from '../resource-view.js';
import { nowText, type RequestContext, writerOf } from '../server-context.js';
import { conflict, invalid, notFound, success } from '../status.js';
import { objectKey } from '../storage.js';
import { transact } from '../transact.js';
import { convertToStored, trackUpdate } from '../machinery.js';
import { readBody } from '../verbs/body.js';
import { viewOf } from '../verbs/read.js';

const pods = { group: '', resource: 'pods' };

export async function bindPod(context: RequestContext): Promise<ApiResponse> {
  const kind = context.resource.subresources.get('binding')!;
  const binding = readBody<Binding>(context, kind);
  return await bind(context, context.info.name, binding);
}

/** POST to the collection `bindings`: the pod's name is in the body. */
export async function createBinding(context: RequestContext): Promise<ApiResponse> {
  const { registry } = context.server;
  const binding = readBody<Binding>(context, context.resource);
  const resource = registry.find('', 'v1', 'pods');
  if (!resource) throw notFound(pods, binding.metadata?.name ?? '');
  return await bind({ ...context, resource }, binding.metadata?.name ?? '', binding);
}

async function bind(context: RequestContext, name: string, binding: Binding): Promise<ApiResponse> {
  const { resource, info, server } = context;
  const { target } = binding;
  const causes = [];
  if (target?.kind && target.kind !== 'Node') {
    causes.push({
      reason: 'FieldValueNotSupported',
      field: 'target.kind',
      message: `Unsupported value: "${target.kind}": supported values: "Node", "<empty>"`,
    });
  }
  if (!target?.name) {
    causes.push({ reason: 'FieldValueRequired', field: 'target.name', message: 'Required value' });
  }
  if (causes.length > 0) throw invalid({ group: '', kind: 'Binding' }, name, causes);
  const view = viewOf(context);
  const key = objectKey(resource.storage, info.namespace, name);
  const bound = { group: '', resource: 'pods/binding' };
  await transact(context, { ...resource, name }, key, (current) => {
    if (!current) throw notFound(pods, name);
    const old = view.object(current) as Pod;
    const { uid, resourceVersion } = binding.metadata ?? {};
    if (uid && uid !== old.metadata?.uid) {
      throw conflict(
        bound,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata?.uid}`,
      );
    }
    if (resourceVersion && resourceVersion !== String(current.revision)) throw conflict(bound, name);
    if (old.metadata?.deletionTimestamp) {
      throw conflict(bound, name, `pod ${name} is being deleted, cannot be assigned to a host`);
    }
    if (old.spec?.nodeName) {
      throw conflict(bound, name, `pod ${name} is already assigned to node "${old.spec.nodeName}"`);
    }
    if (old.spec?.schedulingGates?.length) {
      throw conflict(bound, name, `pod ${name} has non-empty .spec.schedulingGates`);
    }
    const pod = structuredClone(old);
    pod.spec = { ...pod.spec!, nodeName: target.name! };
    const annotations = { ...pod.metadata?.annotations, ...binding.metadata?.annotations };
    if (Object.keys(annotations).length > 0) pod.metadata!.annotations = annotations;
    const conditions = (pod.status?.conditions ?? []).filter(({ type }) => type !== 'PodScheduled');
    pod.status = {
      ...pod.status,
      conditions: [
        ...conditions,
        { type: 'PodScheduled', status: 'True', lastTransitionTime: nowText(server) },
      ],
    };
    const tracked = trackUpdate(resource, old, pod, { ...writerOf(context), subresource: 'binding' });
    return { type: 'write', object: convertToStored(resource, tracked) };
  });
  return jsonResponse(201, success(undefined, 201));
}
