import { strict as assert } from 'node:assert';
import { formatIndexes, parseIndexes } from '../../../actors/controllers/completion-indexes.js';
import { decideJob, trackingFinalizer } from '../../../actors/controllers/job-decision.js';
import { isNotFound, jobs, pods } from '../../../actors/client/index.js';
import type { Job, JobSpec } from '../../../actors/objects/types/batch.js';
import type { Pod } from '../../../actors/objects/types/core.js';
import { controllersWorld, podSpec } from './controllers-world.js';

const nowMs = Date.parse('2026-01-01T00:10:00Z');

describe('job decision', () => {
  it('makes as many pods as may run side by side and are still needed', () => {
    const cases: readonly (readonly [Partial<JobSpec>, number, number])[] = [
      [{ completions: 5, parallelism: 2 }, 0, 2],
      [{ completions: 5, parallelism: 2 }, 4, 1],
      [{ completions: 1, parallelism: 3 }, 0, 1],
      [{ parallelism: 3 }, 0, 3],
    ];
    for (const [spec, succeeded, expected] of cases) {
      assert.equal(
        decideJob(job(spec, { succeeded }), [], nowMs).create.length,
        expected,
        JSON.stringify(spec),
      );
    }
  });

  it('counts an ended pod once: noted, untracked, counted', () => {
    const first = decideJob(job({ completions: 2 }), [pod('a', 'Succeeded')], nowMs);
    assert.deepEqual(first.status.uncountedTerminatedPods, { succeeded: ['a'] });
    assert.deepEqual([first.status.succeeded, first.untrack.length], [0, 0]);
    const noted = job({ completions: 2 }, first.status);
    const second = decideJob(noted, [pod('a', 'Succeeded')], nowMs);
    assert.deepEqual(
      second.untrack.map(({ metadata }) => metadata?.uid),
      ['a'],
    );
    assert.equal(second.status.succeeded, 0);
    const third = decideJob(noted, [pod('a', 'Succeeded', false)], nowMs);
    assert.deepEqual([third.status.succeeded, third.status.uncountedTerminatedPods], [1, {}]);
    const fourth = decideJob(job({ completions: 2 }, third.status), [pod('a', 'Succeeded', false)], nowMs);
    assert.equal(fourth.status.succeeded, 1);
  });

  it('completes when all completions are counted and the last pod has ended', () => {
    const { status, create } = decideJob(job({ completions: 1 }, { succeeded: 1 }), [], nowMs);
    assert.deepEqual(typesOf(status), ['SuccessCriteriaMet', 'Complete']);
    assert.equal(status.completionTime, '2026-01-01T00:10:00Z');
    assert.equal(create.length, 0);
  });

  it('fails above its backoff limit and ends what still runs', () => {
    const { status, remove } = decideJob(
      job({ backoffLimit: 0 }, { failed: 1 }),
      [pod('b', 'Running')],
      nowMs,
    );
    assert.deepEqual(typesOf(status), ['FailureTarget']);
    assert.equal(remove.length, 1);
    const end = decideJob(job({ backoffLimit: 0 }, { ...status }), [], nowMs);
    assert.deepEqual(typesOf(end.status), ['FailureTarget', 'Failed']);
    assert.equal(end.status.conditions?.[1]?.reason, 'BackoffLimitExceeded');
  });

  it('waits longer after each failure', () => {
    const failed = pod('a', 'Failed', false, '2026-01-01T00:10:00Z');
    const { create, requeueAfterMs } = decideJob(job({}, { failed: 2 }), [failed], nowMs);
    assert.deepEqual([create.length, requeueAfterMs], [0, 20_000]);
    assert.equal(decideJob(job({}, { failed: 2 }), [failed], nowMs + 20_000).create.length, 1);
  });

  it('a suspended job has no pods; a deadline ends one', () => {
    const suspended = decideJob(job({ suspend: true }), [pod('a', 'Running')], nowMs);
    assert.deepEqual([suspended.remove.length, typesOf(suspended.status)], [1, ['Suspended']]);
    const late = job({ activeDeadlineSeconds: 60 }, { startTime: '2026-01-01T00:09:00Z' });
    assert.equal(decideJob(late, [], nowMs).status.conditions?.[0]?.reason, 'DeadlineExceeded');
  });

  it('an indexed job runs each index once', () => {
    const indexed = job({ completions: 4, parallelism: 2, completionMode: 'Indexed' });
    const all = [pod('a', 'Succeeded', true, undefined, 0), pod('b', 'Running', true, undefined, 2)];
    const { status, create } = decideJob(indexed, all, nowMs);
    assert.deepEqual([status.completedIndexes, create], ['0', [1]]);
  });

  it('index sets are written as ranges', () => {
    assert.equal(formatIndexes(new Set([5, 1, 3, 4, 7, 8])), '1,3-5,7,8');
    assert.deepEqual([...parseIndexes('1,3-5')], [1, 3, 4, 5]);
    assert.equal(parseIndexes('').size, 0);
  });
});

describe('a job', () => {
  it('runs its pods to completion, replaces one that fails, and goes when its time to live is over', async () => {
    const { client, run, eventually, gone } = await controllersWorld();
    await run(
      client.create(jobs, {
        metadata: { name: 'sum', namespace: 'default' },
        spec: {
          completions: 3,
          parallelism: 2,
          ttlSecondsAfterFinished: 30,
          template: { spec: { ...podSpec(), restartPolicy: 'Never' } },
        },
      }),
    );
    const find = () => client.get(jobs, 'default', 'sum');
    let ended = 0;
    const step = async () => {
      const { items } = await client.list(pods, { namespace: 'default' });
      for (const { metadata, status } of items) {
        if (status?.phase !== 'Running') continue;
        ended += 1;
        const patch = { status: { phase: ended === 2 ? 'Failed' : 'Succeeded' } };
        await client.patch(pods, 'default', metadata?.name ?? '', 'merge', patch, { subresource: 'status' });
      }
      return find();
    };
    const done = await eventually(step, ({ status }) => typesOf(status).includes('Complete'), 60_000);
    assert.deepEqual([done.status?.succeeded, done.status?.failed, done.status?.active ?? 0], [3, 1, 0]);
    const { items } = await run(client.list(pods, { namespace: 'default' }));
    assert.ok(items.every(({ metadata }) => !metadata?.finalizers?.includes(trackingFinalizer)));
    await eventually(
      () =>
        find().catch((error: unknown) => {
          if (isNotFound(error)) return undefined;
          throw error;
        }),
      (found) => found === undefined,
      60_000,
    );
    await gone(pods, 'default', items[0]?.metadata?.name ?? '');
  });
});

function job(spec: Partial<JobSpec>, status: Job['status'] = {}): Job {
  return { metadata: { name: 'j', uid: 'j' }, spec: { template: {}, ...spec }, status };
}

function pod(uid: string, phase: string, tracked = true, readySince?: string, index?: number): Pod {
  return {
    metadata: {
      name: uid,
      uid,
      ...(tracked && { finalizers: [trackingFinalizer] }),
      ...(index !== undefined && { annotations: { 'batch.kubernetes.io/job-completion-index': `${index}` } }),
    },
    status: {
      phase,
      ...(readySince && { conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: readySince }] }),
    },
  };
}

function typesOf(status: Job['status']): string[] {
  return (status?.conditions ?? []).filter((each) => each.status === 'True').map(({ type }) => type);
}
