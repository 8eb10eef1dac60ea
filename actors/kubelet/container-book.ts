/**
 * The containers of a runtime by their ids, whatever they are made of: how a new one is written down, which requests are
 * refused before anything happens, and who is told of changes.
 */
import type { Clock, Random } from '../../transport/index.js';
import { type ContainerConfig, type ContainerRecord, RuntimeError } from './container-runtime.js';

export class ContainerBook<C extends { readonly record: ContainerRecord }> {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #containers = new Map<string, C>();
  readonly #listeners = new Set<(podUid: string) => void>();

  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = clock;
    this.#random = random;
  }

  get all(): readonly C[] {
    return [...this.#containers.values()];
  }

  /** A record for a container that is about to be made; throws Exists. */
  newRecord({
    podUid,
    podNamespace,
    podName,
    podIP,
    name,
    attempt,
    image,
  }: ContainerConfig): ContainerRecord {
    if (this.records(podUid).some((other) => other.name === name && other.attempt === attempt)) {
      throw new RuntimeError('Exists', `container ${name} attempt ${attempt} exists already`);
    }
    return {
      id: this.#random.hex(32),
      podUid,
      podNamespace,
      podName,
      podIP,
      name,
      attempt,
      image: image.image,
      imageId: image.imageId,
      state: 'created',
      createdAtMs: this.#clock.nowMs(),
    };
  }

  add(container: C): void {
    this.#containers.set(container.record.id, container);
  }

  get(id: string): C | undefined {
    return this.#containers.get(id);
  }

  /** Throws NotFound. */
  find(id: string): C {
    const container = this.#containers.get(id);
    if (container === undefined) throw new RuntimeError('NotFound', `there is no container ${id}`);
    return container;
  }

  /** Takes it out of the book; undefined: it is not there. Throws Running. */
  remove(id: string): C | undefined {
    const container = this.#containers.get(id);
    if (container?.record.state === 'running') {
      const called = `${container.record.name} (${id})`;
      throw new RuntimeError('Running', `container ${called} is running: stop it first`);
    }
    this.#containers.delete(id);
    return container;
  }

  /** Of one pod, or all. */
  records(podUid?: string): readonly ContainerRecord[] {
    const records = this.all.map(({ record }) => record);
    return podUid === undefined ? records : records.filter((record) => record.podUid === podUid);
  }

  onChange(listener: (podUid: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changed({ record }: { readonly record: ContainerRecord }): void {
    for (const listener of this.#listeners) listener(record.podUid);
  }
}
