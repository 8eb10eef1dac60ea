import { strict as assert } from 'node:assert';
import { revision } from 'raft-consensus';
import { actorRef } from '../../../actors/runtime/index.js';
import { createStoreClient, StoreError, type StoreMessage } from '../../../actors/store/index.js';
import type { StoreReply } from '../../../actors/store/messages.js';
import { malformedReply } from '../../../actors/store/reply-check.js';
import { nodeId } from '../../../transport/index.js';
import { SimWorld } from '../../sim/world.js';
import { put } from './small-group.js';

const kv = { key: 'k', value: new Uint8Array(1), createRevision: 2, modRevision: 2, version: 1, lease: 0 };
const done = { type: 'StoreTxnDone', revision: 2, result: { type: 'txn', succeeded: true, results: [] } };
const found = {
  type: 'StoreRangeDone',
  revision: 2,
  result: { type: 'range', kvs: [kv], more: false, count: 1 },
};

describe('what a member answers', () => {
  const broken: readonly (readonly [string, unknown])[] = [
    ['a text', 'StoreTxnDone'],
    ['an unknown type', { type: 'StoreWhatever' }],
    ['another type than was asked for', { type: 'StoreAlarmList', alarms: [] }],
    ['no result', { ...done, result: undefined }],
    ['a revision that is none', { ...done, revision: '2' }],
    [
      'a result of unknown kind',
      { ...done, result: { type: 'txn', succeeded: true, results: [{ type: 'x' }] } },
    ],
    ['a key-value pair without a value', { ...found, result: { ...found.result, kvs: [{ key: 'k' }] } }],
    [
      'a failure with a code that nobody knows',
      { type: 'StoreFailed', code: 'X', message: '', definite: true },
    ],
    ['fewer answers than requests', { type: 'StoreManyAre', replies: [done] }],
    ['one broken answer of many', { type: 'StoreManyAre', replies: [done, { ...done, revision: -1 }] }],
  ];

  for (const [what, answer] of broken) {
    it(`with ${what} leaves the outcome unknown, and the client goes on`, async () => {
      const world = new SimWorld(`malformed replies, ${what}`);
      const answers: unknown[] = [answer];
      const member = world.system(nodeId('m1'));
      const isMany = (answer as StoreReply).type === 'StoreManyAre';
      member.spawn<StoreMessage>({
        id: 'store',
        start: () => ({
          initial: () => undefined,
          receive: (_state, message, ctx) => {
            if (!('replyTo' in message) || message.type === 'StoreWatch') return;
            ctx.tell(message.replyTo, (answers.shift() ?? done) as StoreReply);
          },
        }),
      });
      const ref = actorRef<StoreMessage>(nodeId('m1'), '/store');
      const client = createStoreClient({
        system: world.system(nodeId('client')),
        members: [{ name: 'm1', ref }],
      });
      const writes = Array.from({ length: isMany ? 2 : 1 }, (_, i) => client.txn(put(`k${i}`)));
      const outcomes = await world.settled(Promise.allSettled(writes));
      const last = outcomes.at(-1)!;
      assert(last.status === 'rejected', 'it was believed');
      const { reason } = last as { readonly reason: unknown };
      assert(reason instanceof StoreError && !reason.definite, String(reason));
      assert.deepEqual((await world.settled(client.txn(put('next')))).revision, revision(2));
    });
  }

  it('is told by the path to what is wrong with it', () => {
    assert.equal(malformedReply(done), undefined);
    assert.equal(malformedReply(found), undefined);
    const wrong = { ...found, result: { ...found.result, kvs: [kv, { ...kv, lease: 'l' }] } };
    assert.match(malformedReply(wrong) ?? '', /StoreRangeDone\.result\.kvs\[1\]\.lease/);
  });
});
