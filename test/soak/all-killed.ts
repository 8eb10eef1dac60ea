/**
 * Step `all-killed`: every process is killed in one moment while clients write and pods run. What was acknowledged is there
 * again, and of each pod one process: none is left over from before.
 */
import { strict as assert } from 'node:assert';
import { waitFor } from '../../deploy/wait.js';
import { noneAlive } from '../harness/process-cluster.js';
import { inParallel } from './api.js';
import { crowdRuns, endCrowd, startCrowd } from './crowd.js';
import { type Stage, withApi } from './stage.js';

const path = '/api/v1/namespaces/default/configmaps';
const label = { soak: 'all-killed' };
const selector = 'labelSelector=soak%3Dall-killed';
const objects = 3_000;
const killAfterWrites = 400;
const replicas = 20;

interface ConfigMap {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string };
  readonly data: { readonly text: string };
}

export async function allKilledStep(stage: Stage): Promise<undefined> {
  const { cluster, say } = stage;
  await startCrowd(stage, replicas);
  const pids = await cluster.pids();
  const acknowledged = new Map<string, ConfigMap>();
  let killed = false;
  await withApi(stage, 4, async (api) => {
    const writing = inParallel(objects, 16, async (i) => {
      if (killed) return;
      const body = { metadata: { name: `killed-${i}`, labels: label }, data: { text: `number ${i}` } };
      const answer = await api.call('POST', path, body, 5_000).catch(() => undefined);
      if (answer?.status !== 201) return;
      const made = JSON.parse(answer.body) as ConfigMap;
      acknowledged.set(made.metadata.name, made);
    });
    await waitFor('some writes', 30_000, async () => acknowledged.size >= killAfterWrites, 1);
    killed = true;
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await writing;
  });
  await noneAlive(pids);
  const begun = performance.now();
  await cluster.restart();
  await cluster.allReady(60_000);
  say(
    `killed ${pids.length} processes; ready again after ${((performance.now() - begun) / 1000).toFixed(1)} s`,
  );
  for (const machine of cluster.spec.machines.filter(({ role }) => role === 'master')) {
    await withApi(
      stage,
      1,
      async (api) => {
        const { items } = await api.expect<{ items: ConfigMap[] }>(200, 'GET', `${path}?${selector}`);
        const there = new Map(items.map((item) => [item.metadata.name, item]));
        const lost = [...acknowledged].filter(([name, made]) => !same(there.get(name), made));
        assert.deepEqual(
          lost.map(([name]) => name),
          [],
          `acknowledged writes that ${machine.name} does not have`,
        );
      },
      machine.httpsPort,
    );
  }
  say(`${acknowledged.size} acknowledged writes, all of them on every master`);
  await crowdRuns(stage, replicas);
  say(`${replicas} pods run again, each with one process`);
  await endCrowd(stage);
  await withApi(stage, 1, (api) => api.expect(200, 'DELETE', `${path}?${selector}`, undefined, 60_000));
  return undefined;
}

function same(a: ConfigMap | undefined, b: ConfigMap): boolean {
  return (
    a !== undefined &&
    a.metadata.uid === b.metadata.uid &&
    a.metadata.resourceVersion === b.metadata.resourceVersion &&
    a.data.text === b.data.text
  );
}
