import { strict as assert } from 'node:assert';
import { isInstalled, startStoreAlone, type StoreAlone } from '../../harness/store-alone.js';

describe('etcdctl against a store without room', function () {
  this.timeout(60_000);
  let store: StoreAlone | undefined;
  before(async function () {
    if (!isInstalled('etcdctl', 'version')) return this.skip();
    store = await startStoreAlone({ members: 1, args: ['--quota-backend-bytes=3000000'] });
  });
  after(() => store?.remove());

  it('is told, sees the alarm, deletes, compacts, disarms and goes on', async () => {
    const { etcdctl, tryEtcdctl } = store!;
    const value = 'x'.repeat(900_000);
    for (const key of ['k1', 'k2', 'k3'])
      assert.equal((await tryEtcdctl(['put', key], value)).stdout, 'OK\n');
    const full = /Error: etcdserver: mvcc: database space exceeded/;
    const refused = await tryEtcdctl(['put', 'k4'], value);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, full);
    assert.match((await tryEtcdctl(['put', 'small', '1'])).stderr, full);
    const [, id = ''] = /^memberID:(\d+) alarm:NOSPACE \n$/.exec(await etcdctl('alarm', 'list')) ?? [];
    assert.notEqual(id, '');
    assert.match(await etcdctl('endpoint', 'status'), new RegExp(`, memberID:${id} alarm:NOSPACE \\n$`));
    assert.equal(await etcdctl('get', 'k1', '--keys-only'), 'k1\n\n');
    assert.equal(await etcdctl('del', 'k', '--prefix'), '3\n');
    const { header } = JSON.parse(await etcdctl('get', 'x', '-w=json')) as { header: { revision: number } };
    await etcdctl('compaction', String(header.revision));
    assert.match((await tryEtcdctl(['put', 'small', '1'])).stderr, full);
    assert.equal(await etcdctl('alarm', 'disarm'), `memberID:${id} alarm:NOSPACE \n`);
    assert.equal(await etcdctl('put', 'small', '1'), 'OK\n');
    assert.match(await etcdctl('endpoint', 'status'), /, \n$/);
  });
});
