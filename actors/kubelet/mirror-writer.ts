/** Makes the API show the static pods of a node, one mirror for each; what fails is tried again when it is seen to be wrong still. */
import { ApiError, isNotFound, pods } from '../client/index.js';
import type { KubeletParts } from './kubelet-parts.js';
import { type MirrorAction, mirrorOf } from './static-pods.js';

export interface MirrorEvents {
  /** The mirror of the static pod of this uid is new, and shows no status yet. */
  created(uid: string): void;
  failed(why: string): void;
}

export async function writeMirrors(
  { client, nodeName }: KubeletParts,
  actions: readonly MirrorAction[],
  { nodeUid, nowMs }: { readonly nodeUid: string | undefined; readonly nowMs: number },
  events: MirrorEvents,
): Promise<void> {
  for (const action of actions) {
    try {
      if (action.type === 'create') {
        await client.create(pods, mirrorOf(action.pod, nodeName, nodeUid, nowMs));
        events.created(action.pod.metadata!.uid!);
      } else {
        const { namespace, name = '', uid = '' } = action.mirror.metadata ?? {};
        await client.delete(pods, namespace, name, { gracePeriodSeconds: 0, preconditions: { uid } });
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!isNotFound(error)) events.failed(error.message);
    }
  }
}
