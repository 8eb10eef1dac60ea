import { strict as assert } from 'node:assert';
import { testedStore } from './tested-store.js';

describe('etcdctl against the store alone: watches', function () {
  this.timeout(120_000);
  const tested = testedStore();
  const { etcdctl, start, printed } = tested;
  const revisionOf = async (...args: string[]) =>
    JSON.parse(await etcdctl(...args, '-w', 'json')).header.revision as number;
  const watch = (...args: string[]) => start('watch', ...args);

  it('from a revision on: what was before and what comes, with what was replaced', async () => {
    const first = await revisionOf('put', 'w/a', '1');
    await etcdctl('put', 'w/a', '2');
    const all = watch('w/', '--prefix', '--prev-kv', `--rev=${first}`);
    await printed(all, 'PUT\nw/a\n1\nPUT\nw/a\n1\nw/a\n2\n');
    await etcdctl('del', 'w/a');
    await printed(all, 'DELETE\nw/a\n2\nw/a\n\n');
  });

  it('of a range sees the keys of the range only', async () => {
    const from = await revisionOf('put', 'range/z', '');
    const range = watch('range/b', 'range/d', `--rev=${from}`);
    for (const key of ['a', 'b', 'c', 'd']) await etcdctl('put', `range/${key}`, key);
    await printed(range, 'range/c');
    assert.equal(range.stdout, 'PUT\nrange/b\nb\nPUT\nrange/c\nc\n');
  });

  it('from a revision that is compacted away is told so', async () => {
    await etcdctl('put', 'old', '1');
    const at = await revisionOf('put', 'old', '2');
    await etcdctl('compaction', String(at));
    const late = await tested.store.tryEtcdctl(['watch', 'old', '--rev=1']);
    assert.match(late.stderr, /required revision has been compacted/);
    assert.notEqual(late.code, 0);
  });
});
