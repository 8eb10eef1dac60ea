/**
 * ControllerRevisions: the history of a template, which `kubectl rollout history` and `undo` read (kubernetes:
 * pkg/controller/history). A template's revision is found by its hash; one that comes back becomes the newest again.
 */
import { controllerRevisions, type Informer, isAlreadyExists, unlessGone } from '../client/index.js';
import type { KubeObject } from '../objects/meta.js';
import type { ControllerRevision } from '../objects/types/apps.js';
import type { PodTemplateSpec } from '../objects/types/core.js';
import type { ControllerContext } from './context.js';
import { controllerOf, controllerReference } from './ownership.js';
import { templateHash } from './template-hash.js';

export const revisionHashLabel = 'controller-revision-hash';

export interface Versioned extends KubeObject {
  readonly spec?: { readonly template: PodTemplateSpec; readonly revisionHistoryLimit?: number };
}

export class Revisions {
  readonly #context: ControllerContext;
  readonly #kind: { readonly apiVersion: string; readonly kind: string };
  readonly informer: Informer<ControllerRevision>;

  constructor(context: ControllerContext, kind: { readonly apiVersion: string; readonly kind: string }) {
    this.#context = context;
    this.#kind = kind;
    this.informer = context.informers.informer(controllerRevisions);
  }

  hashOf(owner: Versioned): string {
    return templateHash(owner.spec?.template);
  }

  nameOf(owner: Versioned, hash: string): string {
    return `${owner.metadata?.name}-${hash}`;
  }

  /** Sees to it that the present template has a revision, the newest. `inUse`: names that must stay. */
  async keep(owner: Versioned, inUse: ReadonlySet<string>): Promise<void> {
    const { client } = this.#context;
    const { namespace = 'default', uid } = owner.metadata ?? {};
    const name = this.nameOf(owner, this.hashOf(owner));
    const owned = this.informer
      .inNamespace(namespace)
      .filter((revision) => controllerOf(revision)?.uid === uid)
      .sort((a, b) => a.revision - b.revision);
    const newest = owned.at(-1);
    const current = owned.find(({ metadata }) => metadata?.name === name);
    if (!current) await this.#create(owner, name, (newest?.revision ?? 0) + 1);
    else if (newest && current.revision < newest.revision) {
      await client.patch(controllerRevisions, namespace, name, 'merge', { revision: newest.revision + 1 });
    }
    const old = owned.filter(({ metadata }) => metadata?.name !== name && !inUse.has(metadata?.name ?? ''));
    const limit = owner.spec?.revisionHistoryLimit ?? 10;
    for (const { metadata } of old.slice(0, Math.max(0, old.length - limit))) {
      await unlessGone(client.delete(controllerRevisions, namespace, metadata?.name ?? ''));
    }
  }

  /** The template of an older revision; undefined when it is not there any more. */
  templateOf(owner: Versioned, name: string): PodTemplateSpec | undefined {
    const revision = this.informer.get(`${owner.metadata?.namespace}/${name}`);
    const spec = revision?.data?.['spec'] as { readonly template?: PodTemplateSpec } | undefined;
    if (!spec?.template) return undefined;
    const { $patch: _, ...template } = spec.template as PodTemplateSpec & { readonly $patch?: string };
    return template;
  }

  async #create(owner: Versioned, name: string, revision: number): Promise<void> {
    const { apiVersion, kind } = this.#kind;
    const { template } = owner.spec ?? {};
    try {
      await this.#context.client.create(controllerRevisions, {
        metadata: {
          name,
          namespace: owner.metadata?.namespace ?? 'default',
          labels: { ...template?.metadata?.labels, [revisionHashLabel]: this.hashOf(owner) },
          ownerReferences: [controllerReference(owner, apiVersion, kind)],
        },
        // A patch that `rollout undo` applies as it is.
        data: { spec: { template: { ...template, $patch: 'replace' } } },
        revision,
      });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }
}
