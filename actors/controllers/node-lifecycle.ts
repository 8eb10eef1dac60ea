/**
 * Node lifecycle: a node whose lease is not renewed for the grace period is marked Unknown and tainted, and its pods
 * count as not ready. Silence is measured by our own monotonic clock since a change was last seen, so that clocks
 * that differ evict nobody; a new leader begins to measure anew.
 */
import { controllerActor, type Informer, keysOf, leases, nodes, pods, unlessGone } from '../client/index.js';
import { formatTime } from '../objects/index.js';
import type { Lease } from '../objects/types/coordination.js';
import type { Node, Pod } from '../objects/types/core.js';
import type { ChildSpec } from '../runtime/index.js';
import type { ControllerContext } from './context.js';
import { controllerLimits } from './limits.js';
import { decideNode, disruptionOf, isNodeReady, type NodeDecision, zoneOf } from './node-health-decision.js';
import { isReady } from './pods.js';

export function nodeLifecycleController(context: ControllerContext): ChildSpec<never> {
  const controller = new NodeLifecycleController(context);
  return controllerActor({
    name: 'node-lifecycle',
    workers: controllerLimits.workers,
    sources: controller.sources(),
    reconcile: (key) => controller.reconcile(key),
  });
}

const leaseNamespace = 'kube-node-lease';

interface Heartbeat {
  readonly sign: string;
  readonly changedAtMs: number;
}

class NodeLifecycleController {
  readonly #context: ControllerContext;
  readonly #nodes: Informer<Node>;
  readonly #leases: Informer<Lease>;
  readonly #pods: Informer<Pod>;
  readonly #heartbeats = new Map<string, Heartbeat>();
  /** Monotonic time of the last eviction by zone. */
  readonly #evictedAtMs = new Map<string, number>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#nodes = context.informers.informer(nodes);
    this.#leases = context.informers.informer(leases);
    this.#pods = context.informers.informer(pods);
  }

  sources() {
    return [
      keysOf(this.#nodes, (node) => [node.metadata?.name ?? '']),
      keysOf(this.#leases, (lease) =>
        lease.metadata?.namespace === leaseNamespace ? [lease.metadata.name ?? ''] : [],
      ),
      keysOf(this.#pods, (pod) => this.#downNodeOf(pod)),
    ];
  }

  /** A pod that claims to be ready on a node that is not. */
  #downNodeOf(pod: Pod): string[] {
    const node = this.#nodes.get(pod.spec?.nodeName ?? '');
    return node && isReady(pod) && !isNodeReady(node) ? [node.metadata?.name ?? ''] : [];
  }

  async reconcile(name: string): Promise<{ requeueAfterMs: number } | void> {
    const node = this.#nodes.get(name);
    if (!node || node.metadata?.deletionTimestamp) {
      this.#heartbeats.delete(name);
      return;
    }
    const { clock } = this.#context.env;
    const silentMs = this.#silentMs(node);
    const graceMs = this.#graceMs(node);
    const eviction = this.#evictionIn(node);
    const decision = decideNode({ node, silentMs, graceMs, nowMs: clock.nowMs(), eviction });
    const current = await this.#writeConditions(node, decision);
    await this.#writeTaints(current, decision);
    if (decision.ready && decision.ready.status !== 'True') await this.#markPods(name);
    if (decision.held) return { requeueAfterMs: controllerLimits.evictionPaceMs };
    if (silentMs < graceMs) return { requeueAfterMs: graceMs - silentMs };
  }

  #silentMs(node: Node): number {
    const name = node.metadata?.name ?? '';
    const nowMs = this.#context.env.clock.monotonicMs();
    const lease = this.#leases.get(`${leaseNamespace}/${name}`);
    const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
    // Our own verdict leaves the time of the last heartbeat as it was.
    const sign = `${lease?.spec?.renewTime ?? ''} ${ready?.lastHeartbeatTime ?? ''}`;
    const before = this.#heartbeats.get(name);
    if (before?.sign === sign) return nowMs - before.changedAtMs;
    this.#heartbeats.set(name, { sign, changedAtMs: nowMs });
    return 0;
  }

  #isDown(node: Node): boolean {
    return !isNodeReady(node) || this.#silentMs(node) >= this.#graceMs(node);
  }

  /** A node that has never reported may take longer to come up. */
  #graceMs(node: Node): number {
    const grace = this.#context.nodeGraceMs ?? controllerLimits.nodeGraceMs;
    const hasReported = node.status?.conditions?.some(({ type }) => type === 'Ready') ?? false;
    return hasReported ? grace : Math.max(grace, controllerLimits.nodeStartupGraceMs);
  }

  #evictionIn(node: Node): 'go' | 'hold' | 'stop' {
    if (!this.#isDown(node)) return 'go';
    const all = this.#nodes.list().map((each) => ({ zone: zoneOf(each), down: this.#isDown(each) }));
    if (disruptionOf(all) === 'full') return 'stop';
    const zone = zoneOf(node);
    if (disruptionOf(all.filter((each) => each.zone === zone)) === 'partial') return 'hold';
    const last = this.#evictedAtMs.get(zone);
    const nowMs = this.#context.env.clock.monotonicMs();
    return last === undefined || nowMs - last >= controllerLimits.evictionPaceMs ? 'go' : 'hold';
  }

  async #writeConditions(node: Node, { conditions, ready }: NodeDecision): Promise<Node> {
    if (!conditions) return node;
    const { client, events } = this.#context;
    const written = await client.updateStatus(nodes, {
      ...node,
      status: { ...node.status, conditions: [...conditions] },
    });
    if (isNodeReady(node) && ready?.status !== 'True') {
      const name = node.metadata?.name ?? '';
      const subject = { ...node, apiVersion: 'v1', kind: 'Node' };
      events.event(subject, 'Normal', 'NodeNotReady', `Node ${name} status is now: NodeNotReady`);
    }
    return written;
  }

  async #writeTaints(node: Node, { taints }: NodeDecision): Promise<void> {
    if (!taints) return;
    const { name = '', resourceVersion } = node.metadata ?? {};
    const isNew = (effect: string) =>
      taints.some((each) => each.effect === effect && !node.spec?.taints?.includes(each));
    const patch = { metadata: { resourceVersion }, spec: { taints } };
    await this.#context.client.patch(nodes, undefined, name, 'merge', patch);
    if (isNew('NoExecute')) this.#evictedAtMs.set(zoneOf(node), this.#context.env.clock.monotonicMs());
  }

  /** Services stop to send to pods of whom nobody knows how they are. */
  async #markPods(node: string): Promise<void> {
    const { client, env } = this.#context;
    const lastTransitionTime = formatTime(env.clock.nowMs());
    const conditions = [{ type: 'Ready', status: 'False', lastTransitionTime }];
    for (const pod of this.#pods.list()) {
      if (pod.spec?.nodeName !== node || !isReady(pod)) continue;
      const { namespace, name = '', uid } = pod.metadata ?? {};
      const patch = { metadata: { uid }, status: { conditions } };
      await unlessGone(client.patch(pods, namespace, name, 'strategic', patch, { subresource: 'status' }));
    }
  }
}
