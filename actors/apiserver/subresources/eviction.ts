/**
 * `pods/eviction`: a delete that asks the disruption budgets first and takes its share of them (Kubernetes:
 * registry/core/pod/storage/eviction.go).
 */
import { labelSelectorFromObject, type LabelSelectorObject } from '../../objects/index.js';
import type { Pod } from '../../objects/types/core.js';
import type { Eviction, PodDisruptionBudget } from '../../objects/types/policy.js';
import type { ApiResponse } from '../request.js';
import { jsonResponse } from '../resource-view.js';
import { nowText, type RequestContext } from '../server-context.js';
import { badRequest, internalError, notFound, success, tooManyRequests } from '../status.js';
import { objectKey, resourcePrefix } from '../storage.js';
import { transact } from '../transact.js';
import { readBody } from '../verbs/body.js';
import { deleteOne, type DeletionOptions } from '../verbs/delete.js';

const budgets = { group: 'policy', resource: 'poddisruptionbudgets' };
const refusal = "Cannot evict pod as it would violate the pod's disruption budget.";

export async function evictPod(context: RequestContext): Promise<ApiResponse> {
  const { server, info, resource } = context;
  const eviction = readBody<Eviction>(context, resource.subresources.get('eviction')!);
  const named = eviction.metadata?.name;
  if (named && named !== info.name) throw badRequest('name in URL does not match name in Eviction object');
  const options = (eviction.deleteOptions ?? {}) as DeletionOptions;
  const dryRun = context.dryRun || (options.dryRun?.length ?? 0) > 0;
  await server.cache.fresh();
  const key = objectKey(resource.storage, info.namespace, info.name);
  const pod = server.cache.resource(resourcePrefix(resource.storage)).get(key)?.object as Pod | undefined;
  if (!pod) throw notFound(resource, info.name);
  if (countsForBudgets(pod)) await takeFromBudget({ ...context, dryRun }, pod);
  const preconditions = { uid: pod.metadata!.uid!, ...options.preconditions };
  await deleteOne({ ...context, dryRun }, info.namespace, info.name, { ...options, preconditions });
  return jsonResponse(201, success(undefined, 201));
}

/** Pods that run, or could: others are evicted without asking. */
function countsForBudgets({ status, metadata }: Pod): boolean {
  if (metadata?.deletionTimestamp) return false;
  return status?.phase !== 'Succeeded' && status?.phase !== 'Failed' && status?.phase !== 'Pending';
}

async function takeFromBudget(context: RequestContext, pod: Pod): Promise<void> {
  const { server } = context;
  const { namespace = '', name: podName = '', labels } = pod.metadata!;
  const cache = server.cache.resource(resourcePrefix(budgets));
  const matching = cache
    .range(`${cache.prefix}${namespace}/`)
    .map((entry) => entry.object as PodDisruptionBudget)
    .filter(({ spec }) =>
      labelSelectorFromObject(spec?.selector as LabelSelectorObject | undefined).matches(labels),
    );
  if (matching.length === 0) return;
  if (matching.length > 1) {
    throw internalError(
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  }
  const name = matching[0]!.metadata!.name!;
  const ready =
    pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
  await transact(context, { ...budgets, name }, objectKey(budgets, namespace, name), (current) => {
    if (!current) throw notFound(budgets, name);
    const budget = structuredClone(current.object) as PodDisruptionBudget;
    if (!ready && unhealthyMayGo(budget)) return { type: 'keep' };
    checkBudget(budget, name);
    const status = budget.status!;
    budget.status = {
      ...status,
      disruptionsAllowed: (status.disruptionsAllowed ?? 0) - 1,
      disruptedPods: { ...status.disruptedPods, [podName]: nowText(server) },
    };
    return { type: 'write', object: budget };
  });
}

/** KEP-3017: pods that are not ready do not count when the healthy ones suffice, or never. */
function unhealthyMayGo({ spec, status }: PodDisruptionBudget): boolean {
  if (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = status ?? {};
  return desiredHealthy > 0 && currentHealthy >= desiredHealthy;
}

function checkBudget({ metadata, status }: PodDisruptionBudget, name: string): void {
  if ((status?.observedGeneration ?? 0) < (metadata?.generation ?? 0)) {
    throw tooManyRequests(
      refusal,
      [
        {
          reason: 'DisruptionBudget',
          message: `The disruption budget ${name} is still being processed by the server.`,
        },
      ],
      10,
    );
  }
  const { disruptionsAllowed = 0, desiredHealthy = 0, currentHealthy = 0 } = status ?? {};
  if (disruptionsAllowed > 0) return;
  throw tooManyRequests(
    refusal,
    [
      {
        reason: 'DisruptionBudget',
        message:
          `The disruption budget ${name} needs ${desiredHealthy} healthy pods ` +
          `and has ${currentHealthy} currently`,
      },
    ],
    0,
  );
}
