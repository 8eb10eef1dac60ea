/** Creates and deletes the pods of one kind of controller, tells of it in events, and remembers its own writes. */
import { isAlreadyExists, isNotFound, pods } from '../client/index.js';
import type { KubeObject } from '../objects/meta.js';
import type { Pod } from '../objects/types/core.js';
import type { ControllerContext } from './context.js';
import type { OwnWrites } from './own-writes.js';
import { isTerminatingNamespace } from './terminating-namespace.js';

export class OwnedPods {
  readonly #context: ControllerContext;
  readonly #kind: { readonly apiVersion: string; readonly kind: string };
  readonly #writes: OwnWrites;

  constructor(
    context: ControllerContext,
    kind: { readonly apiVersion: string; readonly kind: string },
    writes: OwnWrites,
  ) {
    this.#context = context;
    this.#kind = kind;
    this.#writes = writes;
  }

  async create(key: string, owner: KubeObject, pod: Pod): Promise<void> {
    const { client, events } = this.#context;
    const subject = { ...owner, ...this.#kind };
    try {
      const created = await client.create(pods, pod);
      this.#writes.wrote(key, created);
      events.event(subject, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata?.name}`);
    } catch (error) {
      // One of this name that we have not seen yet, or a namespace on its way out: the next look decides.
      if (isTerminatingNamespace(error) || (pod.metadata?.name !== undefined && isAlreadyExists(error)))
        return;
      events.event(subject, 'Warning', 'FailedCreate', `Error creating: ${(error as Error).message}`);
      throw error;
    }
  }

  async remove(owner: KubeObject, pod: Pod): Promise<void> {
    const { client, events } = this.#context;
    const { namespace, name = '', uid = '' } = pod.metadata ?? {};
    try {
      await client.delete(pods, namespace, name, { preconditions: { uid } });
      events.event({ ...owner, ...this.#kind }, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
