import { strict as assert } from 'node:assert';
import { waitFor } from '../../../deploy/wait.js';
import { kabukiPath } from '../../harness/process-cluster.js';
import { output } from '../../harness/program.js';
import { testedStore } from './tested-store.js';

describe('etcdctl against the store alone: the leader is killed', function () {
  this.timeout(120_000);
  const tested = testedStore();

  it('every put that was acknowledged is there, watched once and in order, and the member comes back', async () => {
    const watch = tested.store.startEtcdctl('watch', 'k/', '--prefix', '--rev=1');
    const acknowledged: string[] = [];
    const put = async (i: number) => {
      const key = `k/${String(i).padStart(3, '0')}`;
      // What fails has an unknown outcome: it is not tried again.
      if ((await tested.store.tryEtcdctl(['put', key, ''])).stdout === 'OK\n') acknowledged.push(key);
    };
    const fault = (...args: string[]) =>
      output(process.execPath, [kabukiPath, 'fault', ...args, '--data-dir', tested.store.dataDir]);
    let killed: string | undefined;
    for (let i = 0; i < 40; i += 1) {
      if (i === 15) killed = /^(store-\d): kill done/.exec(await fault('kill', 'leader'))?.[1];
      await put(i);
    }
    assert.ok(
      killed !== undefined && acknowledged.length >= 30,
      `${acknowledged.length} of 40 puts went well`,
    );
    await fault('start', killed);
    await put(40);
    const last = acknowledged.at(-1) as string;
    const all = (await tested.store.etcdctl('get', 'k/', '--prefix', '--keys-only')).trim().split('\n\n');
    assert.deepEqual(
      acknowledged.filter((key) => !all.includes(key)),
      [],
    );
    await waitFor('the watch to see the last put', 10_000, async () => watch.stdout.includes(last));
    const seen = watch.stdout.match(/k\/\d+/g) ?? [];
    watch.process.kill();
    assert.deepEqual(seen, all);
    await waitFor('all members to be healthy', 20_000, async () => {
      return (await tested.store.tryEtcdctl(['endpoint', 'health'])).code === 0;
    });
  });
});
