/**
 * Plays the scheduler and the kubelets: binds pods to nodes in turn, makes them run and ready, ends them when they are
 * deleted, and renews the nodes' leases until a node is told to fall silent.
 */
import {
  type ApiClient,
  createInformerFactory,
  type InformerFactory,
  isAlreadyExists,
  isConflict,
  isNotFound,
  leases,
  nodes,
  pods,
} from '../../../actors/client/index.js';
import { formatMicroTime, formatTime } from '../../../actors/objects/index.js';
import type { Node, Pod } from '../../../actors/objects/types/core.js';
import type { ActorSystem } from '../../../actors/runtime/index.js';

export class PlayedKubelets {
  readonly #system: ActorSystem;
  readonly #client: ApiClient;
  readonly #informers: InformerFactory;
  #names: readonly string[] = [];
  readonly #silent = new Set<string>();
  #bound = 0;
  #addresses = 0;
  /** Pods whose names it accepts become ready. */
  getsReady: (pod: Pod) => boolean = () => true;
  /** Binds a pod that names a node by affinity (matchFields) to that node. */
  obeysAffinity = false;
  /** How long a pod takes to end once it is deleted. */
  endsAfterMs = 5;
  /** Every pod that a kubelet has ever reported ready or ended, for checks over time. */
  onChange: () => void = () => {};

  constructor(system: ActorSystem, client: ApiClient) {
    this.#system = system;
    this.#client = client;
    this.#informers = createInformerFactory({ system, client });
  }

  async start(names: readonly string[]): Promise<void> {
    this.#names = names;
    for (const name of names) {
      await this.#client.create(nodes, { metadata: { name } } as Node);
      await this.#report(name);
      await this.#renew(name);
    }
    this.#informers.informer(pods).addHandlers({
      added: (pod) => void this.#tend(pod),
      updated: (_, pod) => void this.#tend(pod),
    });
  }

  /** The node's kubelet and its pods are cut off. */
  silence(node: string): void {
    this.#silent.add(node);
  }

  async revive(node: string): Promise<void> {
    this.#silent.delete(node);
    await this.#report(node);
    await this.#renew(node);
  }

  async #renew(name: string): Promise<void> {
    if (this.#silent.has(name)) return;
    const { clock } = this.#system.env;
    const spec = {
      holderIdentity: name,
      leaseDurationSeconds: 40,
      renewTime: formatMicroTime(clock.nowMs()),
    };
    try {
      await this.#client.create(leases, { metadata: { name, namespace: 'kube-node-lease' }, spec });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      await this.#client.patch(leases, 'kube-node-lease', name, 'merge', { spec });
    }
    clock.setTimer(10_000, () => void this.#renew(name));
  }

  async #report(name: string): Promise<void> {
    const now = formatTime(this.#system.env.clock.nowMs());
    const healthy = ['MemoryPressure', 'DiskPressure', 'PIDPressure'].map((type) => ({
      type,
      status: 'False',
    }));
    const conditions = [...healthy, { type: 'Ready', status: 'True' }].map((condition) => ({
      ...condition,
      reason: 'KubeletReady',
      lastHeartbeatTime: now,
      lastTransitionTime: now,
    }));
    const patch = { status: { conditions } };
    await this.#client.patch(nodes, undefined, name, 'merge', patch, { subresource: 'status' });
  }

  async #tend(pod: Pod): Promise<void> {
    const { namespace = '', name = '', deletionTimestamp, uid = '' } = pod.metadata ?? {};
    try {
      if (!pod.spec?.nodeName) return await this.#bind(pod);
      if (this.#silent.has(pod.spec.nodeName)) return;
      if (deletionTimestamp) {
        await new Promise<void>((resolve) => void this.#system.env.clock.setTimer(this.endsAfterMs, resolve));
        return await this.#client.delete(pods, namespace, name, {
          gracePeriodSeconds: 0,
          preconditions: { uid },
        });
      }
      if (pod.status?.podIP || pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') return;
      await this.setReady(pod, this.getsReady(pod));
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    } finally {
      this.onChange();
    }
  }

  async setReady(pod: Pod, ready: boolean): Promise<void> {
    const { namespace = '', name = '' } = pod.metadata ?? {};
    const now = formatTime(this.#system.env.clock.nowMs());
    this.#addresses += 1;
    const podIP = pod.status?.podIP ?? `10.1.0.${this.#addresses}`;
    const status = {
      phase: 'Running',
      podIP,
      podIPs: [{ ip: podIP }],
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: now }],
    };
    await this.#client.patch(pods, namespace, name, 'merge', { status }, { subresource: 'status' });
  }

  async #bind(pod: Pod): Promise<void> {
    const { namespace = '', name = '' } = pod.metadata ?? {};
    const up = this.#names.filter((each) => !this.#silent.has(each));
    const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    const named = required?.nodeSelectorTerms[0]?.matchFields?.[0]?.values?.[0];
    const node = this.obeysAffinity && named ? named : up[this.#bound++ % Math.max(1, up.length)];
    if (node === undefined) return;
    const target = { apiVersion: 'v1', kind: 'Node', name: node };
    const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace }, target };
    await this.#client.createSubresource(pods, namespace, name, 'binding', binding);
  }
}
