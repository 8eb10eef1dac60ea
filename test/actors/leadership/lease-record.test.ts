import { strict as assert } from 'node:assert';
import { annotationOf, fencingToken } from '../../../actors/leadership/index.js';
import {
  claimedLease,
  judge,
  type Observation,
  observe,
  releasedLease,
} from '../../../actors/leadership/lease-record.js';
import type { Lease } from '../../../actors/objects/types/coordination.js';

const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

function claim(identity: string, before?: Lease): Lease {
  const lock = { name: 'kube-scheduler', namespace: 'kube-system' };
  return claimedLease({ ...lock, identity, leaseDurationMs: 2000, nowMs }, before);
}

function seen(lease: Lease, changedAtMs: number): Observation {
  return { lease, changedAtMs };
}

describe('lease record', () => {
  it('is created without transitions and counts one for every change of the holder', () => {
    const first = claim('a');
    assert.deepEqual(first.spec, {
      holderIdentity: 'a',
      leaseDurationSeconds: 2,
      acquireTime: '2026-01-02T03:04:05.678000Z',
      renewTime: '2026-01-02T03:04:05.678000Z',
      leaseTransitions: 0,
    });
    assert.equal(claim('a', first).spec?.leaseTransitions, 0);
    assert.equal(claim('b', first).spec?.leaseTransitions, 1);
    assert.equal(claim('a', releasedLease(claim('b', first), nowMs)).spec?.leaseTransitions, 2);
  });

  const table: readonly [string, Observation | undefined, number, string][] = [
    ['no lease at all', undefined, 0, 'create'],
    ['my own lease', seen(claim('me'), 0), 1e9, 'renew'],
    ['a fresh one of another', seen(claim('other'), 1000), 2999, 'wait'],
    ['one that has not changed for its duration', seen(claim('other'), 1000), 3000, 'take'],
    ['a released one', seen(releasedLease(claim('other'), nowMs), 1000), 1000, 'take'],
  ];
  for (const [what, observation, now, verdict] of table) {
    it(`judges ${what}: ${verdict}`, () => {
      assert.equal(judge(observation, 'me', now).type, verdict);
    });
  }

  it('takes a fresh one whose holder is known to be gone, and only that one', () => {
    const fresh = seen(claim('other'), 1000);
    assert.equal(judge(fresh, 'me', 1001, 'other').type, 'take');
    assert.equal(judge(fresh, 'me', 1001, 'third').type, 'wait');
  });

  it('goes by the local clock since the record changed, not by the times in it', () => {
    const stale = claim('other');
    const skewed = { ...stale, spec: { ...stale.spec!, renewTime: '1999-01-01T00:00:00.000000Z' } };
    const first = observe(undefined, skewed, 5000);
    assert.equal(judge(first, 'me', 6999).type, 'wait');
    const again = observe(first, { ...skewed, metadata: { resourceVersion: '9' } }, 6000);
    assert.equal(again.changedAtMs, 5000);
    const renewed = observe(again, claim('other'), 6500);
    assert.equal(renewed.changedAtMs, 6500);
  });

  it('prints the old annotation with exactly its five fields in order', () => {
    const lease = claim('master-1_b0ad5354');
    assert.equal(
      annotationOf(lease),
      '{"holderIdentity":"master-1_b0ad5354","leaseDurationSeconds":2,"acquireTime":"2026-01-02T03:04:05Z",' +
        '"renewTime":"2026-01-02T03:04:05Z","leaderTransitions":0}',
    );
  });

  it('makes the fencing token from holder and transitions', () => {
    assert.equal(fencingToken(claim('b', claim('a'))), 'kube-system/kube-scheduler=b/1');
  });
});
