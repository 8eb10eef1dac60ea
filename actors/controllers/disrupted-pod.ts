/** Says on a pod why the cluster itself ends it: the DisruptionTarget condition (KEP-3329), read by Job failure policies. */
import { type ApiClient, pods } from '../client/index.js';
import { formatTime } from '../objects/index.js';
import type { Pod } from '../objects/types/core.js';

export interface Disruption {
  readonly reason: string;
  readonly message: string;
  /** Also ends the pod: nobody else will. */
  readonly phase?: 'Failed';
}

export async function disruptPod(
  client: ApiClient,
  pod: Pod,
  nowMs: number,
  { reason, message, phase }: Disruption,
): Promise<void> {
  const { namespace, name = '', uid } = pod.metadata ?? {};
  const lastTransitionTime = formatTime(nowMs);
  const condition = { type: 'DisruptionTarget', status: 'True', reason, message, lastTransitionTime };
  const patch = { metadata: { uid }, status: { conditions: [condition], ...(phase && { phase }) } };
  await client.patch(pods, namespace, name, 'strategic', patch, { subresource: 'status' });
}
