/** Short ways to write pods, nodes and snapshots in tests. */
import { Snapshot } from '../../../actors/scheduler/index.js';
import type { Node, NodeSpec, Pod, PodSpec } from '../../../actors/objects/types/core.js';
import type { ObjectMeta } from '../../../actors/objects/meta.js';

export interface NodeShape {
  readonly labels?: Record<string, string>;
  readonly allocatable?: Record<string, string>;
  readonly spec?: NodeSpec;
  readonly images?: { names: string[]; sizeBytes: number }[];
}

export function node(name: string, shape: NodeShape = {}): Node {
  const allocatable = { cpu: '4', memory: '8Gi', pods: '110', ...shape.allocatable };
  return {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...shape.labels } },
    ...(shape.spec && { spec: shape.spec }),
    status: { allocatable, ...(shape.images && { images: shape.images }) },
  };
}

export interface PodShape extends Partial<Omit<PodSpec, 'containers'>> {
  readonly requests?: Record<string, string>;
  readonly labels?: Record<string, string>;
  readonly namespace?: string;
  readonly hostPort?: number;
  readonly image?: string;
  /** uid of its controller. */
  readonly owner?: string;
}

export function pod(name: string, shape: PodShape = {}): Pod {
  const { requests, labels, namespace = 'default', hostPort, image, owner, ...spec } = shape;
  const metadata: ObjectMeta = { name, namespace, uid: `uid-${namespace}-${name}` };
  if (labels) metadata.labels = labels;
  if (owner) {
    metadata.ownerReferences = [
      { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true },
    ];
  }
  return {
    metadata,
    spec: {
      ...spec,
      containers: [
        {
          name: 'main',
          image: 'registry.k8s.io/pause',
          ...(image && { image }),
          ...(requests && { resources: { requests } }),
          ...(hostPort && { ports: [{ containerPort: 80, hostPort }] }),
        },
      ],
    },
  };
}

export function snapshotOf(nodes: readonly Node[], pods: readonly Pod[] = []): Snapshot {
  const snapshot = new Snapshot();
  snapshot.setNamespace({ metadata: { name: 'default', labels: { team: 'a' } } });
  snapshot.setNamespace({ metadata: { name: 'other', labels: { team: 'b' } } });
  for (const each of nodes) snapshot.setNode(each);
  for (const each of pods) snapshot.setPod(each);
  return snapshot;
}
