/** Quality-of-service class of a pod (Kubernetes `qos.ComputePodQOS`), pure. */
import type { Pod } from '../objects/types/core.js';
import { quantityValue } from './quantity.js';

export function qosClass(pod: Pod): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  let any = false;
  let guaranteed = true;
  for (const { resources } of [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])]) {
    for (const name of ['cpu', 'memory']) {
      const limit = quantityValue(resources?.limits?.[name] ?? '0');
      const request = quantityValue(resources?.requests?.[name] ?? resources?.limits?.[name] ?? '0');
      if (limit > 0 || request > 0) any = true;
      if (limit === 0 || limit !== request) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}
