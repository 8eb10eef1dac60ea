/**
 * One cluster of five processes for the end-to-end tests of a file: started by the first that asks, stopped when the file has
 * run. Tests use namespaces of their own and leave the machines as they found them.
 */
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
  await cluster.kubectl.run('create', 'namespace', name);
  return cluster.kubectl.in(name);
}

/** Of the file that has run, if it had one; the next file begins with another. */
export async function stopSharedCluster(): Promise<void> {
  const cluster = await starting;
  starting = undefined;
  await cluster?.stop();
}
