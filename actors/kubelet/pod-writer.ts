/**
 * Writes a pod to the API: its status, and in the end the last one and that the object may go. Each call makes one attempt and
 * resolves with what became of it; the pod's worker calls again at its own pace.
 */
import { ApiError, pods } from '../client/index.js';
import type { Pod, PodStatus } from '../objects/types/core.js';
import type { KubeletParts } from './kubelet-parts.js';
import type { PodWorkerMessage } from './pod-messages.js';
import { statusPatch } from './pod-status-patch.js';

export interface StatusReport {
  readonly pod: Pod;
  readonly status: PodStatus;
  /** What the API has taken from us before. */
  readonly written: PodStatus | undefined;
  /** The API holds only a mirror of the pod, whose uid is another. */
  readonly isStatic: boolean;
}

export async function writePodStatus(parts: KubeletParts, report: StatusReport): Promise<PodWorkerMessage> {
  try {
    const { metadata } = await patchStatus(parts, report);
    return { type: 'StatusWritten', version: Number(metadata?.resourceVersion ?? 0) };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { type: 'StatusNotWritten', gone: isGone(error), why: error.message };
  }
}

/** What is left of the pod on this node, and, `withObject`, in the API. */
export async function removePod(
  parts: KubeletParts,
  report: StatusReport,
  { withObject }: { readonly withObject: boolean },
): Promise<PodWorkerMessage> {
  const { namespace, name = '', uid = '' } = report.pod.metadata ?? {};
  try {
    if (withObject) await unlessReplaced(patchStatus(parts, report));
    await parts.runtime.removePod(uid);
    if (withObject) {
      const options = { gracePeriodSeconds: 0, preconditions: { uid } };
      await unlessReplaced(parts.client.delete(pods, namespace, name, options));
    }
    return { type: 'CleanedUp' };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { type: 'NotCleanedUp', why: error.message };
  }
}

function patchStatus(parts: KubeletParts, { pod, status, written, isStatic }: StatusReport): Promise<Pod> {
  const { namespace, name = '', uid } = pod.metadata ?? {};
  const patch = statusPatch(pod, written, status, isStatic ? undefined : uid);
  return parts.client.patch(pods, namespace, name, 'strategic', patch, { subresource: 'status' });
}

/** The object is no more, or another one has its name. */
function isGone(error: ApiError): boolean {
  return error.status === 404 || error.status === 409;
}

async function unlessReplaced(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof ApiError) || !isGone(error)) throw error;
  }
}
