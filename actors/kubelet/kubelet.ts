/**
 * The actor of a node (kubelet): registers it and renews its lease, compares the pods that the API and the
 * manifests want here with those that it has, gives each an address and a worker, and answers for logs and
 * sessions. Level-triggered: everything is looked at again whenever something may have changed.
 */
import type { Informer } from '../client/index.js';
import { ApiError, pods as podResource } from '../client/index.js';
import type { Lease } from '../objects/types/coordination.js';
import type { Node, Pod } from '../objects/types/core.js';
import {
  type Actor,
  type ActorContext,
  type ActorRef,
  misshapen,
  type StopReason,
} from '../runtime/index.js';
import type { KubeletParts } from './kubelet-parts.js';
import { type KubeletMessage, kubeletMessages } from './messages.js';
import { writeMirrors } from './mirror-writer.js';
import { type NodeOptions, nodeStatus, nodeStatusDiffers } from './node-object.js';
import { readNode, register, renewLease, writeNodeStatus } from './node-writer.js';
import { PodAddresses } from './pod-addresses.js';
import type { NodeMessage, ShardMessage } from './pod-messages.js';
import { podShard } from './pod-shard.js';
import { rejectedStatus } from './pod-status.js';
import { regarding } from './pod-view.js';
import { Sessions } from './sessions.js';
import {
  isMirror,
  mirrorAnnotation,
  planMirrors,
  readStaticPods,
  type StaticPodSource,
} from './static-pods.js';

export interface KubeletActorOptions {
  readonly parts: KubeletParts;
  readonly node: NodeOptions;
  /** The API's pods of this node. */
  readonly pods: Informer<Pod>;
  readonly staticPods?: StaticPodSource;
}

interface Held {
  readonly pod: Pod;
  readonly key: string;
  readonly isStatic: boolean;
  readonly shard: number;
  readonly removed: boolean;
  /** Ended: counts no more, its address was given back. */
  readonly finished: boolean;
}

export interface KubeletState {
  readonly held: ReadonlyMap<string, Held>;
  readonly shards: ReadonlyMap<number, ActorRef<ShardMessage>>;
  readonly statics: readonly Pod[];
  readonly staticsRead: boolean;
  /** Problems of manifests that were reported. */
  readonly problems: ReadonlyMap<string, string>;
  readonly orphansGone: boolean;
  readonly mirroring: boolean;
  readonly node?: Node;
  readonly registered: boolean;
  readonly nodeWriting: boolean;
  readonly nodeReportedAtMs: number;
  readonly nodeCheckedAtMs: number;
  /** The node may have been called lost meanwhile: report at once. */
  readonly nodeDue: boolean;
  readonly lease?: Lease;
  readonly leaseRenewedAtMs: number;
}

type Message = KubeletMessage | NodeMessage;
type Context = ActorContext<Message>;
const nodeCheckMs = 60_000;

const isFromAfar = ({ system }: Context) => system.sender()?.node !== system.node;

export class Kubelet implements Actor<KubeletState, Message> {
  readonly #options: KubeletActorOptions;
  readonly #addresses: PodAddresses;
  #sessions!: Sessions;
  #stopListening: () => void = () => {};

  constructor(options: KubeletActorOptions) {
    this.#options = options;
    this.#addresses = new PodAddresses(options.node.podCidr);
  }

  async initial(ctx: Context): Promise<KubeletState> {
    const { parts, pods } = this.#options;
    await parts.runtime.start();
    this.#sessions = new Sessions(parts, ctx.system, (selector) =>
      this.#podOf(selector.namespace, selector.pod),
    );
    const moved = () => ctx.system.tell(ctx.self, { type: 'PodsMoved' });
    this.#stopListening = pods.addHandlers({ added: moved, updated: moved, deleted: moved, synced: moved });
    ctx.tell(ctx.self, { type: 'LeaseTick' });
    ctx.tell(ctx.self, { type: 'NodeTick' });
    ctx.tell(ctx.self, { type: 'StaticTick' });
    ctx.tell(ctx.self, { type: 'PodsMoved' });
    return {
      held: new Map(),
      shards: new Map(),
      statics: [],
      staticsRead: this.#options.staticPods === undefined,
      problems: new Map(),
      orphansGone: false,
      mirroring: false,
      registered: false,
      nodeWriting: false,
      nodeReportedAtMs: Number.NEGATIVE_INFINITY,
      nodeCheckedAtMs: Number.NEGATIVE_INFINITY,
      nodeDue: true,
      leaseRenewedAtMs: Number.NEGATIVE_INFINITY,
    };
  }

  async stopped(_state: KubeletState | undefined, reason: StopReason): Promise<void> {
    this.#stopListening();
    this.#sessions?.close();
    // After a crash the containers go on, for the next life of this actor.
    if (reason === 'shutdown') await this.#options.parts.runtime.close();
  }

  receive(state: KubeletState, message: Message, ctx: Context): KubeletState {
    // What it says to itself nobody else may say.
    const why = isFromAfar(ctx) ? misshapen(message, kubeletMessages) : undefined;
    if (why !== undefined) {
      this.#sessions.refuse(message, why);
      ctx.refuse(why);
      return state;
    }
    switch (message.type) {
      case 'PodsMoved':
        return this.#mirror(this.#sync(state, ctx), ctx);
      case 'PodFinished':
        return this.#finished(state, message.uid);
      case 'PodWorkerDone':
        return this.#workerDone(state, message.uid, ctx);
      case 'WorkDone':
        return state;
      case 'NodeTick':
        return this.#nodeTick(state, ctx);
      case 'NodeWritten':
        return this.#nodeWritten(state, message.outcome, ctx);
      case 'LeaseTick':
        return this.#leaseTick(state, ctx);
      case 'LeaseWritten':
        return this.#leaseWritten(state, message.outcome, ctx);
      case 'StaticTick':
        this.#readStatics(ctx);
        return state;
      case 'StaticRead':
        return this.#mirror(this.#sync(this.#staticRead(state, message.manifests, ctx), ctx), ctx);
      case 'MirrorsDone':
        return { ...state, mirroring: false };
      case 'KubeletCrashed':
        throw message.error;
      default:
        this.#sessions.receive(message);
        return state;
    }
  }

  /** Compares the pods that should be here with those that are. */
  #sync(before: KubeletState, ctx: Context): KubeletState {
    const { pods } = this.#options;
    let state = before;
    const desired = this.#desired(state);
    for (const [uid, held] of state.held) {
      const known = held.isStatic ? state.staticsRead : pods.hasSynced;
      if (desired.has(uid) || held.removed || !known) continue;
      ctx.tell(state.shards.get(held.shard)!, { type: 'ShardPodRemoved', uid });
      state = hold(state, uid, { ...held, removed: true });
    }
    // Pods that have an address already come first, so that nobody else is given it.
    const ordered = [...desired].sort(
      ([, a], [, b]) => Number(hasAddress(b.pod)) - Number(hasAddress(a.pod)),
    );
    for (const [uid, { pod, isStatic }] of ordered) {
      const held = state.held.get(uid);
      if (held === undefined) state = this.#admit(state, uid, pod, isStatic, ctx);
      else if (held.pod !== pod) {
        ctx.tell(state.shards.get(held.shard)!, {
          type: 'ShardPod',
          uid,
          pod,
          podIP: '',
          isStatic,
        });
        state = hold(state, uid, { ...held, pod });
      }
    }
    return this.#removeOrphans(state, ctx);
  }

  #desired(state: KubeletState): Map<string, { pod: Pod; isStatic: boolean }> {
    const desired = new Map<string, { pod: Pod; isStatic: boolean }>();
    for (const pod of state.statics) desired.set(pod.metadata!.uid!, { pod, isStatic: true });
    // Until the list is whole, what is held stays.
    if (!this.#options.pods.hasSynced) return desired;
    for (const pod of this.#options.pods.list()) {
      if (!isMirror(pod)) desired.set(pod.metadata?.uid ?? '', { pod, isStatic: false });
    }
    return desired;
  }

  #admit(before: KubeletState, uid: string, pod: Pod, isStatic: boolean, ctx: Context): KubeletState {
    const { parts, node } = this.#options;
    const key = `${pod.metadata?.namespace}/${pod.metadata?.name}`;
    const over = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
    // The pod that had this name before has still to go.
    if ([...before.held.values()].some((other) => other.key === key)) return before;
    if (over && pod.metadata?.deletionTimestamp === undefined && parts.runtime.list(uid).length === 0)
      return before;
    const running = [...before.held.values()].filter((held) => !held.finished).length;
    if (!over && running >= node.podsMax && pod.metadata?.deletionTimestamp === undefined) {
      this.#reject(
        pod,
        'OutOfpods',
        `Node didn't have enough resource: pods, requested: 1, used: ${running}, capacity: ${node.podsMax}`,
        ctx,
      );
      return before;
    }
    const podIP = this.#address(uid, pod, over);
    if (podIP === undefined) {
      parts.events.event(
        regarding(pod),
        'Warning',
        'FailedCreatePodSandBox',
        `no address left in ${node.podCidr}`,
      );
      return before;
    }
    const shard = shardOf(uid, parts.limits.podShards);
    const state = this.#withShard(before, shard, ctx);
    ctx.tell(state.shards.get(shard)!, { type: 'ShardPod', uid, pod, podIP, isStatic });
    return hold(state, uid, { pod, key, isStatic, shard, removed: false, finished: over });
  }

  #address(uid: string, pod: Pod, over: boolean): string | undefined {
    const { parts, node } = this.#options;
    if (pod.spec?.hostNetwork) return node.nodeIP;
    const had = parts.runtime.list(uid)[0]?.podIP ?? pod.status?.podIP;
    if (over) return had ?? node.nodeIP;
    return this.#addresses.take(uid, had);
  }

  #withShard(state: KubeletState, index: number, ctx: Context): KubeletState {
    if (state.shards.has(index)) return state;
    const ref = ctx.spawn({
      ...podShard(`pods-${index}`, this.#options.parts, ctx.self),
      restart: 'temporary',
    });
    // Shards hold no truth: losing one is losing the overview, and a fresh start finds everything again.
    ctx.watch(ref, (reason) => ({
      type: 'KubeletCrashed',
      error: new Error(`pod shard ${index} ended: ${reason}`),
    }));
    return { ...state, shards: new Map(state.shards).set(index, ref) };
  }

  #reject(pod: Pod, reason: string, message: string, ctx: Context): void {
    const { client, events } = this.#options.parts;
    const { namespace, name = '', uid } = pod.metadata ?? {};
    events.event(regarding(pod), 'Warning', reason, message);
    const status = rejectedStatus(pod, reason, message, ctx.env.clock.nowMs());
    const patch = { metadata: { uid }, status };
    this.#run(
      ctx,
      client.patch(podResource, namespace, name, 'strategic', patch, { subresource: 'status' }),
      () => ({ type: 'WorkDone' }),
    );
  }

  #finished(state: KubeletState, uid: string): KubeletState {
    const held = state.held.get(uid);
    if (held === undefined) return state;
    this.#addresses.release(uid);
    return hold(state, uid, { ...held, finished: true });
  }

  #workerDone(state: KubeletState, uid: string, ctx: Context): KubeletState {
    this.#addresses.release(uid);
    const held = new Map(state.held);
    held.delete(uid);
    // Somebody may have waited for the name, the address or the place.
    return this.#sync({ ...state, held }, ctx);
  }

  /**
   * Containers and files of pods that are not wanted any more, left by an earlier life. Once, when all are
   * known.
   */
  #removeOrphans(state: KubeletState, ctx: Context): KubeletState {
    const { parts, pods } = this.#options;
    if (state.orphansGone || !state.staticsRead || !pods.hasSynced) return state;
    const desired = this.#desired(state);
    const orphans = parts.runtime.podUids().filter((uid) => !desired.has(uid) && !state.held.has(uid));
    const work = async () => {
      for (const uid of orphans) {
        const running = parts.runtime.list(uid).filter((record) => record.state === 'running');
        await Promise.all(running.map(({ id }) => parts.runtime.stop(id, parts.limits.graceMinMs)));
        await parts.runtime.removePod(uid);
      }
    };
    if (orphans.length > 0) this.#run(ctx, work(), () => ({ type: 'WorkDone' }));
    return { ...state, orphansGone: true };
  }

  #readStatics(ctx: Context): void {
    const { staticPods, parts } = this.#options;
    if (staticPods === undefined) return;
    ctx.setTimer('static', parts.limits.staticPodIntervalMs, { type: 'StaticTick' });
    this.#run(
      ctx,
      staticPods.read().catch((error: Error) => [{ file: 'the manifest folder', problem: error.message }]),
      (manifests) => ({ type: 'StaticRead', manifests }),
    );
  }

  #staticRead(
    state: KubeletState,
    manifests: Extract<NodeMessage, { type: 'StaticRead' }>['manifests'],
    ctx: Context,
  ): KubeletState {
    const read = readStaticPods(manifests, state.statics, this.#options.node.nodeName);
    for (const [file, problem] of read.problems) {
      if (state.problems.get(file) !== problem) ctx.note('bad manifest', { file, problem });
    }
    return { ...state, statics: read.pods, problems: read.problems, staticsRead: true };
  }

  /** Makes the API show the static pods. */
  #mirror(state: KubeletState, ctx: Context): KubeletState {
    const { pods, parts } = this.#options;
    if (state.mirroring || !pods.hasSynced || !state.registered) return state;
    const actions = planMirrors(state.statics, pods.list().filter(isMirror));
    if (actions.length === 0) return state;
    const now = { nodeUid: state.node?.metadata?.uid, nowMs: ctx.env.clock.nowMs() };
    const work = writeMirrors(parts, actions, now, {
      created: (uid) => {
        const shard = state.shards.get(shardOf(uid, parts.limits.podShards));
        if (shard) ctx.system.tell(shard, { type: 'ShardPodRepublish', uid });
      },
      failed: (why) => ctx.system.note(ctx.self.path, 'mirror pod not written', { why }),
    });
    this.#run(ctx, work, () => ({ type: 'MirrorsDone' }));
    return { ...state, mirroring: true };
  }

  #nodeTick(state: KubeletState, ctx: Context): KubeletState {
    const { parts, node } = this.#options;
    const { limits } = parts;
    ctx.setTimer('node', state.registered ? limits.nodeStatusIntervalMs : limits.retryBaseMs * 2, {
      type: 'NodeTick',
    });
    if (state.nodeWriting) return state;
    const nowMs = ctx.env.clock.nowMs();
    const write = (work: ReturnType<typeof register>): KubeletState => {
      this.#run(ctx, work, (outcome) => ({ type: 'NodeWritten', outcome }));
      return { ...state, nodeWriting: true, nodeCheckedAtMs: nowMs };
    };
    if (!state.registered) return write(register(parts, node));
    const old = nowMs - state.nodeReportedAtMs >= limits.nodeStatusReportMs;
    const differs = nodeStatusDiffers(state.node, nodeStatus(node, state.node, nowMs));
    if (old || differs || state.nodeDue) return write(writeNodeStatus(parts, node, state.node, nowMs));
    if (nowMs - state.nodeCheckedAtMs >= nodeCheckMs) return write(readNode(parts));
    return state;
  }

  #nodeWritten(
    state: KubeletState,
    outcome: Extract<NodeMessage, { type: 'NodeWritten' }>['outcome'],
    ctx: Context,
  ): KubeletState {
    const idle = { ...state, nodeWriting: false };
    if (outcome.type === 'failed') {
      ctx.note('node not written', { why: outcome.why });
      // Deleted by an administrator, perhaps: register again.
      return { ...idle, registered: state.registered && !outcome.why.includes('not found') };
    }
    if (!state.registered) {
      this.#options.parts.events.event(
        { ...outcome.node, apiVersion: 'v1', kind: 'Node' },
        'Normal',
        'Starting',
        'Starting kubelet.',
      );
      return this.#nodeTick({ ...idle, node: outcome.node, registered: true, nodeDue: true }, ctx);
    }
    const nowMs = ctx.env.clock.nowMs();
    const reported = outcome.wrote ? { nodeReportedAtMs: nowMs, nodeDue: false } : {};
    return this.#mirror({ ...idle, node: outcome.node, ...reported }, ctx);
  }

  #leaseTick(state: KubeletState, ctx: Context): KubeletState {
    const { parts } = this.#options;
    const uid = state.node?.metadata?.uid;
    const work = renewLease(parts, state.lease, uid, ctx.env.clock.nowMs());
    this.#run(ctx, work, (outcome) => ({ type: 'LeaseWritten', outcome }));
    return state;
  }

  #leaseWritten(
    state: KubeletState,
    outcome: Extract<NodeMessage, { type: 'LeaseWritten' }>['outcome'],
    ctx: Context,
  ): KubeletState {
    const { limits } = this.#options.parts;
    const nowMs = ctx.env.clock.nowMs();
    const retryMs = Math.min(limits.leaseRenewMs, limits.retryBaseMs * 2);
    ctx.setTimer('lease', outcome.type === 'ok' ? limits.leaseRenewMs : retryMs, { type: 'LeaseTick' });
    if (outcome.type === 'ok') {
      const gapMs = state.leaseRenewedAtMs === Number.NEGATIVE_INFINITY ? 0 : nowMs - state.leaseRenewedAtMs;
      const nodeDue = state.nodeDue || gapMs > limits.leaseRenewMs * 2;
      const next = { ...state, lease: outcome.lease, leaseRenewedAtMs: nowMs, nodeDue };
      return nodeDue && !state.nodeDue ? this.#nodeTick(next, ctx) : next;
    }
    ctx.note('lease not renewed', { why: outcome.why });
    if (outcome.type === 'failed') return state;
    const { lease: _stale, ...rest } = state;
    return rest;
  }

  /** By name, as `kubectl logs` asks: the pod that has it now. */
  #podOf(namespace: string, name: string): Pod | undefined {
    const key = `${namespace}/${name}`;
    const api = this.#options.pods.get(key);
    if (api === undefined || !isMirror(api)) return api;
    // Containers of a static pod go by the uid of its manifest.
    const uid = api.metadata?.annotations?.[mirrorAnnotation] ?? '';
    return { ...api, metadata: { ...api.metadata, uid } };
  }

  #run<T>(ctx: Context, work: Promise<T>, done: (value: T) => NodeMessage): void {
    ctx.pipeToSelf(work, done, (error) =>
      error instanceof ApiError ? { type: 'WorkDone' } : { type: 'KubeletCrashed', error },
    );
  }
}

function hasAddress(pod: Pod): boolean {
  return pod.status?.podIP !== undefined;
}

function hold(state: KubeletState, uid: string, held: Held): KubeletState {
  return { ...state, held: new Map(state.held).set(uid, held) };
}

/** FNV-1a of the uid: any even spread will do. */
function shardOf(uid: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < uid.length; at += 1) hash = Math.imul(hash ^ uid.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % shards;
}
