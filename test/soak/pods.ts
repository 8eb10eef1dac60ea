/** Step `pods`: a Deployment of many real processes, all Running, then none, and no process left over. */
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { waitFor } from '../../deploy/wait.js';
import type { Api } from './api.js';
import { type Stage, withApi } from './stage.js';

const name = 'crowd';
const path = '/api/v1/namespaces/default/pods?labelSelector=app%3Dcrowd';
const deployment = `/apis/apps/v1/namespaces/default/deployments/${name}`;
const wanted = 300;
/** Named on the command line of each container, so that they can be counted. */
const sleepSeconds = 3_671;
const runTimeoutMs = 180_000;

interface Pods {
  readonly items: readonly {
    readonly spec: { readonly nodeName?: string };
    readonly status: { readonly phase: string };
  }[];
}

export function podsStep(stage: Stage): Promise<undefined> {
  return withApi(stage, 2, async (api) => {
    const fits = await room(api);
    const replicas = Math.min(wanted, fits);
    if (replicas < wanted)
      stage.say(`the nodes have room for ${fits} pods, not ${wanted}: ${replicas} it is`);
    assert.equal(processes().length, 0, 'processes of an earlier run');
    const begun = performance.now();
    await api.expect(201, 'POST', '/apis/apps/v1/namespaces/default/deployments', manifest(replicas));
    const since = () => ((performance.now() - begun) / 1000).toFixed(1);
    await running(stage, api, replicas);
    stage.say(`${replicas} pods Running after ${since()} s`);
    assert.equal(processes().length, replicas, 'processes of the containers');
    await scale(api, 0);
    const scaled = performance.now();
    await waitFor('all pods to be gone', 120_000, async () => (await pods(api)).length === 0, 250);
    stage.say(`gone ${((performance.now() - scaled) / 1000).toFixed(1)} s after the scale to 0`);
    assert.equal(processes().length, 0, 'processes left over');
    await api.expect(200, 'DELETE', deployment);
    return undefined;
  });
}

async function running(stage: Stage, api: Api, replicas: number): Promise<void> {
  try {
    await waitFor(
      `${replicas} pods to run`,
      runTimeoutMs,
      async () => {
        const items = await pods(api);
        return items.length === replicas && items.every(({ status }) => status.phase === 'Running');
      },
      250,
    );
  } catch (error) {
    const phases = new Map<string, number>();
    for (const { spec, status } of await pods(api)) {
      const key = `${status.phase} on ${spec.nodeName ?? 'no node'}`;
      phases.set(key, (phases.get(key) ?? 0) + 1);
    }
    stage.say(`pods: ${[...phases].map(([key, count]) => `${count} ${key}`).join(', ')}`);
    throw error;
  }
}

async function pods(api: Api): Promise<Pods['items']> {
  return (await api.expect<Pods>(200, 'GET', path)).items;
}

async function scale(api: Api, replicas: number): Promise<void> {
  const subresource = `${deployment}/scale`;
  const current = await api.expect<object>(200, 'GET', subresource);
  await api.expect(200, 'PUT', subresource, { ...current, spec: { replicas } });
}

/** Pods that the schedulable nodes take beyond those that they have. */
async function room(api: Api): Promise<number> {
  interface Nodes {
    readonly items: readonly {
      readonly spec: { readonly taints?: readonly { readonly effect: string }[] };
      readonly status: { readonly allocatable: { readonly pods: string } };
    }[];
  }
  const { items } = await api.expect<Nodes>(200, 'GET', '/api/v1/nodes');
  const there = (await api.expect<Pods>(200, 'GET', '/api/v1/pods')).items.length;
  const capacity = items
    .filter(({ spec }) => !(spec.taints ?? []).some(({ effect }) => effect === 'NoSchedule'))
    .reduce((sum, { status }) => sum + Number(status.allocatable.pods), 0);
  return capacity - there;
}

function processes(): string[] {
  return readdirSync('/proc').filter((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      return readFileSync(`/proc/${entry}/cmdline`, 'utf8') === `sleep\0${sleepSeconds}\0`;
    } catch {
      // It ended meanwhile.
      return false;
    }
  });
}

function manifest(replicas: number): unknown {
  const labels = { app: name };
  return {
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 5,
          containers: [{ name: 'sleep', image: 'busybox:1', command: ['sleep', String(sleepSeconds)] }],
        },
      },
    },
  };
}
