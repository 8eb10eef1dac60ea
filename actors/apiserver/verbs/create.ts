/** POST to a collection: a new object, from body to store. */
import type { KubeObject, ObjectMeta } from '../../objects/meta.js';
import { admitCreate, requireNamespace } from '../admission.js';
import { refuseEscalation } from '../escalation.js';
import { limits } from '../limits.js';
import {
  applyDefaults,
  convertToStored,
  firstStatus,
  prepareNew,
  trackUpdate,
  validateObject,
} from '../machinery.js';
import { companionsFor } from '../companions.js';
import type { ApiResponse } from '../request.js';
import { nowText, type RequestContext, writerOf } from '../server-context.js';
import { alreadyExists, badRequest, invalid, plainError, StatusError } from '../status.js';
import { objectKey } from '../storage.js';
import { strategyFor } from '../strategies.js';
import { transact, type Transacted } from '../transact.js';
import { readBody } from './body.js';
import { viewOf } from './read.js';

export async function createObject(context: RequestContext): Promise<ApiResponse> {
  const object = readBody(context, context.resource);
  const { entry } = await createFrom(context, object);
  return viewOf(context).respond(entry, context.form, 201);
}

/** Creates an object that is already decoded (in the request's version). */
export async function createFrom(
  context: RequestContext,
  object: KubeObject,
  by: 'update' | 'apply' = 'update',
): Promise<Transacted> {
  const { resource, info, server } = context;
  const metadata = (object.metadata ??= {});
  placeInNamespace(metadata, resource.namespaced, info.namespace);
  if (metadata.resourceVersion && metadata.resourceVersion !== '0') {
    throw plainError('resourceVersion should not be set on objects to be created');
  }
  const generated = !metadata.name && Boolean(metadata.generateName);
  const base = (metadata.generateName ?? '').slice(0, 58);
  for (let tries = 1; ; tries++) {
    const attempt = structuredClone(object);
    if (generated) attempt.metadata!.name = base + randomSuffix(context);
    try {
      return await createOnce(context, attempt, by);
    } catch (error) {
      const again =
        generated &&
        tries < limits.generateNameTriesMax &&
        error instanceof StatusError &&
        error.reason === 'AlreadyExists';
      if (!again) throw error;
      server.system.note('apiserver', 'generated name taken', { name: attempt.metadata!.name! });
    }
  }
}

async function createOnce(
  context: RequestContext,
  object: KubeObject,
  by: 'update' | 'apply',
): Promise<Transacted> {
  const { resource } = context;
  const strategy = strategyFor(resource);
  const metadata = object.metadata!;
  if (!metadata.name) {
    throw invalid(resource, '', [
      {
        reason: 'FieldValueRequired',
        field: 'metadata.name',
        message: 'Required value: name or generateName is required',
      },
    ]);
  }
  fillSystemFields(context, metadata, strategy.hasGeneration);
  if (strategy.hasStatus) resetStatus(object, firstStatus(resource));
  applyDefaults(resource, object);
  prepareNew(resource, object);
  await admitCreate(context, object);
  applyDefaults(resource, object);
  const complete = by === 'apply' ? object : trackUpdate(resource, undefined, object, writerOf(context));
  const causes = validateObject(resource, complete, undefined, '');
  if (causes.length > 0) throw invalid(resource, metadata.name, causes);
  await refuseEscalation(context, complete);
  return await writeNew(context, complete);
}

/** What a client says of the status is not taken; Go prints an empty struct, so it is there: `status: {}`. */
function resetStatus(object: KubeObject & { status?: unknown }, status: unknown): void {
  if (status === undefined) delete object.status;
  else object.status = status;
}

/** Writes a finished object unless one of that name exists. */
async function writeNew(context: RequestContext, object: KubeObject): Promise<Transacted> {
  const { resource } = context;
  const { name = '', namespace = '' } = object.metadata!;
  const key = objectKey(resource.storage, namespace, name);
  return await transact(context, { ...resource, name }, key, async (current, taken) => {
    if (current) throw alreadyExists(resource, name);
    const candidate = structuredClone(object);
    const require = await requireNamespace(context, candidate, taken);
    const companions = await companionsFor(context, candidate, undefined, taken);
    return { type: 'write', object: convertToStored(resource, candidate), ...companions, require };
  });
}

function placeInNamespace(metadata: ObjectMeta, namespaced: boolean, requested: string): void {
  if (!namespaced) {
    delete metadata.namespace;
    return;
  }
  if (metadata.namespace && metadata.namespace !== requested) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (requested === '') throw badRequest('an empty namespace may not be set during creation');
  metadata.namespace = requested;
}

function fillSystemFields(
  context: Pick<RequestContext, 'server'>,
  metadata: ObjectMeta,
  generation: boolean,
): void {
  const { server } = context;
  metadata.uid = server.system.env.uuid();
  metadata.creationTimestamp = nowText(server);
  delete metadata.resourceVersion;
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.selfLink;
  if (generation) metadata.generation = 1;
  else delete metadata.generation;
}

/** No vowels and nothing that is mistaken for another sign (apimachinery's rand.String). */
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

function randomSuffix(context: RequestContext): string {
  const { random } = context.server.system.env;
  let suffix = '';
  for (let index = 0; index < 5; index++) suffix += suffixAlphabet[random.integer(suffixAlphabet.length)];
  return suffix;
}
