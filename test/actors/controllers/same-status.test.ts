import { strict as assert } from 'node:assert';
import { sameStatus } from '../../../actors/controllers/same-status.js';

describe('a status that a controller would write', () => {
  const stored = { readyReplicas: 2, conditions: [{ status: 'True', type: 'Ready' }] };

  it('is the same as one from which the API dropped zeros, empty lists and empty objects', () => {
    const status = { readyReplicas: 2, failed: 0, uncounted: {}, active: [], conditions: stored.conditions };
    assert.ok(sameStatus(stored, status));
    assert.ok(sameStatus(undefined, { replicas: 0 }));
  });

  it('is the same in whatever order its fields stand', () => {
    const conditions = [{ type: 'Ready', status: 'True' }];
    assert.ok(sameStatus(stored, { conditions, readyReplicas: 2 }));
  });

  it('is another when anything counts differently, is gone, or is false', () => {
    assert.ok(!sameStatus(stored, { ...stored, readyReplicas: 0 }));
    assert.ok(!sameStatus(stored, { ...stored, conditions: [] }));
    assert.ok(!sameStatus(stored, { ...stored, paused: false }));
  });
});
