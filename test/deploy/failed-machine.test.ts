import { strict as assert } from 'node:assert';
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../../deploy/wait.js';
import { ProcessCluster } from '../harness/process-cluster.js';

describe('a machine whose disk fails', function () {
  this.timeout(120_000);
  let cluster: ProcessCluster;
  before(async () => {
    cluster = await ProcessCluster.up({ masters: 1, workers: 0 });
  });
  after(() => cluster.stop());

  it('says why it ended through its launcher, also when its log cannot be written, and runs again later', async () => {
    const folder = cluster.dir.machineDir('master-1');
    const at = (name: string) => join(folder, name);
    await cluster.kabukiOutput('fault', 'kill', 'master-1');
    // It is to look as if it had never run: one whose log is gone does not even try to write.
    const aside = ['store', 'store.has-run', 'log'];
    for (const name of aside) renameSync(at(name), at(`${name}-kept`));
    // Every write to this device fails for want of space.
    symlinkSync('/dev/full', at('log'));
    mkdirSync(at('store'));
    symlinkSync('/dev/full', join(at('store'), 'wal-000000000001.log.tmp'));

    const started = await cluster.kabuki('fault', 'start', 'master-1');
    const why = /wal-000000000001\.log\.tmp: cannot truncate: EINVAL/;
    if (started.code !== 0) assert.match(started.stderr, why);
    await waitFor(
      'the machine to end',
      30_000,
      async () => (await cluster.machines())[0]?.state === 'exited',
    );
    assert.match(await cluster.kabukiOutput('status'), why);

    for (const name of aside) {
      rmSync(at(name), { recursive: true, force: true });
      renameSync(at(`${name}-kept`), at(name));
    }
    await cluster.kabukiOutput('fault', 'start', 'master-1');
    await cluster.allReady();
    assert.doesNotMatch(await cluster.kabukiOutput('status'), why);
  });
});
