import { strict as assert } from 'node:assert';
import { limits } from '../../../actors/apiserver/limits.js';
import { ResourceCache } from '../../../actors/apiserver/resource-cache.js';

const prefix = '/registry/leases/';
const value = new TextEncoder().encode('{}');

describe('resource cache', () => {
  const { historyAgeMs, historyEventsMin } = limits;
  let cache: ResourceCache;
  let revision: number;

  beforeEach(() => {
    cache = new ResourceCache(prefix, 0);
    revision = 0;
  });

  function change(atMs: number): void {
    revision += 1;
    cache.apply({ key: `${prefix}a`, value, revision, atMs });
  }

  it('forgets changes that are older than anybody resumes from', () => {
    for (let second = 0; second < 3_600; second += 1) change(second * 1_000);
    const kept = cache.since(cache.historySince)!;
    assert.equal(kept.length, historyAgeMs / 1_000 + 1);
    assert.equal(cache.since(cache.historySince - 1), undefined);
    assert.deepEqual(
      kept.map((event) => event.revision),
      kept.map((_, i) => cache.historySince + 1 + i),
    );
  });

  it('keeps the last changes of what seldom changes, however old', () => {
    for (let i = 0; i < 2 * historyEventsMin; i += 1) change(i * historyAgeMs);
    assert.equal(cache.since(cache.historySince)?.length, historyEventsMin);
  });
});
