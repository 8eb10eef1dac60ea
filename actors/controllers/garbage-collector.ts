/**
 * The garbage collector: what nobody owns any more goes, owners wait for their dependents (foreground) or set them
 * free (orphan). The graph from watches only says where to look; every deletion rests on a live look at the object
 * and at its owners by uid, so a stale graph deletes nothing.
 *
 * Every kind can own and be owned, so all deletable ones are watched: those that other controllers watch anyway through
 * the shared informers, all others by their metadata only, which costs an idle stream each and little memory.
 */
import {
  controllerActor,
  type ControllerSource,
  deployments,
  endpoints,
  endpointSlices,
  type Informer,
  leases,
  namespaces,
  nodes,
  pods,
  type ReconcileTools,
  replicaSets,
  replicationControllers,
  type Resource,
  serviceAccounts,
  services,
  type SourceSink,
  unlessGone,
} from '../client/index.js';
import { builtinRegistry, parseApiVersion, type Registry } from '../objects/index.js';
import type { KubeObject, ObjectMeta, OwnerReference } from '../objects/meta.js';
import type { ChildSpec } from '../runtime/index.js';
import type { ControllerContext } from './context.js';
import { decideGarbage, type JudgedOwner, type OwnerState } from './garbage-decision.js';
import { controllerLimits } from './limits.js';
import {
  foregroundFinalizer,
  type GraphNode,
  orphanFinalizer,
  orphansDependents,
  OwnerGraph,
  ownersOf,
  waitsForDependents,
} from './owner-graph.js';
import { releasePatch } from './ownership.js';

export function garbageCollector(context: ControllerContext): ChildSpec<never> {
  const collector = new GarbageCollector(context);
  return controllerActor({
    name: 'garbage-collector',
    workers: controllerLimits.garbageWorkers,
    sources: [collector.source()],
    reconcile: (uid, tools) => collector.reconcile(uid, tools),
  });
}

/** Watched whole by other controllers already. */
const sharedResources: readonly Resource[] = [
  deployments,
  endpoints,
  endpointSlices,
  leases,
  namespaces,
  nodes,
  pods,
  replicaSets,
  replicationControllers,
  serviceAccounts,
  services,
];

class GarbageCollector {
  readonly #context: ControllerContext;
  readonly #registry: Registry = builtinRegistry();
  readonly #informers: readonly Informer<KubeObject>[];
  readonly #graph = new OwnerGraph();
  /** Uids in a namespace that a live look did not find; they never come back. */
  readonly #absent = new Set<string>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#informers = collectableResources(this.#registry).map((resource) => {
      const shared = sharedResources.find((each) => sameResource(each, resource));
      if (shared) return context.informers.informer(shared);
      return context.informers.informer(resource, { metadataOnly: true });
    });
  }

  source(): ControllerSource {
    return {
      synced: () => this.#informers.every((informer) => informer.hasSynced),
      attach: (sink) => this.#attach(sink),
      allKeys: () => this.#informers.flatMap((informer) => informer.list().map(uidOf)),
    };
  }

  #attach(sink: SourceSink): () => void {
    this.#graph.clear();
    const detach = this.#informers.map((informer) => {
      const put = (object: KubeObject) =>
        this.#graph.put(informer.resource, object.metadata ?? {}).forEach((uid) => sink.enqueue(uid));
      return informer.addHandlers({
        added: put,
        updated: (_old, object) => put(object),
        deleted: (last) => this.#graph.remove(uidOf(last)).forEach((uid) => sink.enqueue(uid)),
        synced: () => sink.synced(),
      });
    });
    return () => detach.forEach((stop) => stop());
  }

  async reconcile(uid: string, tools: ReconcileTools): Promise<{ requeueAfterMs: number } | void> {
    const node = this.#graph.get(uid);
    if (!node) return;
    if (orphansDependents(node.metadata)) return this.#orphan(node);
    if (waitsForDependents(node.metadata)) return this.#awaitDependents(node, tools);
    if (node.metadata.deletionTimestamp) return;
    const owners = ownersOf(node).map((reference) => this.#graph.get(reference.uid));
    if (owners.every((owner) => owner && !waitsForDependents(owner.metadata))) return;
    return this.#collect(node, tools);
  }

  async #collect(node: GraphNode, tools: ReconcileTools): Promise<{ requeueAfterMs: number } | void> {
    const live = await this.#live(node);
    if (!live) return this.#forget(node, tools);
    const owners: JudgedOwner[] = [];
    for (const reference of live.ownerReferences ?? [])
      owners.push({ reference, state: await this.#stateOf(reference, node) });
    const dependents = this.#graph.dependentsOf(node.uid);
    const verdict = decideGarbage(live, owners, {
      any: dependents.length > 0,
      waiting: dependents.some(({ metadata }) => waitsForDependents(metadata)),
    });
    const { namespace, name = '', uid = '' } = live;
    const { client } = this.#context;
    switch (verdict.type) {
      case 'keep':
        // A kind that is unknown today may be served tomorrow.
        return owners.some(({ state }) => state === 'unknown')
          ? { requeueAfterMs: controllerLimits.unknownOwnerRetryMs }
          : undefined;
      case 'release': {
        const ownerReferences = verdict.uids.map((owner) => ({ $patch: 'delete', uid: owner }));
        await this.#patch(node, { metadata: { uid, ownerReferences } });
        return;
      }
      case 'delete': {
        if (verdict.unblock) await this.#unblock(node, live);
        const resourceVersion = verdict.unblock ? undefined : live.resourceVersion;
        await client.delete(node.resource, namespace, name, {
          propagationPolicy: verdict.policy,
          preconditions: { uid, ...(resourceVersion !== undefined && { resourceVersion }) },
        });
        return;
      }
      default:
        verdict satisfies never;
    }
  }

  /** Dependents let go of their owner, then the owner may go. */
  async #orphan(node: GraphNode): Promise<void> {
    for (const dependent of this.#graph.dependentsOf(node.uid))
      await this.#patch(dependent, releasePatch({ metadata: dependent.metadata }, node.uid));
    await this.#removeFinalizer(node, orphanFinalizer);
  }

  /** Only those that block keep the owner; all are asked to go. */
  async #awaitDependents(node: GraphNode, tools: ReconcileTools): Promise<void> {
    const dependents = this.#graph.dependentsOf(node.uid);
    const blocks = (dependent: GraphNode) =>
      ownersOf(dependent).some(
        ({ uid, blockOwnerDeletion }) => uid === node.uid && blockOwnerDeletion === true,
      );
    if (!dependents.some(blocks)) return this.#removeFinalizer(node, foregroundFinalizer);
    for (const dependent of dependents) {
      if (!dependent.metadata.deletionTimestamp) tools.enqueue(dependent.uid);
      // What waits in a circle is met again here, from the other side.
      else if (waitsForDependents(dependent.metadata) && dependsOn(node, dependent))
        await this.#release(dependent, node);
    }
  }

  async #release(dependent: GraphNode, owner: GraphNode): Promise<void> {
    await this.#patch(dependent, releasePatch({ metadata: dependent.metadata }, owner.uid));
  }

  async #stateOf(reference: OwnerReference, { resource, metadata }: GraphNode): Promise<OwnerState> {
    const { apiVersion, kind, name, uid } = reference;
    const gv = parseApiVersion(apiVersion);
    const info =
      gv &&
      (this.#registry.findGvk(gv.group, gv.version, kind) ?? this.#registry.findKind(gv.group, kind)[0]);
    // A cluster's own object cannot belong to one in a namespace.
    if (!info || (info.namespaced && !resource.namespaced)) return 'unknown';
    const namespace = info.namespaced ? metadata.namespace : undefined;
    const id = `${namespace ?? ''}/${uid}`;
    if (this.#absent.has(id)) return 'absent';
    const owner = await this.#get(info, namespace, name);
    if (owner?.uid === uid) return waitsForDependents(owner) ? 'waiting' : 'present';
    this.#absent.add(id);
    for (const oldest of this.#absent) {
      if (this.#absent.size <= controllerLimits.absentOwnersMax) break;
      this.#absent.delete(oldest);
    }
    return 'absent';
  }

  /** The object's own metadata now, if it is still the same one. */
  async #live({ resource, metadata, uid }: GraphNode): Promise<ObjectMeta | undefined> {
    const live = await this.#get(resource, metadata.namespace, metadata.name ?? '');
    return live?.uid === uid ? live : undefined;
  }

  async #get(
    resource: Resource,
    namespace: string | undefined,
    name: string,
  ): Promise<ObjectMeta | undefined> {
    return (await unlessGone(this.#context.client.get(resource, namespace, name)))?.metadata;
  }

  /** Gone before the watch said so. */
  #forget({ uid }: GraphNode, tools: ReconcileTools): void {
    this.#graph.remove(uid).forEach((other) => tools.enqueue(other));
  }

  async #removeFinalizer(node: GraphNode, finalizer: string): Promise<void> {
    const live = await this.#live(node);
    if (!live?.finalizers?.includes(finalizer)) return;
    const finalizers = live.finalizers.filter((each) => each !== finalizer);
    const { resourceVersion } = live;
    const { namespace, name = '' } = node.metadata;
    const patch = { metadata: { resourceVersion, finalizers: finalizers.length > 0 ? finalizers : null } };
    await this.#context.client.patch(node.resource, namespace, name, 'merge', patch);
  }

  async #unblock(node: GraphNode, { uid, ownerReferences = [] }: ObjectMeta): Promise<void> {
    const unblocked = ownerReferences.map((reference) => ({ ...reference, blockOwnerDeletion: false }));
    await this.#patch(node, { metadata: { uid, ownerReferences: unblocked } });
  }

  async #patch({ resource, metadata }: GraphNode, patch: unknown): Promise<void> {
    const { namespace, name = '' } = metadata;
    await unlessGone(this.#context.client.patch(resource, namespace, name, 'strategic', patch));
  }
}

/** Each stored object under one of its names; events come and go by themselves. */
function collectableResources(registry: Registry): Resource[] {
  const stored = new Map<string, Resource>();
  for (const info of registry.resources) {
    const key = `${info.storage.group}/${info.storage.resource}`;
    const can = ['list', 'watch', 'delete'].every((verb) => info.verbs.includes(verb));
    if (!can || info.resource === 'events' || stored.has(key)) continue;
    const { group, version, resource, kind, namespaced } = info;
    stored.set(key, { group, version, resource, kind, namespaced });
  }
  return [...stored.values()];
}

function sameResource(a: Resource, b: Resource): boolean {
  return a.group === b.group && a.version === b.version && a.resource === b.resource;
}

function dependsOn(node: GraphNode, owner: GraphNode): boolean {
  return ownersOf(node).some(({ uid }) => uid === owner.uid);
}

function uidOf(object: KubeObject): string {
  return object.metadata?.uid ?? '';
}
