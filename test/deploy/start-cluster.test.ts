import { strict as assert } from 'node:assert';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { configMaps, deployments, pods } from '../../actors/client/index.js';
import { type Cluster, isAlreadyExists, startCluster } from '../../deploy/index.js';
import { waitFor } from '../../deploy/wait.js';
import { output } from '../harness/program.js';
import { Kubectl } from '../harness/kubectl.js';

const configMap = (name: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
  data: { name },
});

const deployment = (name: string, replicas: number) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'default' },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'web', image: 'nginx:1' }] },
    },
  },
});

async function rolledOut(cluster: Cluster, name: string, replicas: number): Promise<void> {
  await waitFor(`${replicas} replicas of ${name}`, 30_000, async () => {
    const { status } = await cluster.client.get(deployments, 'default', name);
    return status?.readyReplicas === replicas;
  });
}

/** A write that is tried again until it is answered; that it was done already counts. */
async function write(client: Cluster['client'], name: string, timeoutMs = 15_000): Promise<void> {
  await waitFor(`config map ${name} to be written`, timeoutMs, async () => {
    try {
      await client.create(configMaps, configMap(name));
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    return true;
  });
}

describe('startCluster', function () {
  this.timeout(120_000);

  describe('with three masters and a worker, in memory', () => {
    let cluster: Cluster;
    before(async () => {
      cluster = await startCluster({ masters: 3, workers: 1, storage: 'memory', runtime: 'simulated' });
    });
    after(() => cluster?.stop());

    it('runs a deployment to the end', async () => {
      await cluster.client.create(deployments, deployment('web', 3));
      await rolledOut(cluster, 'web', 3);
      const { items } = await cluster.client.list(pods, { namespace: 'default' });
      assert.deepEqual([...new Set(items.map((pod) => pod.spec?.nodeName))], ['worker-1']);
    });

    it('serves kubectl over HTTPS with its kubeconfig', async () => {
      const kubectl = new Kubectl({ kubeconfigPath: cluster.kubeconfigPath, home: cluster.dataDir });
      const names = (await kubectl.run('get', 'nodes', '-o', 'name')).trim().split('\n').toSorted();
      assert.deepEqual(names, ['node/master-1', 'node/master-2', 'node/master-3', 'node/worker-1']);
      assert(cluster.kubeconfig.includes(cluster.url));
    });

    it('accepts no write at a leader that is cut off, and agrees after the heal', async () => {
      const cut = await cluster.fault.isolate('leader');
      await assert.rejects(cluster.clientOf(cut).create(configMaps, configMap('by-the-minority')));
      const other = cluster.machines.find(({ name, role }) => role === 'master' && name !== cut);
      assert(other);
      await write(cluster.clientOf(other.name), 'by-the-majority');
      cluster.fault.heal();
      await waitFor('the one that was cut off to agree', 15_000, async () => {
        const { items } = await cluster.clientOf(cut).list(configMaps, { namespace: 'default' });
        const names = items.map(({ metadata }) => metadata?.name);
        return names.includes('by-the-majority') && !names.includes('by-the-minority');
      });
    });

    it('goes on without a killed leader, and takes it back', async () => {
      await write(cluster.client, 'before-the-kill');
      const killed = await cluster.fault.kill('leader');
      assert.equal(cluster.machines.find(({ name }) => name === killed)?.running, false);
      await write(cluster.client, 'after-the-kill');
      assert.notEqual(await cluster.leader(), killed);
      await cluster.fault.start(killed);
      await waitFor(`${killed} to have caught up`, 15_000, async () => {
        const { items } = await cluster.clientOf(killed).list(configMaps, { namespace: 'default' });
        const names = items.map(({ metadata }) => metadata?.name);
        return names.includes('before-the-kill') && names.includes('after-the-kill');
      });
    });

    it('restarts an actor that is crashed, and says so in its tree and journal', async () => {
      cluster.fault.crash('master-1', '/apiserver');
      await waitFor('the apiserver to be restarted', 10_000, async () => {
        const actor = cluster.tree('master-1').find(({ path }) => path === '/apiserver');
        return actor?.state === 'running' && actor.restarts === 1;
      });
      const events = await cluster.events();
      const crash = events.find(({ type, actor }) => type === 'crash' && actor === '/apiserver');
      assert.equal(crash?.node, 'master-1');
    });

    it('refuses machines and actors that do not exist', async () => {
      await assert.rejects(cluster.fault.kill('master-9'), /no machine master-9/);
      assert.throws(() => cluster.fault.crash('master-1', '/nobody'), /no actor \/nobody/);
      assert.throws(() => cluster.clientOf('worker-1'), /runs no apiserver/);
    });
  });

  it('keeps its data in a folder that it is given', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'kabuki-test-'));
    try {
      const first = await startCluster({ masters: 1, workers: 0, dataDir, runtime: 'simulated' });
      await first.client.create(configMaps, configMap('kept'));
      await first.stop();
      await assert.rejects(startCluster({ masters: 3, dataDir }), /holds a cluster of 1 masters/);
      const second = await startCluster({ dataDir, runtime: 'simulated' });
      const kept = await second.client.get(configMaps, 'default', 'kept');
      await second.stop();
      assert.deepEqual(kept.data, { name: 'kept' });
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

  it('leaves no folder, no container and nothing that keeps node running', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kabuki-test-'));
    const seconds = String(700_000 + process.pid);
    writeFileSync(join(folder, 'user.mjs'), userScript(seconds));
    try {
      const text = await output(process.execPath, [join(folder, 'user.mjs')], { timeoutMs: 40_000 });
      const { dataDir, seen } = JSON.parse(text) as { dataDir: string; seen: boolean };
      assert.equal(seen, true, 'the container ran');
      assert.equal(existsSync(dataDir), false, `${dataDir} is still there`);
      assert.deepEqual(processesWith(seconds), []);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** Starts a cluster and in it a pod that is a real process, stops the cluster, and ends when node has nothing left to do. */
function userScript(seconds: string): string {
  const entry = fileURLToPath(new URL('../../deploy/index.js', import.meta.url));
  return `
    import { startCluster } from ${JSON.stringify(entry)};
    const cluster = await startCluster();
    const pods = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true };
    const container = { name: 'c', image: 'busybox', command: ['sleep', '${seconds}'] };
    const metadata = { name: 'sleeper', namespace: 'default' };
    await cluster.client.create(pods, { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [container] } });
    let pod;
    do {
      await new Promise((resolve) => setTimeout(resolve, 20));
      pod = await cluster.client.get(pods, 'default', 'sleeper');
    } while (pod.status?.phase !== 'Running');
    await cluster.stop();
    console.log(JSON.stringify({ dataDir: cluster.dataDir, seen: true }));`;
}

/** Ids of processes with that word in their command line. */
function processesWith(word: string): string[] {
  return readdirSync('/proc').filter((name) => {
    const path = `/proc/${name}/cmdline`;
    if (!/^\d+$/.test(name) || !existsSync(path)) return false;
    try {
      return readFileSync(path, 'latin1').split('\0').includes(word);
    } catch {
      // It ended while we looked.
      return false;
    }
  });
}
