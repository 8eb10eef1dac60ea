/** A pod as a template has it, owned by its controller (kubernetes: controller.GetPodFromTemplate). Pure. */
import type { KubeObject, ObjectMeta, OwnerReference } from '../objects/meta.js';
import type { Pod, PodSpec, PodTemplateSpec } from '../objects/types/core.js';

export interface PodChanges {
  /** Instead of a generated one. */
  readonly name?: string;
  readonly generateName?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly spec?: PodSpec;
}

export function podFromTemplate(
  template: PodTemplateSpec,
  owner: KubeObject,
  reference: OwnerReference,
  changes: PodChanges = {},
): Pod {
  const { labels, annotations, finalizers = [] } = template.metadata ?? {};
  const { name, generateName = `${owner.metadata?.name}-` } = changes;
  const held = [...finalizers, ...(changes.finalizers ?? [])];
  const metadata: ObjectMeta = {
    ...(name === undefined ? { generateName } : { name }),
    namespace: owner.metadata?.namespace ?? 'default',
    labels: { ...labels, ...changes.labels },
    annotations: { ...annotations, ...changes.annotations },
    ...(held.length > 0 && { finalizers: held }),
    ownerReferences: [reference],
  };
  const spec = changes.spec ?? template.spec;
  return { apiVersion: 'v1', kind: 'Pod', metadata, ...(spec && { spec }) };
}
