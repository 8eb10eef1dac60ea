/** Step `pods`: a Deployment of many real processes, all Running, then none, and no process left over. */
import type { Api } from './api.js';
import { endCrowd, startCrowd } from './crowd.js';
import { type Stage, withApi } from './stage.js';

const wanted = 300;

export async function podsStep(stage: Stage): Promise<undefined> {
  const fits = await withApi(stage, 1, room);
  const replicas = Math.min(wanted, fits);
  if (replicas < wanted)
    stage.say(`the workers have room for ${fits} pods, not ${wanted}: ${replicas} it is`);
  const begun = performance.now();
  await startCrowd(stage, replicas);
  const started = performance.now();
  stage.say(`${replicas} pods Ready after ${((started - begun) / 1000).toFixed(1)} s`);
  await endCrowd(stage);
  stage.say(`gone ${((performance.now() - started) / 1000).toFixed(1)} s after the scale to 0`);
  return undefined;
}

/** Pods that the nodes without a taint take, beyond those that they have. */
async function room(api: Api): Promise<number> {
  interface Nodes {
    readonly items: readonly {
      readonly metadata: { readonly name: string };
      readonly spec: { readonly taints?: readonly { readonly effect: string }[] };
      readonly status: { readonly allocatable: { readonly pods: string } };
    }[];
  }
  const { items } = await api.expect<Nodes>(200, 'GET', '/api/v1/nodes');
  const there = await api.expect<{ items: { spec: { nodeName?: string } }[] }>(200, 'GET', '/api/v1/pods');
  const free = items
    .filter(({ spec }) => !(spec.taints ?? []).some(({ effect }) => effect === 'NoSchedule'))
    .map(({ metadata, status }) => {
      const own = there.items.filter(({ spec }) => spec.nodeName === metadata.name).length;
      return Number(status.allocatable.pods) - own;
    });
  return free.reduce((sum, each) => sum + each, 0);
}
