/** A write of unknown outcome is told as such, and never made again (ARCHITECTURE rule 7). */
import { strict as assert } from 'node:assert';
import { RaftError } from 'raft-consensus';
import { actorRef } from '../../../actors/runtime/index.js';
import {
  createStoreClient,
  StoreError,
  type StoreMessage,
  type StoreReply,
} from '../../../actors/store/index.js';
import { nodeId } from '../../../transport/index.js';
import { SimWorld } from '../../sim/world.js';
import { put, SmallGroup } from './small-group.js';

const rejection = (request: Promise<unknown>) =>
  request.then(
    () => assert.fail('it was not refused'),
    (error: unknown) => error,
  );

describe('a write of unknown outcome', function () {
  this.timeout(20_000);

  // Found by `npm run sim -- --seed 91`: the write was there twice.
  it('is told as one when the disk of the leader that proposed it fails', async () => {
    const group = new SmallGroup('the disk of a leader fails');
    const { raft } = group.parts.get(await group.leader())!;
    const ended = new RaftError('Stopped', 'the member ended before entry 9 was applied', {
      definite: false,
    });
    let proposals = 0;
    for (const parts of group.parts.values()) {
      parts.raft.apply = () => {
        proposals += 1;
        return Promise.reject(ended);
      };
    }
    assert(raft.isLeader());
    const error = await group.do(rejection(group.client.txn(put('a'))));
    assert(error instanceof StoreError);
    assert.deepEqual([error.code, error.definite, proposals], ['LeaderChanged', false, 1]);
  });

  it('is not tried again by a client, whatever code it comes with', async () => {
    const world = new SimWorld('any code');
    let asked = 0;
    const members = ['m1', 'm2'].map((name) => {
      world.system(nodeId(name)).spawn<StoreMessage>({
        id: 'store',
        start: () => ({
          initial: () => null,
          receive: (state, message, ctx) => {
            asked += 1;
            const failed = { code: 'NoLeader', message: 'gone', definite: false } as const;
            if ('replyTo' in message && message.type === 'StoreTxn') {
              ctx.tell<StoreReply>(message.replyTo, { type: 'StoreFailed', ...failed });
            }
            return state;
          },
        }),
      });
      return { name, ref: actorRef<StoreMessage>(nodeId(name), '/store') };
    });
    const client = createStoreClient({ system: world.system(nodeId('client')), members });
    await world.run(100);
    const error = await world.settled(rejection(client.txn(put('a'))));
    assert(error instanceof StoreError && !error.definite);
    assert.equal(asked, 1);
  });
});
