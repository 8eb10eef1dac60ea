/**
 * Parent of some of a node's pod workers, so that no actor has too many children. Starts a worker per pod,
 * passes on what concerns it, and starts it again after a crash: the worker finds what it needs in the API
 * and in the runtime.
 */
import type { Pod } from '../objects/types/core.js';
import type { Actor, ActorContext, ActorRef, ChildSpec } from '../runtime/index.js';
import type { KubeletParts } from './kubelet-parts.js';
import type { NodeMessage, PodWorkerMessage, ShardMessage } from './pod-messages.js';
import { podWorker } from './pod-worker.js';

interface Charge {
  readonly pod: Pod;
  readonly podIP: string;
  readonly isStatic: boolean;
  readonly removed: boolean;
  /** Absent between a crash and the restart. */
  readonly worker?: ActorRef<PodWorkerMessage>;
  readonly life: number;
}

type ShardState = ReadonlyMap<string, Charge>;
type Context = ActorContext<ShardMessage>;

const restartDelayMs = 1000;

export function podShard(
  id: string,
  parts: KubeletParts,
  kubelet: ActorRef<NodeMessage>,
): ChildSpec<ShardMessage> {
  return { id, start: () => new PodShard(parts, kubelet) as Actor<unknown, ShardMessage> };
}

class PodShard implements Actor<ShardState, ShardMessage> {
  readonly #parts: KubeletParts;
  readonly #kubelet: ActorRef<NodeMessage>;
  #stopListening: () => void = () => {};

  constructor(parts: KubeletParts, kubelet: ActorRef<NodeMessage>) {
    this.#parts = parts;
    this.#kubelet = kubelet;
  }

  initial(ctx: Context): ShardState {
    const known = new Map<string, Charge>();
    this.#stopListening = this.#parts.runtime.onChange((uid) => {
      // Every shard hears of every pod; `self` sorts out its own.
      ctx.system.tell(ctx.self, { type: 'ShardRuntimeChanged', uid });
    });
    return known;
  }

  stopped(): void {
    this.#stopListening();
  }

  receive(state: ShardState, message: ShardMessage, ctx: Context): ShardState {
    const { uid } = message;
    const charge = state.get(uid);
    switch (message.type) {
      case 'ShardPod': {
        const { pod, podIP, isStatic } = message;
        if (charge === undefined)
          return this.#start(state, uid, { pod, podIP, isStatic, removed: false, life: 0 }, ctx);
        this.#pass(charge, { type: 'PodChanged', pod }, ctx);
        return replace(state, uid, { ...charge, pod });
      }
      case 'ShardPodRemoved':
        if (charge === undefined) return state;
        this.#pass(charge, { type: 'PodRemoved' }, ctx);
        return replace(state, uid, { ...charge, removed: true });
      case 'ShardPodRepublish':
        this.#pass(charge, { type: 'PodRepublish' }, ctx);
        return state;
      case 'ShardRuntimeChanged':
        this.#pass(charge, { type: 'PodRuntimeChanged' }, ctx);
        return state;
      case 'ShardPodFinished':
        ctx.tell(this.#kubelet, { type: 'PodFinished', uid });
        return state;
      case 'ShardWorkerDone': {
        if (charge?.worker) ctx.unwatch(charge.worker);
        ctx.tell(this.#kubelet, { type: 'PodWorkerDone', uid });
        const next = new Map(state);
        next.delete(uid);
        return next;
      }
      case 'ShardWorkerGone': {
        if (charge === undefined) return state;
        ctx.setTimer(`restart/${uid}`, restartDelayMs, { type: 'ShardRestart', uid });
        const { worker: _gone, ...rest } = charge;
        return replace(state, uid, rest);
      }
      case 'ShardRestart':
        return charge === undefined
          ? state
          : this.#start(state, uid, { ...charge, life: charge.life + 1 }, ctx);
      default:
        return message satisfies never;
    }
  }

  #start(state: ShardState, uid: string, charge: Charge, ctx: Context): ShardState {
    const { pod, podIP, isStatic, life } = charge;
    const { namespace, name: podName } = pod.metadata ?? {};
    const name = `${namespace}.${podName}${life === 0 ? '' : `.${life}`}.${uid.slice(0, 8)}`;
    const worker = ctx.spawn(podWorker(name, { parts: this.#parts, shard: ctx.self, pod, podIP, isStatic }));
    ctx.watch(worker, () => ({ type: 'ShardWorkerGone', uid }));
    if (charge.removed) ctx.tell(worker, { type: 'PodRemoved' });
    return replace(state, uid, { ...charge, worker });
  }

  #pass(charge: Charge | undefined, message: PodWorkerMessage, ctx: Context): void {
    if (charge?.worker) ctx.tell(charge.worker, message);
  }
}

function replace(state: ShardState, uid: string, charge: Charge): ShardState {
  return new Map(state).set(uid, charge);
}
