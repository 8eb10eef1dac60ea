import { strict as assert } from 'node:assert';
import type { Pod } from '../../../actors/objects/types/core.js';
import type { Cause } from '../../../actors/runtime/index.js';
import { type ClusterEvent, podInfo, SchedulingQueue } from '../../../actors/scheduler/index.js';
import { causeNamed, ManualClock, seededRandom } from '../client/manual-env.js';
import { pod, type PodShape } from './cluster-builder.js';

describe('scheduling queue', () => {
  let clock: ManualClock;
  let queue: SchedulingQueue;
  let cause: Cause | undefined;
  /** `plugin event` pairs that help. */
  let helpful: Set<string>;

  const gone = (name: string): ClusterEvent => ({ type: 'PodGone', pod: podInfo(pod(name)) });
  const put = (name: string, shape: PodShape = {}) => queue.put(pod(name, shape));
  const pop = () => queue.pop()?.info.pod.metadata?.name;
  const uid = (name: string) => `uid-default-${name}`;
  const refuse = (name: string, ...plugins: string[]) => queue.refused(uid(name), new Set(plugins));

  beforeEach(() => {
    clock = new ManualClock();
    cause = undefined;
    helpful = new Set(['NodeResourcesFit PodGone']);
    queue = new SchedulingQueue({
      clock,
      cause: () => cause,
      onReady: () => {},
      helps: (plugin, event) => helpful.has(`${plugin} ${event.type}`),
    });
  });

  it('gives the highest priority first, then the oldest', async () => {
    put('old');
    await clock.advance(10);
    put('young');
    put('urgent', { priority: 100 });
    put('unimportant', { priority: -1 });
    assert.deepEqual(
      [pop(), pop(), pop(), pop(), pop()],
      ['urgent', 'old', 'young', 'unimportant', undefined],
    );
  });

  it('sorts thousands as a plain sort would', () => {
    const random = seededRandom(5);
    const priorities = Array.from({ length: 2000 }, () => random.integer(50));
    priorities.forEach((priority, n) => put(`p${n}`, { priority }));
    const got = priorities.map(() => queue.pop()!.info.priority);
    assert.deepEqual(
      got,
      [...priorities].sort((a, b) => b - a),
    );
  });

  it('keeps the cause of the last change of a pod', () => {
    cause = causeNamed('create');
    put('a');
    cause = causeNamed('label');
    put('a', { labels: { changed: 'yes' } });
    assert.equal(queue.pop()?.cause?.trace, 'label');
    assert.equal(queue.pop(), undefined);
  });

  it('lets a refused pod wait for an event that helps a plugin that refused it', async () => {
    put('a');
    put('b');
    pop();
    pop();
    refuse('a', 'NodeResourcesFit', 'TaintToleration');
    refuse('b', 'TaintToleration');
    await clock.advance(60_000);
    assert.equal(pop(), undefined);
    queue.wake(gone('x'));
    assert.equal(pop(), 'a');
    assert.equal(pop(), undefined);
    assert.equal(queue.stateOf(uid('b')), 'unschedulable');
  });

  it('makes it sit out its backoff first: 1, 2, 4, 8, 10, 10 s', async () => {
    put('a');
    for (const backoffMs of [1000, 2000, 4000, 8000, 10_000, 10_000]) {
      assert.equal(pop(), 'a');
      refuse('a', 'NodeResourcesFit');
      queue.wake(gone('x'));
      assert.equal(queue.stateOf(uid('a')), 'backoff');
      await clock.advance(backoffMs - 1);
      assert.equal(pop(), undefined);
      await clock.advance(1);
    }
  });

  it('lets a failed binding back off, too', async () => {
    put('a');
    pop();
    queue.failed(uid('a'));
    assert.equal(pop(), undefined);
    await clock.advance(1000);
    assert.equal(pop(), 'a');
  });

  it('tries again after five minutes although nothing happened', async () => {
    put('a');
    pop();
    refuse('a', 'TaintToleration');
    await clock.advance(299_000);
    assert.equal(pop(), undefined);
    await clock.advance(31_000);
    assert.equal(pop(), 'a');
    assert.equal(clock.timerCount, 0, 'nothing waits, so nothing is looked for');
  });

  it('tries again at once when the pod itself changes, but not for its status', async () => {
    put('a');
    pop();
    refuse('a', 'TaintToleration');
    await clock.advance(5000);
    const told: Pod = { ...pod('a'), status: { conditions: [{ type: 'PodScheduled', status: 'False' }] } };
    queue.put(told);
    assert.equal(pop(), undefined);
    put('a', { tolerations: [{ operator: 'Exists' }] });
    assert.equal(pop(), 'a');
  });

  it('holds gated pods until their gates are gone', async () => {
    put('a', { schedulingGates: [{ name: 'quota' }] });
    queue.wake(gone('x'));
    await clock.advance(400_000);
    assert.equal(pop(), undefined);
    put('a');
    assert.equal(pop(), 'a');
  });

  it('wakes pods that found no node at all when a node comes', async () => {
    put('a');
    pop();
    refuse('a');
    await clock.advance(2000);
    queue.wake(gone('x'));
    assert.equal(pop(), undefined);
    queue.wake({ type: 'NodeAdded', node: undefined as never });
    assert.equal(pop(), 'a');
  });

  it('forgets a pod that is gone, wherever it waits', async () => {
    for (const name of ['active', 'backing-off', 'refused', 'in-flight']) put(name);
    for (let n = 0; n < 4; n += 1) pop();
    queue.failed(uid('backing-off'));
    refuse('refused', 'NodeResourcesFit');
    queue.failed(uid('active'));
    await clock.advance(1000);
    for (const name of ['active', 'backing-off', 'refused', 'in-flight']) queue.remove(uid(name));
    queue.failed(uid('in-flight'));
    refuse('in-flight', 'NodeResourcesFit');
    queue.wake(gone('x'));
    await clock.advance(10_000);
    assert.equal(pop(), undefined);
    assert.equal(queue.size, 0);
  });
});
