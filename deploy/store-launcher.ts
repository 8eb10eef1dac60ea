/** Runs a store alone on this machine: a process per member that lives in its folder, and no balancer in front. */
import type { RaftErrorCode, StorageErrorCode } from 'raft-consensus';
import type { ClusterSpec } from './cluster-spec.js';
import type { DataDir } from './data-dir.js';
import { type Launcher, launchMachines } from './launcher.js';
import type { MachineProcess } from './machine-process.js';

/** Resolves when the members run, or as soon as `interrupted` does: then it is to be stopped. */
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
  return launchMachines(dir, spec, face, report, interrupted, (machines) =>
    startMajority(dir, machines, report),
  );
}

/**
 * One whose data are damaged cannot start, and is to be removed and added anew; for that the others must run. They can do without
 * one whose disk refuses to be read or written, too, until somebody has seen to it. Rejects as soon as they are too few, or one
 * does not start for another reason.
 */
async function startMajority(
  dir: DataDir,
  machines: readonly MachineProcess[],
  report: (line: string) => void,
): Promise<void> {
  const damaged: string[] = [];
  await Promise.all(
    machines.map(async (machine) => {
      try {
        await machine.start();
      } catch (error) {
        const { name, failure, failureCode = '' } = machine;
        const start = `when its disk is mended: kabuki fault start ${name} --data-dir ${dir.path}`;
        const remedy = failureCode === 'DiskFailed' ? start : 'remove it and add another';
        damaged.push(`${name} does not run: ${failure}\nthe others go on without it; ${remedy}`);
        const isMajorityLeft = 2 * (machines.length - damaged.length) > machines.length;
        if (!Object.hasOwn(damages, failureCode) || !isMajorityLeft) throw error;
      }
    }),
  );
  for (const line of damaged) report(line);
}

/** The codes of what a member says of its disk: of Raft's, a log whose snapshot is gone. */
const damages = {
  WalCorrupt: true,
  WalLost: true,
  WalFailed: true,
  SnapshotCorrupt: true,
  ValueCorrupt: true,
  ForeignDirectory: true,
  DiskFailed: true,
  Corrupt: true,
} satisfies Record<StorageErrorCode | Extract<RaftErrorCode, 'Corrupt'>, true>;
