/** A Deployment of many pods with one real process each, which can be counted by its command line. */
import { readdirSync, readFileSync } from 'node:fs';
import { waitFor } from '../../deploy/wait.js';
import type { Api } from './api.js';
import { type Stage, withApi } from './stage.js';

const name = 'crowd';
const deployments = '/apis/apps/v1/namespaces/default/deployments';
const pods = '/api/v1/namespaces/default/pods?labelSelector=app%3Dcrowd';
/** Different from that of another run on this machine. */
const sleepSeconds = 3_600 + process.pid;
const startTimeoutMs = 180_000;
const endTimeoutMs = 120_000;
const pollMs = 250;

interface Pods {
  readonly items: readonly {
    readonly spec: { readonly nodeName?: string };
    readonly status: { readonly phase: string; readonly conditions?: readonly Condition[] };
  }[];
}

interface Condition {
  readonly type: string;
  readonly status: string;
}

/** Resolves when all of them run, one process each. */
export async function startCrowd(stage: Stage, replicas: number): Promise<void> {
  await withApi(stage, 1, (api) => api.expect(201, 'POST', deployments, manifest(replicas)));
  await crowdRuns(stage, replicas);
}

/** Resolves when so many pods are Ready and so many processes there. */
export function crowdRuns(stage: Stage, replicas: number): Promise<void> {
  return withApi(stage, 1, async (api) => {
    const holds = async () => {
      const { items } = await api.expect<Pods>(200, 'GET', pods);
      const ready = items.filter(
        ({ status }) =>
          status.phase === 'Running' &&
          status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
      );
      if (items.length === replicas && ready.length === replicas && processes() === replicas) return true;
      throw new Error(`${await summary(api)}; ${processes()} processes`);
    };
    await waitFor(`${replicas} pods to run, one process each`, startTimeoutMs, holds, pollMs);
  });
}

/** Scales to none and resolves when neither pods nor processes are left. */
export function endCrowd(stage: Stage): Promise<void> {
  return withApi(stage, 1, async (api) => {
    const scale = `${deployments}/${name}/scale`;
    // Whatever version it has: its status changes as pods become ready.
    const to = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name, namespace: 'default' } };
    await api.expect(200, 'PUT', scale, { ...to, spec: { replicas: 0 } });
    const gone = async () => {
      const { items } = await api.expect<Pods>(200, 'GET', pods);
      if (items.length > 0) throw new Error(await summary(api));
      return true;
    };
    await waitFor('all pods to be gone', endTimeoutMs, gone, pollMs);
    if (processes() > 0) throw new Error(`${processes()} processes are left of pods that are gone`);
    await api.expect(200, 'DELETE', `${deployments}/${name}`);
  });
}

/** `3 Running on worker-1, 1 Pending on no node`. */
async function summary(api: Api): Promise<string> {
  const counts = new Map<string, number>();
  for (const { spec, status } of (await api.expect<Pods>(200, 'GET', pods)).items) {
    const key = `${status.phase} on ${spec.nodeName ?? 'no node'}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return `pods: ${[...counts].map(([key, count]) => `${count} ${key}`).join(', ') || 'none'}`;
}

function processes(): number {
  return readdirSync('/proc').filter((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      return readFileSync(`/proc/${entry}/cmdline`, 'utf8') === `sleep\0${sleepSeconds}\0`;
    } catch {
      // It ended meanwhile.
      return false;
    }
  }).length;
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
