import { strict as assert } from 'node:assert';
import {
  type ApiClient,
  ApiError,
  createEventRecorder,
  type EventRecorder,
} from '../../../actors/client/index.js';
import type { Event, Pod } from '../../../actors/objects/types/core.js';
import { type ManualSystem, manualSystem, settle } from './manual-env.js';

const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'shop', uid: 'u1' } };

class EventSink {
  readonly created: Event[] = [];
  readonly patched: { name: string; patch: { count?: number } }[] = [];
  fail: ApiError | undefined;

  async create(_resource: unknown, event: Event): Promise<Event> {
    if (this.fail) throw this.fail;
    this.created.push(event);
    return event;
  }

  async patch(
    _resource: unknown,
    _namespace: string,
    name: string,
    _type: string,
    patch: { count?: number },
  ) {
    if (this.fail) throw this.fail;
    this.patched.push({ name, patch });
    return {};
  }
}

describe('event recorder', () => {
  let manual: ManualSystem;
  let sink: EventSink;
  let recorder: EventRecorder;

  beforeEach(() => {
    manual = manualSystem();
    sink = new EventSink();
    recorder = createEventRecorder({
      system: manual.system,
      client: sink as unknown as ApiClient,
      component: 'default-scheduler',
      limits: { pendingMax: 3, burstPerObject: 4, refillMs: 1000 },
    });
  });

  it('writes an event beside the object that it is about', async () => {
    recorder.event(pod, 'Normal', 'Scheduled', 'Successfully assigned shop/p to n1');
    await settle();
    const [event] = sink.created;
    assert.equal(event?.metadata.namespace, 'shop');
    assert.match(event?.metadata.name ?? '', /^p\.[0-9a-f]{16}$/);
    assert.deepEqual(event?.involvedObject, {
      kind: 'Pod',
      namespace: 'shop',
      name: 'p',
      uid: 'u1',
      apiVersion: 'v1',
    });
    assert.deepEqual([event?.type, event?.reason, event?.count], ['Normal', 'Scheduled', 1]);
    assert.equal(event?.firstTimestamp, '2026-01-01T00:00:00Z');
  });

  it('counts a repetition on the event that is there', async () => {
    for (let n = 0; n < 3; n += 1) {
      recorder.event(pod, 'Warning', 'FailedScheduling', 'no');
      await settle();
    }
    assert.equal(sink.created.length, 1);
    assert.deepEqual(
      sink.patched.map(({ patch }) => patch.count),
      [2, 3],
    );
  });

  it('writes it anew when it has expired meanwhile', async () => {
    recorder.event(pod, 'Warning', 'FailedScheduling', 'no');
    await settle();
    sink.patch = async () => {
      throw new ApiError(404, 'NotFound', 'gone', true);
    };
    recorder.event(pod, 'Warning', 'FailedScheduling', 'no');
    await settle();
    assert.equal(sink.created.length, 2);
  });

  it('notes a failure and goes on', async () => {
    sink.fail = new ApiError(403, 'Forbidden', 'no', true);
    recorder.event(pod, 'Normal', 'A', 'a');
    await settle();
    sink.fail = undefined;
    recorder.event(pod, 'Normal', 'B', 'b');
    await settle();
    assert.deepEqual(manual.notes, ['event not written']);
    assert.equal(sink.created.length, 1);
  });

  it('lets one object have only so many, and more as time goes by', async () => {
    for (let n = 0; n < 6; n += 1) {
      recorder.event(pod, 'Normal', 'A', String(n));
      await settle();
    }
    assert.equal(sink.created.length, 4);
    await manual.clock.advance(1000);
    recorder.event(pod, 'Normal', 'A', 'later');
    await settle();
    assert.equal(sink.created.length, 5);
    assert.deepEqual(manual.notes, ['event dropped', 'event dropped']);
  });

  it('keeps only a few waiting', async () => {
    const many = [1, 2, 3, 4, 5].map((n) => ({ ...pod, metadata: { ...pod.metadata, name: `p${n}` } }));
    for (const each of many) recorder.event(each, 'Normal', 'A', 'a');
    await settle();
    assert.equal(sink.created.length, 4, 'one under way and three waiting');
    assert.deepEqual(manual.notes, ['event dropped']);
  });
});
