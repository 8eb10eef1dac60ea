/**
 * Step `full-folder`: all machines of a cluster share one small disk with their logs and journals, and it fills up. The
 * masters end and say why; a start on the full disk fails and says why; with room again everything acknowledged is there.
 */
import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../../deploy/wait.js';
import { ProcessCluster } from '../harness/process-cluster.js';
import { inParallel } from './api.js';
import { canMount, SmallDisk } from './small-disk.js';
import { type Stage, withApi } from './stage.js';

const path = '/api/v1/namespaces/default/configmaps';
const text = 'x'.repeat(16 * 1024);
const writesBefore = 100;
const writesMax = 400;
const roomKiB = 1024;

export async function fullFolderStep(stage: Stage): Promise<string | undefined> {
  if (!canMount) return 'only root can mount a small disk';
  const folder = mkdtempSync(join(tmpdir(), 'kabuki-soak-disk-'));
  const dataDir = join(folder, 'disk');
  mkdirSync(dataDir);
  const disk = await SmallDisk.over(dataDir);
  let cluster: ProcessCluster | undefined;
  try {
    cluster = await ProcessCluster.up({ masters: 3, workers: 2, dataDir });
    await fill({ ...stage, cluster }, disk);
  } finally {
    disk.makeRoom();
    await cluster?.stop();
    await disk.remove();
    rmSync(folder, { recursive: true });
  }
  return undefined;
}

async function fill(stage: Stage, disk: SmallDisk): Promise<void> {
  const { cluster, say } = stage;
  const acknowledged = new Set<string>();
  await withApi(stage, 4, async (api) => {
    const write = async (i: number) => {
      const name = `full-${i}`;
      const answer = await api
        .call('POST', path, { metadata: { name }, data: { text } }, 3_000)
        .catch(() => undefined);
      if (answer?.status === 201) acknowledged.add(name);
    };
    await inParallel(writesBefore, 4, write);
    assert.equal(acknowledged.size, writesBefore, 'writes while there is room');
    await disk.fill(roomKiB);
    await inParallel(writesMax, 4, (i) => write(writesBefore + i));
  });
  const failed = await waitForMasters(stage);
  say(`${acknowledged.size} writes acknowledged, then all masters ended: ${failed}`);
  await cluster.kabukiOutput('down');
  const refused = await cluster.kabuki('up', '--detach');
  assert.notEqual(refused.code, 0, 'a start on a full disk');
  const why = refused.stderr.trim().split('\n').at(-1) ?? '';
  assert.match(refused.stderr, /ENOSPC/, 'a start on a full disk says why it fails');
  say(`started on the full disk: ${why}`);
  disk.makeRoom();
  await cluster.restart();
  const { items } = await withApi(stage, 1, (api) =>
    api.expect<{ items: { metadata: { name: string } }[] }>(200, 'GET', path),
  );
  const names = new Set(items.map(({ metadata }) => metadata.name));
  assert.deepEqual(
    [...acknowledged].filter((name) => !names.has(name)),
    [],
    'acknowledged writes that are lost',
  );
  say('with room again everything is there');
}

async function waitForMasters({ cluster }: Stage): Promise<string> {
  const masters = async () => (await cluster.machines()).filter(({ role }) => role === 'master');
  await waitFor('all masters to end', 60_000, async () =>
    (await masters()).every(({ state }) => state === 'exited'),
  );
  for (const { name, failure = '' } of await masters()) {
    assert.match(failure, /ENOSPC/, `${name} ended without saying that its disk is full`);
  }
  return (await masters())[0]?.failure ?? '';
}
