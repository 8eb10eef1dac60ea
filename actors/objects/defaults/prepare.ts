/**
 * What the server itself writes into a new object before validation, beyond defaults: the status that a kind
 * starts with and the fields that follow from its name and uid (the PrepareForCreate of each kind's registry
 * strategy).
 */
import { compareQuantities } from '../quantity.js';
import type { JsonObject } from '../typed.js';
import { isObject } from '../typed.js';
import { child, children, ensure } from './fill.js';

/** Changes the object in place. Its metadata must already carry name and uid. */
export function prepareForCreate(
  object: JsonObject,
  kind: { readonly group: string; readonly kind: string },
): void {
  switch (`${kind.group}/${kind.kind}`) {
    case '/Pod':
      object['status'] = { phase: 'Pending', qosClass: qosClassOf(child(object, 'spec')) };
      break;
    case '/Namespace': {
      const spec = ensure(object, 'spec');
      const finalizers = Array.isArray(spec['finalizers']) ? spec['finalizers'] : [];
      spec['finalizers'] = finalizers.includes('kubernetes') ? finalizers : [...finalizers, 'kubernetes'];
      object['status'] = { phase: 'Active' };
      break;
    }
    case '/PersistentVolume':
    case '/PersistentVolumeClaim':
      object['status'] = { phase: 'Pending' };
      break;
    case 'batch/Job':
      generateJobSelector(object);
      break;
    default:
  }
}

/**
 * Guaranteed when every container limits CPU and memory to what it requests, BestEffort when none asks for
 * either.
 */
export function qosClassOf(spec: JsonObject): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const containers = [...children(spec, 'initContainers'), ...children(spec, 'containers')];
  let guaranteed = containers.length > 0;
  let bestEffort = true;
  for (const container of containers) {
    const requests = child(child(container, 'resources'), 'requests');
    const limits = child(child(container, 'resources'), 'limits');
    for (const name of ['cpu', 'memory']) {
      const request = asText(requests[name]);
      const limit = asText(limits[name]);
      if (request !== '0' || limit !== '0') bestEffort = false;
      if (limit === '0' || (request !== '0' && compareQuantities(request, limit) !== 0)) guaranteed = false;
    }
  }
  if (bestEffort) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function asText(quantity: unknown): string {
  return typeof quantity === 'string' ? quantity : '0';
}

/** A job owns its pods by its uid, unless `manualSelector` says that the user took care. */
function generateJobSelector(job: JsonObject): void {
  const spec = ensure(job, 'spec');
  if (spec['manualSelector'] === true) return;
  const metadata = child(job, 'metadata');
  const { uid, name } = metadata;
  const labels = ensure(ensure(ensure(spec, 'template'), 'metadata'), 'labels');
  if (typeof uid !== 'string' || typeof name !== 'string') return;
  const generated: Record<string, string> = {
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
    'controller-uid': uid,
    'job-name': name,
  };
  for (const [key, value] of Object.entries(generated)) labels[key] ??= value;
  const selector = ensure(spec, 'selector');
  const matchLabels = isObject(selector['matchLabels']) ? selector['matchLabels'] : {};
  selector['matchLabels'] = { ...matchLabels, 'batch.kubernetes.io/controller-uid': uid };
}
