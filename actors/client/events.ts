/**
 * Writes core/v1 Events: what `kubectl describe` and `kubectl get events` show (client-go `tools/record`). A
 * repetition raises the count of the event that is there; one object cannot flood the rest; and since events
 * are best effort, a failure is noted in the trace and never stops anybody.
 */
import type { KubeObject, ObjectMeta } from '../objects/meta.js';
import { formatTime } from '../objects/index.js';
import type { Event, ObjectReference } from '../objects/types/core.js';
import type { ActorSystem, Cause } from '../runtime/index.js';
import { type ApiClient, ApiError, isNotFound } from './api-client.js';
import { type EventLimits, eventLimits } from './limits.js';
import { events } from './resources.js';

export type EventType = 'Normal' | 'Warning';

export interface EventRecorder {
  /** `regarding` needs kind, apiVersion and metadata. Returns at once. */
  event(regarding: KubeObject, type: EventType, reason: string, message: string): void;
}

export interface EventRecorderOptions {
  readonly system: ActorSystem;
  readonly client: ApiClient;
  /** source.component, such as `default-scheduler`. */
  readonly component: string;
  /** source.host, the node whose component it is. */
  readonly host?: string;
  readonly limits?: Partial<EventLimits>;
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new Recorder(options);
}

interface Pending {
  readonly reference: ObjectReference;
  readonly type: EventType;
  readonly reason: string;
  readonly message: string;
  readonly cause: Cause | undefined;
}

interface Remembered {
  readonly namespace: string;
  readonly name: string;
  count: number;
}

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

class Recorder implements EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #limits: EventLimits;
  readonly #pending: Pending[] = [];
  /** By all that makes two events the same, oldest use first. */
  readonly #remembered = new Map<string, Remembered>();
  readonly #buckets = new Map<string, Bucket>();
  #writing = false;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#limits = { ...eventLimits, ...options.limits };
  }

  event(regarding: KubeObject, type: EventType, reason: string, message: string): void {
    const reference = referenceTo(regarding);
    const { system, component } = this.#options;
    const refused = !this.#admit(reference)
      ? 'this object has too many'
      : this.#pending.length >= this.#limits.pendingMax
        ? 'too many wait'
        : undefined;
    if (refused !== undefined) {
      return system.note(component, 'event dropped', { why: refused, object: reference.name ?? '', reason });
    }
    this.#pending.push({ reference, type, reason, message, cause: system.cause() });
    if (!this.#writing) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#writing = true;
    const { system, component } = this.#options;
    for (let next = this.#pending.shift(); next; next = this.#pending.shift()) {
      const event = next;
      try {
        await system.withCause(event.cause, () => this.#write(event));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        const { reason, message } = error;
        system.note(component, 'event not written', { object: event.reference.name ?? '', reason, message });
      }
    }
    this.#writing = false;
  }

  async #write(pending: Pending): Promise<void> {
    const { client, system } = this.#options;
    const { reference, type, reason, message } = pending;
    const id = JSON.stringify([
      reference.kind,
      reference.namespace,
      reference.name,
      reference.uid,
      type,
      reason,
      message,
    ]);
    const known = this.#remembered.get(id);
    if (known) {
      const count = known.count + 1;
      const patch = { count, lastTimestamp: formatTime(system.env.clock.nowMs()) };
      try {
        await client.patch(events, known.namespace, known.name, 'merge', patch);
        known.count = count;
        return this.#remember(id, known);
      } catch (error) {
        // Its hour is over (events expire): write it anew.
        if (!isNotFound(error)) throw error;
        this.#remembered.delete(id);
      }
    }
    const event = this.#newEvent(pending);
    await client.create(events, event);
    this.#remember(id, { namespace: event.metadata.namespace!, name: event.metadata.name!, count: 1 });
  }

  #newEvent({ reference, type, reason, message }: Pending): Event & { metadata: ObjectMeta } {
    const { component, host, system } = this.#options;
    const { clock, random } = system.env;
    const now = formatTime(clock.nowMs());
    return {
      metadata: {
        name: `${reference.name}.${random.hex(8)}`,
        namespace: reference.namespace ?? 'default',
      },
      involvedObject: reference,
      reason,
      message: message.slice(0, 1024),
      source: { component, ...(host === undefined ? {} : { host }) },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
      type,
      reportingComponent: component,
      reportingInstance: host ?? '',
    };
  }

  #remember(id: string, event: Remembered): void {
    this.#remembered.delete(id);
    this.#remembered.set(id, event);
    forgetOldest(this.#remembered, this.#limits.rememberedMax);
  }

  #admit(reference: ObjectReference): boolean {
    const key = `${reference.kind}/${reference.namespace ?? ''}/${reference.name}/${reference.uid ?? ''}`;
    const now = this.#options.system.env.clock.monotonicMs();
    const { burstPerObject, refillMs, rememberedMax } = this.#limits;
    const bucket = this.#buckets.get(key) ?? { tokens: burstPerObject, filledAtMs: now };
    const earned = Math.floor((now - bucket.filledAtMs) / refillMs);
    bucket.tokens = Math.min(burstPerObject, bucket.tokens + earned);
    bucket.filledAtMs += earned * refillMs;
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    forgetOldest(this.#buckets, rememberedMax);
    if (bucket.tokens === 0) return false;
    bucket.tokens -= 1;
    return true;
  }
}

export function referenceTo(object: KubeObject): ObjectReference {
  const { namespace, name, uid, resourceVersion } = object.metadata ?? {};
  if (object.kind === undefined || name === undefined) {
    throw new TypeError('an event needs an object with kind and name');
  }
  return {
    kind: object.kind,
    ...(namespace === undefined ? {} : { namespace }),
    name,
    ...(uid === undefined ? {} : { uid }),
    ...(object.apiVersion === undefined ? {} : { apiVersion: object.apiVersion }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

function forgetOldest(map: Map<string, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size <= max) return;
    map.delete(key);
  }
}
