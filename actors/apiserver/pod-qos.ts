/** The quality of service class of a pod, from its containers' requests and limits (Kubernetes: ComputePodQOS). */
import type { Container, Pod } from '../objects/types/core.js';

const counted = ['cpu', 'memory'] as const;

export function podQosClass(pod: Pod): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const containers: readonly Container[] = [
    ...(pod.spec?.containers ?? []),
    ...(pod.spec?.initContainers ?? []),
  ];
  let any = false;
  let guaranteed = containers.length > 0;
  for (const { resources } of containers) {
    const requests = (resources?.requests ?? {}) as Record<string, unknown>;
    const limits = (resources?.limits ?? {}) as Record<string, unknown>;
    for (const name of counted) {
      const request = text(requests[name]);
      const limit = text(limits[name]);
      if (!isZero(request) || !isZero(limit)) any = true;
      // A missing request is the limit: defaulting has copied it by now, or will.
      if (isZero(limit) || (request !== undefined && request !== limit)) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function text(value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : String(value);
}

function isZero(value: string | undefined): boolean {
  return value === undefined || /^0+(\.0+)?[a-zA-Z]*$/.test(value);
}
