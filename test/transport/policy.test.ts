import { strict as assert } from 'node:assert';
import { FaultPolicy, nodeId } from '../../transport/index.js';

const random = { next: () => 0.5, integer: () => 0, hex: () => '' };
const letter = { from: nodeId('master-1.store'), to: nodeId('master-2.store'), kind: 'AppendEntries' };

describe('fault policy', () => {
  it('delivers at once without rules', () => {
    assert.deepEqual(new FaultPolicy().judge(letter, random), { type: 'deliver', delaysMs: [0] });
  });

  it('cuts a machine in one direction only', () => {
    const policy = new FaultPolicy();
    policy.add({ id: 'c', from: ['master-1'], to: ['*'], action: { type: 'cut' } });
    assert.deepEqual(policy.judge(letter, random), { type: 'drop', rule: 'c' });
    assert.equal(policy.judge({ ...letter, from: letter.to, to: letter.from }, random).type, 'deliver');
  });

  it('never touches letters inside one machine', () => {
    const policy = new FaultPolicy();
    policy.add({ id: 'c', from: ['*'], to: ['*'], action: { type: 'cut' } });
    assert.equal(policy.judge({ ...letter, to: nodeId('master-1') }, random).type, 'deliver');
  });
});
