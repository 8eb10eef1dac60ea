/** The probes of one pod: when each is due, and what its outcome does to what the worker remembers. */
import type { Container } from '../objects/types/core.js';
import type { ActorContext } from '../runtime/index.js';
import type { KubeletParts } from './kubelet-parts.js';
import type { PodOperations } from './pod-operations.js';
import type { PodWorkerMessage, ProbeMessage } from './pod-messages.js';
import {
  allContainers,
  isSidecar,
  latest,
  mainContainers,
  memoryOf,
  type PodMemory,
  type PodView,
  regarding,
  withContainer,
} from './pod-view.js';
import {
  newProbe,
  observe,
  periodMs,
  type ProbeKind,
  probeKinds,
  probeOf,
  type ProbeState,
} from './probe-state.js';

export interface Probing {
  readonly parts: KubeletParts;
  readonly operations: PodOperations;
  readonly ctx: ActorContext<PodWorkerMessage>;
}

interface Entry {
  readonly id: string;
  readonly state: ProbeState;
}

export class Probes {
  static readonly none = new Probes({});
  readonly #entries: Readonly<Record<string, Entry>>;

  constructor(entries: Readonly<Record<string, Entry>>) {
    this.#entries = entries;
  }

  passed(name: string, kind: ProbeKind, id: string): boolean {
    const entry = this.#entries[`${kind}/${name}`];
    return entry?.id === id && entry.state.verdict === 'success';
  }

  /** Begins to probe containers that have come up since the last time. */
  sync(view: PodView, { ctx }: Probing): Probes {
    let entries = this.#entries;
    for (const container of probed(view)) {
      const { name } = container;
      const record = latest(view, name);
      const own = memoryOf(view.memory, name);
      if (record?.state !== 'running' || own.id !== record.id) continue;
      for (const kind of probeKinds) {
        const key = `${kind}/${name}`;
        const probe = probeOf(container, kind);
        if (probe === undefined || entries[key]?.id === record.id) continue;
        // After a restart of the worker a container that was up stays up without a startup probe.
        if (kind === 'startup' && own.startupDone) continue;
        if (
          kind !== 'startup' &&
          container.startupProbe &&
          !startupPassed(entries, name, record.id, own.startupDone)
        )
          continue;
        entries = { ...entries, [key]: { id: record.id, state: newProbe } };
        const dueAtMs = (record.startedAtMs ?? view.nowMs) + (probe.initialDelaySeconds ?? 0) * 1000;
        ctx.setTimer(key, Math.max(1, dueAtMs - view.nowMs), { type: 'ProbeDue', name, id: record.id, kind });
      }
    }
    return entries === this.#entries ? this : new Probes(entries);
  }

  receive(message: ProbeMessage, view: PodView, probing: Probing): { probes: Probes; memory: PodMemory } {
    const { name, id, kind } = message;
    const same = { probes: this as Probes, memory: view.memory };
    const entry = this.#entries[`${kind}/${name}`];
    const record = latest(view, name);
    const container = allContainers(view.pod).find((one) => one.name === name);
    const probe = container && probeOf(container, kind);
    if (!container || !probe || entry?.id !== id || record?.id !== id || record.state !== 'running')
      return same;
    if (message.type === 'ProbeDue') {
      this.#ask(view, container, message, probing);
      return same;
    }
    const state = observe(entry.state, probe, message.outcome);
    const probes = new Probes({ ...this.#entries, [`${kind}/${name}`]: { id, state } });
    if (!message.outcome.ok) {
      const told = `${capital(kind)} probe failed: ${message.outcome.message}`;
      probing.parts.events.event(regarding(view.pod), 'Warning', 'Unhealthy', told);
    }
    const memory = verdictOf(view.memory, container, kind, state);
    const over =
      memoryOf(memory, name).kill !== undefined || (kind === 'startup' && state.verdict === 'success');
    if (!over) {
      probing.ctx.setTimer(`${kind}/${name}`, periodMs(probe), { type: 'ProbeDue', name, id, kind });
    }
    return { probes, memory };
  }

  #ask(
    view: PodView,
    container: Container,
    due: Extract<ProbeMessage, { type: 'ProbeDue' }>,
    probing: Probing,
  ): void {
    const { name, id, kind } = due;
    const work = probing.operations.probe(
      view.pod,
      container,
      id,
      probeOf(container, kind)!,
      view.memory.podIP,
    );
    probing.ctx.pipeToSelf(
      work,
      (outcome) => ({ type: 'ProbeDone', name, id, kind, outcome }),
      (error) => ({ type: 'OperationCrashed', error }),
    );
  }
}

function probed(view: PodView): Container[] {
  return allContainers(view.pod).filter(
    (container) => isSidecar(container) || mainContainers(view.pod).includes(container),
  );
}

function startupPassed(
  entries: Readonly<Record<string, Entry>>,
  name: string,
  id: string,
  startupDone: boolean,
): boolean {
  const entry = entries[`startup/${name}`];
  return startupDone || (entry?.id === id && entry.state.verdict === 'success');
}

function verdictOf(memory: PodMemory, container: Container, kind: ProbeKind, state: ProbeState): PodMemory {
  const { name } = container;
  switch (kind) {
    case 'readiness':
      return withContainer(memory, name, { readiness: state.verdict === 'success' });
    case 'startup':
      if (state.verdict === 'success') {
        return withContainer(memory, name, { startupDone: memoryOf(memory, name).postStart === 'done' });
      }
      return condemned(memory, container, kind, state);
    case 'liveness':
      return condemned(memory, container, kind, state);
    default:
      return kind satisfies never;
  }
}

function condemned(memory: PodMemory, container: Container, kind: ProbeKind, state: ProbeState): PodMemory {
  if (state.verdict !== 'failure') return memory;
  const graceSeconds = probeOf(container, kind)?.terminationGracePeriodSeconds;
  const message = `Container ${container.name} failed ${kind} probe, will be restarted`;
  return withContainer(memory, container.name, {
    kill: { message, ...(graceSeconds === undefined ? {} : { graceSeconds }) },
  });
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}
