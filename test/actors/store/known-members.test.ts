import { strict as assert } from 'node:assert';
import { actorRef } from '../../../actors/runtime/index.js';
import { KnownMembers } from '../../../actors/store/known-members.js';
import { storeLimits, type StoreMessage } from '../../../actors/store/index.js';
import { nodeId } from '../../../transport/index.js';

const member = (name: string) => ({ name, ref: actorRef<StoreMessage>(nodeId(name), '/store') });
const told = (name: string) => ({ name, address: name });

describe('the members that a client knows', () => {
  it('are asked one after the other, and whom it hears of as well', () => {
    const known = new KnownMembers(['m1', 'm2'].map(member));
    known.meet('m3', 'm3');
    known.meet('m4', undefined);
    assert.deepEqual([known.nearest, known.after(0), known.after(1), known.after(2)], [0, 1, 2, 0]);
    assert.deepEqual(known.at(2), member('m3'));
    assert.equal(known.placeOf('m4'), -1);
  });

  it('are not asked once the group names them no more, and again when somebody does', () => {
    const known = new KnownMembers(['m1', 'm2', 'm3'].map(member));
    known.learn([told('m2'), told('m3'), told('m4')]);
    assert.deepEqual([known.nearest, known.after(1), known.after(2), known.after(3)], [1, 2, 3, 1]);
    assert.equal(known.count, 3);
    known.meet('m1', 'm1');
    assert.deepEqual([known.nearest, known.after(3)], [0, 0]);
  });

  it('keep their places while requests are on their way, until there is no other for a new one', () => {
    const known = new KnownMembers([member('m1')]);
    for (let i = 2; i < storeLimits.membersKnownMax + 50; i++) {
      known.learn([told('m1'), told(`m${i}`)]);
      assert.equal(known.at(known.after(0)).name, `m${i}`);
      assert(known.after(0) < storeLimits.membersKnownMax);
    }
  });

  it('are all asked when the group has named none of them', () => {
    const known = new KnownMembers(['m1', 'm2'].map(member));
    known.learn([{ name: 'somewhere' }]);
    assert.deepEqual([known.nearest, known.after(0), known.count], [0, 1, 2]);
  });
});
