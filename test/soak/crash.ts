/** Step `crash`: the scheduler crashes until its supervisor gives up; another master's takes over and schedules. */
import { waitFor } from '../../deploy/wait.js';
import type { Stage } from './stage.js';

const component = 'kube-scheduler';
/** Under its supervisor, of the same name, under the elector. */
const actor = `/${component}/scheduler/scheduler`;
const crashesMax = 60;

export async function crashStep({ cluster, say }: Stage): Promise<undefined> {
  const { kubectl } = cluster;
  const before = await cluster.leaseHolder(component);
  const begun = performance.now();
  let crashes = 0;
  await waitFor(
    'another master to lead the scheduler',
    60_000,
    async () => {
      if (crashes < crashesMax && (await crashOnce(cluster, before))) crashes += 1;
      return (await cluster.leaseHolder(component)) !== before;
    },
    20,
  );
  const after = await cluster.leaseHolder(component);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  say(`${crashes} crashes on ${before}; ${after} leads after ${seconds} s`);
  await kubectl.run('create', 'deployment', 'after-crash', '--image=nginx:1', '--replicas=3');
  await kubectl.run('rollout', 'status', 'deployment/after-crash', '--timeout=60s');
  await kubectl.run('delete', 'deployment', 'after-crash');
  return undefined;
}

/** False: the actor is not there at the moment, or is being restarted. */
async function crashOnce(cluster: Stage['cluster'], machine: string): Promise<boolean> {
  const outcome = await cluster.kabuki('fault', 'crash', machine, actor);
  if (outcome.code === 0) return true;
  if (!outcome.stderr.includes(`there is no actor ${actor}`)) throw new Error(outcome.stderr);
  return false;
}
