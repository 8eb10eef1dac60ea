/**
 * Step `full-disk`: the disk under the store of a master fills up, first a follower's and then the leader's. That member
 * ends and says why, the others go on, nothing that was acknowledged is lost, and with room again it catches up. The disk
 * is a tmpfs, so this needs root; a ballast file decides how much room there is.
 */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { waitFor } from '../../deploy/wait.js';
import { noneAlive } from '../harness/process-cluster.js';
import { type Api, inParallel } from './api.js';
import { type Stage, startMachine, withApi } from './stage.js';
import { canMount, SmallDisk } from './small-disk.js';

const roomMiB = 3;
const writeBytes = 64 * 1024;
const path = '/api/v1/namespaces/default/configmaps';
const selector = 'labelSelector=soak%3Dfull-disk';

export async function fullDiskStep(stage: Stage): Promise<string | undefined> {
  if (!canMount) return 'only root can mount a small disk';
  const acknowledged = new Set<string>();
  const leader = await stage.cluster.storeLeader();
  const follower = stage.cluster.spec.machines.find(({ role, name }) => role === 'master' && name !== leader);
  await fillDiskOf(stage, (follower as { name: string }).name, 'follower', acknowledged);
  await fillDiskOf(stage, await stage.cluster.storeLeader(), 'leader', acknowledged);
  await withApi(stage, 1, (api) => api.expect(200, 'DELETE', `${path}?${selector}`, undefined, 60_000));
  return undefined;
}

async function fillDiskOf(
  stage: Stage,
  machine: string,
  role: 'leader' | 'follower',
  acknowledged: Set<string>,
): Promise<void> {
  const { cluster, say } = stage;
  await cluster.kabukiOutput('fault', 'kill', machine);
  const disk = await SmallDisk.over(join(cluster.dir.machineDir(machine), 'store'));
  try {
    await startMachine(cluster, machine);
    await cluster.allReady(30_000);
    if (role === 'leader') await lead(stage, machine);
    const pid = await cluster.pidOf(machine);
    await disk.fill(roomMiB * 1024);
    await writeUntilEnded(stage, machine, acknowledged);
    await noneAlive([pid]);
    const reason = (await cluster.machines()).find(({ name }) => name === machine)?.failure ?? '';
    assert.match(reason, /ENOSPC/, `${machine} ended without saying that its disk is full`);
    say(`${role} ${machine} ended: ${reason}`);
    await present(stage, acknowledged);
    disk.makeRoom();
    await startMachine(cluster, machine);
    await caughtUp(stage, machine, acknowledged);
    say(`${machine} caught up; ${acknowledged.size} acknowledged writes, all there`);
  } finally {
    await cluster.kabukiOutput('fault', 'kill', machine);
    await disk.remove();
    await startMachine(cluster, machine);
  }
  await cluster.allReady(60_000);
}

async function lead({ cluster }: Stage, machine: string): Promise<void> {
  await waitFor(`${machine} to lead the store`, 30_000, async () => {
    const leader = await cluster.storeLeader();
    if (leader !== machine) await cluster.control(leader, 'store.transfer', { to: machine });
    return (await cluster.storeLeader()) === machine;
  });
}

/** Writes while the disk fills up and for a little longer: the others must go on. */
async function writeUntilEnded(stage: Stage, machine: string, acknowledged: Set<string>): Promise<void> {
  const { cluster, say } = stage;
  const writesMax = Math.ceil(((roomMiB + 8) << 20) / writeBytes);
  const first = acknowledged.size;
  const text = 'x'.repeat(writeBytes);
  let ended = false;
  let afterwards = 0;
  const watched = waitFor(`${machine} to end`, 60_000, async () => {
    const status = (await cluster.machines()).find(({ name }) => name === machine);
    return (ended = status?.state === 'exited');
  });
  const others = cluster.spec.machines.filter(({ role, name }) => role === 'master' && name !== machine);
  await withApi(
    stage,
    2,
    async (api) => {
      await inParallel(writesMax, 4, async (i) => {
        if (ended && afterwards >= 20) return;
        const name = `full-${first}-${i}`;
        const metadata = { name, labels: { soak: 'full-disk' } };
        const answer = await api.call('POST', path, { metadata, data: { text } }).catch(() => undefined);
        if (answer?.status !== 201) return;
        acknowledged.add(name);
        if (ended) afterwards += 1;
      });
    },
    others[0]?.httpsPort,
  );
  await watched;
  say(
    `${acknowledged.size - first} writes of ${writeBytes >> 10} KiB acknowledged, ${afterwards} after its end`,
  );
  await withApi(
    stage,
    1,
    (api) =>
      waitFor('a write by the others', 15_000, async () => {
        const name = `full-after-${first}-${Date.now()}`;
        await api.expect(201, 'POST', path, { metadata: { name, labels: { soak: 'full-disk' } } });
        return acknowledged.add(name).has(name);
      }),
    others[1]?.httpsPort,
  );
}

async function present(stage: Stage, acknowledged: ReadonlySet<string>, port?: number): Promise<void> {
  await withApi(
    stage,
    1,
    async (api) => {
      // A node may be Ready before the apiserver of its machine has read the store.
      await waitFor('its apiserver', 30_000, async () => (await api.call('GET', '/readyz')).status === 200);
      const names = await listed(api);
      assert.deepEqual(
        [...acknowledged].filter((name) => !names.has(name)),
        [],
        'acknowledged writes that are lost',
      );
    },
    port,
  );
}

async function listed(api: Api): Promise<Set<string>> {
  const accepted = await api.expect<{ items: { metadata: { name: string } }[] }>(
    200,
    'GET',
    `${path}?${selector}`,
    undefined,
    30_000,
  );
  return new Set(accepted.items.map(({ metadata }) => metadata.name));
}

async function caughtUp(stage: Stage, machine: string, acknowledged: ReadonlySet<string>): Promise<void> {
  const { cluster } = stage;
  const applied = async (name: string) =>
    (await cluster.control<{ store: { appliedIndex: number } }>(name, 'status')).store.appliedIndex;
  const goal = await applied(await cluster.storeLeader());
  await waitFor(`${machine} to catch up`, 60_000, async () => {
    const status = (await cluster.machines()).find(({ name }) => name === machine);
    // What it said last is more than that nobody answers.
    if (status?.state === 'exited') throw new Error(`it ended again: ${status.failure}`);
    return (await applied(machine)) >= goal;
  });
  await cluster.allReady(60_000);
  await present(stage, acknowledged, cluster.spec.machines.find(({ name }) => name === machine)?.httpsPort);
}
