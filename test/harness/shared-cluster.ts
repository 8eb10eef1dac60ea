/**
 * One cluster of five processes for all end-to-end files: started by the first that asks, stopped when the run ends. Tests
 * use namespaces of their own and leave the machines as they found them.
 */
import { waitFor } from '../../deploy/wait.js';
import { ProcessCluster } from './process-cluster.js';
import type { Kubectl } from './kubectl.js';

let starting: Promise<ProcessCluster> | undefined;

export function sharedCluster(): Promise<ProcessCluster> {
  starting ??= ProcessCluster.up();
  return starting;
}

let namespaces = 0;

/** A new namespace in the shared cluster, with its default service account. */
export async function freshNamespace(prefix: string): Promise<Kubectl> {
  const cluster = await sharedCluster();
  namespaces += 1;
  const name = `${prefix}-${namespaces}`;
  await waitFor(`namespace ${name} to be made`, 30_000, async () => {
    const { code, stderr } = await cluster.kubectl.try('create', 'namespace', name);
    if (code === 0 || /AlreadyExists/.test(stderr)) return true;
    // On a machine as busy as this one the load balancer may give up a master that has just started.
    if (/unexpected EOF|connection re/.test(stderr)) return false;
    throw new Error(`namespace ${name} cannot be made: ${stderr}`);
  });
  return cluster.kubectl.in(name);
}

// At the top of a module that test files import, this belongs to mocha's root suite.
after('stop the shared cluster', async function stopSharedCluster() {
  this.timeout(60_000);
  await (await starting)?.stop();
});
