import { strict as assert } from 'node:assert';
import { testedStore } from './tested-store.js';

describe('etcdctl against the store alone: keys', function () {
  this.timeout(120_000);
  const tested = testedStore();
  const { etcdctl, refusal } = tested;
  const json = async (...args: string[]) => JSON.parse(await etcdctl(...args, '-w', 'json'));

  it('put and get: a value, its previous one, what is written by which revision', async () => {
    assert.equal(await etcdctl('put', 'kv/a', '1'), 'OK\n');
    assert.equal(await etcdctl('put', 'kv/a', '2', '--prev-kv'), 'OK\nkv/a\n1\n');
    assert.equal(await etcdctl('get', 'kv/a'), 'kv/a\n2\n');
    assert.equal(await etcdctl('get', 'kv/a', '--print-value-only'), '2\n');
    const { header, kvs, count } = await json('get', 'kv/a');
    assert.equal(count, 1);
    assert.equal(kvs[0].version, 2);
    assert.equal(kvs[0].create_revision, kvs[0].mod_revision - 1);
    assert.equal(header.revision, kvs[0].mod_revision);
    assert.equal(await etcdctl('get', 'kv/a', `--rev=${kvs[0].create_revision}`), 'kv/a\n1\n');
    assert.equal(
      await refusal('get', 'kv/a', '--rev=1000000'),
      'Error: etcdserver: mvcc: required revision is a future revision',
    );
  });

  it('put with --ignore-value and --ignore-lease', async () => {
    await etcdctl('put', 'ignore', 'kept');
    assert.equal(await etcdctl('put', 'ignore', '--ignore-value'), 'OK\n');
    assert.equal(await etcdctl('get', 'ignore', '--print-value-only'), 'kept\n');
    assert.equal(await etcdctl('put', 'ignore', 'new', '--ignore-lease'), 'OK\n');
    assert.equal(await etcdctl('get', 'ignore', '--print-value-only'), 'new\n');
    assert.equal(await refusal('put', 'nobody', '--ignore-value'), 'Error: etcdserver: key not found');
    assert.equal(
      await refusal('put', 'ignore', 'x', '--lease=7b'),
      'Error: etcdserver: requested lease not found',
    );
  });

  it('get with every flag: ranges, prefixes, limits, orders, keys only, counts, consistency', async () => {
    for (const [key, value] of [
      ['r/a', '3'],
      ['r/b', '1'],
      ['r/c', '2'],
      ['r/b', '9'],
    ] as const)
      await etcdctl('put', key, value);
    assert.equal(await etcdctl('get', 'r/', '--prefix', '--keys-only'), 'r/a\n\nr/b\n\nr/c\n\n');
    assert.equal(await etcdctl('get', 'r/a', 'r/c', '--print-value-only'), '3\n9\n');
    assert.equal(await etcdctl('get', 'r/b', '--from-key', '--limit=2', '--print-value-only'), '9\n2\n');
    assert.equal((await json('get', 'r/', '--prefix', '--limit=1')).more, true);
    assert.equal((await json('get', 'r/', '--prefix', '--limit=1')).count, 3);
    const sorted = (by: string, order: string) =>
      etcdctl('get', 'r/', '--prefix', '--print-value-only', `--sort-by=${by}`, `--order=${order}`);
    assert.equal(await sorted('VALUE', 'ASCEND'), '2\n3\n9\n');
    assert.equal(await sorted('MODIFY', 'DESCEND'), '9\n2\n3\n');
    assert.equal(await sorted('CREATE', 'DESCEND'), '2\n9\n3\n');
    assert.equal(await sorted('VERSION', 'DESCEND'), '9\n3\n2\n');
    assert.equal(await sorted('KEY', 'DESCEND'), '2\n9\n3\n');
    assert.equal(await etcdctl('get', 'r/a', '--consistency=s'), 'r/a\n3\n');
    assert.equal(await etcdctl('get', 'r/nothing'), '');
  });

  it('keys and values are bytes', async () => {
    await etcdctl('put', 'bytes/é\n', 'wörter ☃');
    const { kvs } = await json('get', 'bytes/', '--prefix');
    assert.equal(Buffer.from(kvs[0].key, 'base64').toString(), 'bytes/é\n');
    assert.equal(Buffer.from(kvs[0].value, 'base64').toString(), 'wörter ☃');
  });

  it('a value of 1 MiB passes, one of 3 MiB is refused', async () => {
    const big = 'v'.repeat(1024 * 1024);
    assert.equal((await tested.store.tryEtcdctl(['put', 'big'], big)).stdout, 'OK\n');
    const { kvs } = await json('get', 'big');
    assert.equal(Buffer.from(kvs[0].value, 'base64').length, big.length);
    const refused = await tested.store.tryEtcdctl(['put', 'big'], 'v'.repeat(3 * 1024 * 1024));
    assert.notEqual(refused.code, 0);
    // Its client refuses more than 2 MiB by itself.
    assert.match(refused.stderr, /trying to send message larger than max|request is too large/);
    const between = await tested.store.tryEtcdctl(['put', 'big'], 'v'.repeat(1700 * 1024));
    assert.match(between.stderr, /Error: etcdserver: request is too large/);
  });

  it('del: one key, a range, a prefix, with what was there', async () => {
    for (const key of ['d/a', 'd/b', 'd/c', 'd/d']) await etcdctl('put', key, key);
    assert.equal(await etcdctl('del', 'd/a', '--prev-kv'), '1\nd/a\nd/a\n');
    assert.equal(await etcdctl('del', 'd/a'), '0\n');
    assert.equal(await etcdctl('del', 'd/b', 'd/d'), '2\n');
    assert.equal(await etcdctl('del', 'd/', '--prefix'), '1\n');
    const before = (await json('get', 'd/a')).header.revision;
    await etcdctl('del', 'd/', '--prefix');
    assert.equal((await json('get', 'd/a')).header.revision, before);
  });

  it('txn: compares of every kind choose the branch', async () => {
    await etcdctl('put', 't', 'v');
    const script = (compares: string) =>
      tested.store.tryEtcdctl(
        ['txn'],
        `${compares}\n\nput t/yes 1\nget t\n\nput t/no 1\ndel t --prev-kv\n\n`,
      );
    const yes = await script(
      'val("t") = "v"\nver("t") = "1"\nmod("t") > "0"\nc("t") < "100000"\nmod("none") = "0"',
    );
    assert.equal(yes.stdout, 'SUCCESS\n\nOK\n\nt\nv\n', yes.stderr);
    const no = await script('val("t") = "other"');
    assert.equal(no.stdout, 'FAILURE\n\nOK\n\n1\nt\nv\n', no.stderr);
    const twice = await tested.store.tryEtcdctl(['txn'], '\nput t/x 1\nput t/x 2\n\n\n');
    assert.match(twice.stderr, /Error: etcdserver: duplicate key given in txn request/);
  });

  it('compaction takes old revisions away', async () => {
    await etcdctl('put', 'c', '1');
    const old = (await json('put', 'c', '2')).header.revision;
    await etcdctl('put', 'c', '3');
    const now = (await json('get', 'c')).header.revision;
    assert.equal(await etcdctl('compaction', String(now)), `compacted revision ${now}\n`);
    assert.equal(
      await refusal('get', 'c', `--rev=${old}`),
      'Error: etcdserver: mvcc: required revision has been compacted',
    );
    assert.equal(await etcdctl('get', 'c', `--rev=${now}`), 'c\n3\n');
    const later = (await json('put', 'c', '4')).header.revision;
    assert.equal(await etcdctl('compaction', '--physical', String(later)), `compacted revision ${later}\n`);
    assert.equal(
      await refusal('compaction', String(now)),
      'Error: etcdserver: mvcc: required revision has been compacted',
    );
    assert.equal(
      await refusal('compaction', String(now + 1000)),
      'Error: etcdserver: mvcc: required revision is a future revision',
    );
  });
});
