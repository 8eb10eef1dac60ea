import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { checkKinds, letterKinds } from '../../deploy/letter-kinds.js';

describe('the kinds of letters that faults may be aimed at', () => {
  it('are those that docs/faults.md lists, each once', () => {
    const text = readFileSync(new URL('../../../docs/faults.md', import.meta.url), 'utf8');
    const [, table = ''] = /\| letters \| kinds \|\n(.*?)\n\n/s.exec(text) ?? [];
    const listed = [...table.matchAll(/`(\w+)`/g)].map(([, kind]) => kind);
    assert.deepEqual(listed.toSorted(), letterKinds.toSorted());
    assert.equal(new Set(letterKinds).size, letterKinds.length);
  });

  for (const [wrong, text] of [
    ['Bogus', 'no letter between machines is of the kind "Bogus": docs/faults.md lists all'],
    [
      'RaftApend',
      'no letter between machines is of the kind "RaftApend": near it are RaftAppend; docs/faults.md lists all',
    ],
    ['raftvote', /near it are RaftVote, RaftVoteReply, RaftPreVote/],
    ['ApiRequest,ApiCredit', /near it are ApiCredit, ApiRequest;/],
    ['StoreTick', /no letter between machines is of the kind "StoreTick"/],
    ['', /no letter between machines is of the kind "": docs/],
  ] as const) {
    it(`do not hold ${JSON.stringify(wrong)}, and what is near it is named`, () => {
      assert.throws(() => checkKinds(['RaftAppend', wrong]), { message: text });
    });
  }
});
