import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kabukiPath, ProcessCluster } from '../harness/process-cluster.js';
import { type Outcome, run } from '../harness/program.js';

describe('the backup of a Kubernetes cluster', function () {
  this.timeout(240_000);
  let folder: string;
  let cluster: ProcessCluster;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-cluster-backup-'));
    cluster = await ProcessCluster.up({ masters: 1, workers: 1 });
  });
  after(async () => {
    await cluster?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const snapshot = (...args: string[]): Promise<Outcome> =>
    run(process.execPath, [kabukiPath, 'store', 'snapshot', ...args]);

  it('becomes a cluster with the same objects and credentials, whose resource versions are later', async () => {
    const { kubectl, dir } = cluster;
    await kubectl.run('create', 'configmap', 'kept', '--from-literal=a=1');
    const saved = join(folder, 'cluster.db');
    const made = await snapshot('save', saved, '--data-dir', dir.path);
    assert.match(made.stdout, /from master-1/, made.stderr);
    const versionOf = async (of: ProcessCluster, name: string) =>
      Number(await of.kubectl.run('get', 'configmap', name, '-o', 'jsonpath={.metadata.resourceVersion}'));
    const before = await versionOf(cluster, 'kept');
    await kubectl.run('create', 'configmap', 'lost', '--from-literal=a=1');
    await cluster.kabuki('down');

    const dataDir = join(folder, 'restored');
    const both = await snapshot(
      'restore',
      saved,
      '--data-dir',
      dataDir,
      '--cluster',
      dir.path,
      '--members',
      '1',
    );
    assert.match(both.stderr, /with --cluster members and addresses are those of that cluster/);
    const restored = await snapshot('restore', saved, '--data-dir', dataDir, '--cluster', dir.path);
    assert.match(restored.stdout, /start it with: kabuki up --data-dir/, restored.stderr);
    const again = await ProcessCluster.up({ dataDir });
    try {
      assert.equal(await versionOf(again, 'kept'), before, 'an object that is not written keeps its version');
      assert.match((await again.kubectl.try('get', 'configmap', 'lost')).stderr, /NotFound/);
      await again.kubectl.run('create', 'configmap', 'new', '--from-literal=a=1');
      assert((await versionOf(again, 'new')) > 1_000_000_000);
      assert.match(await again.kubectl.run('get', 'nodes'), /master-1 +Ready[^]*worker-1 +Ready/);
    } finally {
      await again.stop();
    }
  });
});
