import { strict as assert } from 'node:assert';
import { claimMember, wrongTitle } from '../../../actors/store/index.js';

describe('what a member that comes is called', () => {
  it('is a DNS label', () => {
    for (const good of ['m4', 'a', '4', 'store-west-1', 'a'.repeat(63)]) {
      assert.equal(wrongTitle(good), undefined, good);
    }
    for (const bad of [
      '',
      'M4',
      'm 4',
      'm_4',
      'm.4',
      '-m',
      'm-',
      'a'.repeat(64),
      'm4\n',
      '\u00fc',
      '../m4',
    ]) {
      assert.match(
        wrongTitle(bad) ?? '',
        /a member's name is a DNS label, at most 63 lower-case letters/,
        bad,
      );
    }
  });

  it('is looked at where it comes in, before anybody is asked', async () => {
    const nobody = { members: () => assert.fail('asked'), memberUpdate: () => assert.fail('told') };
    const claim = { peerUrl: 'tcp://127.0.0.1:1', title: 'M 4', publicKey: 'k', clientUrls: [] };
    await assert.rejects(claimMember(nobody, claim), { code: 'Refused', definite: true });
  });
});
