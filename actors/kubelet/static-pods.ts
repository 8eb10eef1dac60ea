/** Pods from manifests of the node, and the mirror pods that show them in the API; pure. */
import { createHash } from 'node:crypto';
import type { Pod } from '../objects/types/core.js';
import { formatTime } from '../objects/index.js';

export interface StaticManifest {
  readonly file: string;
  /** As parsed; absent if the file could not be read or parsed. */
  readonly manifest?: unknown;
  readonly problem?: string;
}

/** Where manifests come from; the real one is a folder (`static-pod-folder.ts`). */
export interface StaticPodSource {
  read(): Promise<readonly StaticManifest[]>;
}

export const mirrorAnnotation = 'kubernetes.io/config.mirror';
const hashAnnotation = 'kubernetes.io/config.hash';
const sourceAnnotation = 'kubernetes.io/config.source';
const seenAnnotation = 'kubernetes.io/config.seen';

export function isMirror(pod: Pod): boolean {
  return pod.metadata?.annotations?.[mirrorAnnotation] !== undefined;
}

/** What the manifests of a node say together. */
export interface StaticPods {
  readonly pods: readonly Pod[];
  /** By file: what is wrong with it. */
  readonly problems: ReadonlyMap<string, string>;
}

/** `before`: the pods that they made the last time; those that are the same stay the same objects. */
export function readStaticPods(
  manifests: readonly StaticManifest[],
  before: readonly Pod[],
  nodeName: string,
): StaticPods {
  const problems = new Map<string, string>();
  const pods: Pod[] = [];
  for (const { file, manifest, problem } of manifests) {
    try {
      if (problem !== undefined) throw new TypeError(problem);
      const pod = toStaticPod(manifest, nodeName);
      const same = before.find(({ metadata }) => metadata?.uid === pod.metadata?.uid);
      if (!pods.some(({ metadata }) => metadata?.uid === pod.metadata?.uid)) pods.push(same ?? pod);
    } catch (error) {
      problems.set(file, (error as Error).message);
    }
  }
  // A manifest that cannot be read now is not a manifest that was taken away.
  if (problems.size > 0) {
    pods.push(...before.filter((old) => !pods.some(({ metadata }) => metadata?.name === old.metadata?.name)));
  }
  return { pods, problems };
}

/** The pod that a manifest stands for on this node. Throws TypeError with what is wrong with it. */
function toStaticPod(manifest: unknown, nodeName: string): Pod {
  if (typeof manifest !== 'object' || manifest === null) throw new TypeError('it is not a pod');
  const pod = manifest as Pod;
  if (pod.kind !== 'Pod' || pod.apiVersion !== 'v1')
    throw new TypeError('it is not of kind Pod, apiVersion v1');
  if (!pod.metadata?.name) throw new TypeError('metadata.name is missing');
  if (!Array.isArray(pod.spec?.containers) || pod.spec.containers.length === 0) {
    throw new TypeError('spec.containers is missing');
  }
  const hash = createHash('sha256')
    .update(JSON.stringify([nodeName, manifest]))
    .digest('hex')
    .slice(0, 32);
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      name: `${pod.metadata.name}-${nodeName}`,
      namespace: pod.metadata.namespace ?? 'default',
      uid: hash,
      annotations: { ...pod.metadata.annotations, [hashAnnotation]: hash, [sourceAnnotation]: 'file' },
    },
    spec: {
      ...pod.spec,
      nodeName,
      // Static pods stay whatever happens to the node.
      tolerations: [...(pod.spec.tolerations ?? []), { operator: 'Exists', effect: 'NoExecute' }],
    },
  };
}

export function mirrorOf(pod: Pod, nodeName: string, nodeUid: string | undefined, nowMs: number): Pod {
  const { uid: hash = '', ...metadata } = pod.metadata ?? {};
  const owner = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: nodeUid ?? '', controller: true };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...metadata,
      annotations: {
        ...metadata.annotations,
        [mirrorAnnotation]: hash,
        [seenAnnotation]: formatTime(nowMs),
      },
      ...(nodeUid === undefined ? {} : { ownerReferences: [owner] }),
    },
    ...(pod.spec === undefined ? {} : { spec: pod.spec }),
  };
}

export type MirrorAction =
  { readonly type: 'create'; readonly pod: Pod } | { readonly type: 'delete'; readonly mirror: Pod };

/** What to do so that the API shows exactly the static pods. */
export function planMirrors(staticPods: readonly Pod[], mirrors: readonly Pod[]): MirrorAction[] {
  const keyOf = ({ metadata }: Pod) => `${metadata?.namespace}/${metadata?.name}`;
  const wanted = new Map(staticPods.map((pod) => [keyOf(pod), pod]));
  const actions: MirrorAction[] = [];
  const standing = new Set<string>();
  for (const mirror of mirrors) {
    const pod = wanted.get(keyOf(mirror));
    const current =
      pod !== undefined && mirror.metadata?.annotations?.[mirrorAnnotation] === pod.metadata?.uid;
    standing.add(keyOf(mirror));
    if (!current || mirror.metadata?.deletionTimestamp !== undefined)
      actions.push({ type: 'delete', mirror });
  }
  for (const [key, pod] of wanted) if (!standing.has(key)) actions.push({ type: 'create', pod });
  return actions;
}
