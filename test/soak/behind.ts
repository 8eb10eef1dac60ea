/**
 * Step `behind`: while a master is down, large objects are written and written again, so that the others' logs no longer
 * reach back to it. Started again, it is sent a snapshot and catches up.
 */
import { waitFor } from '../../deploy/wait.js';
import { inParallel } from './api.js';
import { type Stage, startMachine, withApi } from './stage.js';

const path = '/api/v1/namespaces/default/configmaps';
const text = 'x'.repeat(900 * 1024);
const objects = 20;
const updates = 80;

export async function behindStep(stage: Stage): Promise<undefined> {
  const { cluster, say } = stage;
  const leader = await cluster.storeLeader();
  const machine = cluster.spec.machines.find(({ role, name }) => role === 'master' && name !== leader);
  const { name, httpsPort } = machine as { name: string; httpsPort: number };
  await cluster.kabukiOutput('fault', 'kill', name);
  const begun = performance.now();
  await withApi(stage, 4, async (api) => {
    await inParallel(objects, 4, (i) =>
      api.expect(201, 'POST', path, { metadata: { name: `large-${i}` }, data: { text } }),
    );
    await inParallel(updates, 4, (i) => {
      const body = { metadata: { name: `large-${i % objects}` }, data: { text, update: String(i) } };
      return api.expect(200, 'PUT', `${path}/large-${i % objects}`, body);
    });
  });
  const seconds = (performance.now() - begun) / 1000;
  const mib = ((objects + updates) * text.length) / (1 << 20);
  say(`${mib.toFixed(0)} MiB written without ${name}, ${(mib / seconds).toFixed(0)} MiB/s`);
  const started = performance.now();
  await startMachine(cluster, name);
  const applied = async (of: string) =>
    (await cluster.control<{ store: { appliedIndex: number } }>(of, 'status')).store.appliedIndex;
  const goal = await applied(await cluster.storeLeader());
  await waitFor(`${name} to catch up`, 120_000, async () => (await applied(name)) >= goal);
  await cluster.allReady(60_000);
  await withApi(
    stage,
    1,
    (api) =>
      waitFor('what was written meanwhile', 30_000, async () => {
        await api.expect(200, 'GET', `${path}/large-${objects - 1}`);
        return true;
      }),
    httpsPort,
  );
  say(`${name} caught up ${((performance.now() - started) / 1000).toFixed(1)} s after its start`);
  await withApi(stage, 1, (api) =>
    inParallel(objects, 1, (i) => api.expect(200, 'DELETE', `${path}/large-${i}`)),
  );
  return undefined;
}
