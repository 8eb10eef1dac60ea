/**
 * Entry of a machine's process. Loading is most of what a start takes, so a master's store thread begins to load before the
 * rest of this process does, and only masters load a control plane.
 */
import { machineNamed } from './cluster-spec.js';
import { DataDir } from './data-dir.js';
import { heapGrowthPercent, limitHeapGrowth, storeThreadYoungMiB } from './heap-growth.js';
import type { MachineMessage } from './machine-process.js';
import { codeOf, stackOf, startStoreThread } from './store-thread.js';

const [dataDir = '', name = ''] = process.argv.slice(2);
const dir = new DataDir(dataDir);
const spec = dir.readSpec();
const machine = machineNamed(spec, name);

const fail = (error: unknown) => {
  const text = stackOf(error);
  console.error(text);
  // The log may lie on the disk that failed. A short message is in the pipe when this returns.
  const failed: MachineMessage = { failed: text.split('\n', 1)[0] ?? '', ...codeOf(error) };
  if (process.connected) process.send?.(failed);
  // At once, as if the power had failed: after an error that nobody handled nothing more may be written.
  process.kill(process.pid, 'SIGKILL');
};
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

const hasMember = machine.role === 'master' && !spec.externalStore;
// As the flags of the process say for its main thread (machine-process.ts).
const { machine: inCluster, storeAlone } = storeThreadYoungMiB;
const youngGenerationMiB = spec.store ? storeAlone : inCluster;
const store = hasMember ? startStoreThread({ dataDir, machine: name, youngGenerationMiB }, fail) : undefined;
const run = spec.store
  ? (await import('./store-machine-run.js')).runStoreMachine
  : (await import('./machine-run.js')).runMachine;
await run({ dir, spec, machine, store, fail });
process.send?.({ ready: true } satisfies MachineMessage);
limitHeapGrowth(spec.store ? heapGrowthPercent.storeAlone : heapGrowthPercent.machine);
