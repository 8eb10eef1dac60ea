/** Runs a store alone on this machine: a process per member that lives in its folder, and no balancer in front. */
import type { ClusterSpec } from './cluster-spec.js';
import type { DataDir } from './data-dir.js';
import { type Launcher, launchMachines } from './launcher.js';

/** Resolves when all members run, or as soon as `interrupted` does: then it is to be stopped. */
export function launchStore(
  dir: DataDir,
  spec: ClusterSpec,
  report: (line: string) => void,
  interrupted: Promise<void>,
): Promise<Launcher> {
  const face = {
    front: spec.machines.map(({ etcdListen }) => etcdListen).join(','),
    kubeconfig: '',
    backends: () => [],
    close: () => Promise.resolve(),
  };
  return launchMachines(dir, spec, face, report, interrupted);
}
