/**
 * Entry of `npm run soak`: a cluster of five real processes, and steps that load it, break it and look at what is left.
 * Each step waits for states, bounded, and prints its time and the masters' memory before and after it. Ends with 1 when a
 * step fails; the others still run, on a new cluster.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { listOf, oneOf, wholeNumberFrom } from '../harness/options.js';
import { ProcessCluster } from '../harness/process-cluster.js';
import { allKilledStep } from './all-killed.js';
import { behindStep } from './behind.js';
import { crashStep } from './crash.js';
import { fullDiskStep } from './full-disk.js';
import { fullFolderStep } from './full-folder.js';
import { idleStep } from './idle.js';
import { namespaceStep } from './namespace.js';
import { objectsStep } from './objects.js';
import { podsStep } from './pods.js';
import { formatMemory, residentMemory, type Step } from './stage.js';

const steps: Readonly<Record<string, Step>> = {
  objects: objectsStep,
  pods: podsStep,
  namespace: namespaceStep,
  crash: crashStep,
  'all-killed': allKilledStep,
  behind: behindStep,
  'full-disk': fullDiskStep,
  'full-folder': fullFolderStep,
  idle: idleStep,
};

interface Options {
  readonly steps: readonly string[];
  readonly minutes: number;
  readonly keep?: boolean;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));

const program = new Command('soak')
  .option(
    '--steps <names>',
    'these only, in this order',
    listOf(oneOf(Object.keys(steps))),
    Object.keys(steps),
  )
  .option('--minutes <n>', 'that the step "idle" lasts; 0: it is left out', wholeNumberFrom(0), 0)
  .option('--keep', 'leave the data of the cluster in its folder')
  .action(async (options: Options) => {
    const failed = await run(options.steps, options.minutes, options.keep === true);
    if (failed.length > 0) console.log(`failed: ${failed.join(', ')}`);
    process.exitCode = failed.length > 0 ? 1 : 0;
  });
await program.parseAsync();
process.exit(process.exitCode);

/** Resolves with the names of the steps that failed. */
async function run(names: readonly string[], minutes: number, keep: boolean): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'kabuki-soak-'));
  const failed: string[] = [];
  let cluster = await ProcessCluster.up({ masters: 3, workers: 2, dataDir: join(folder, '1') });
  try {
    for (const [i, name] of names.entries()) {
      if (await runStep(name, cluster, minutes)) continue;
      failed.push(name);
      // What a failed step leaves behind would fail the next ones.
      await cluster.stop();
      cluster = await ProcessCluster.up({ masters: 3, workers: 2, dataDir: join(folder, String(i + 2)) });
    }
  } finally {
    await cluster.stop();
    if (keep) console.log(`data: ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  }
  return failed;
}

async function runStep(name: string, cluster: ProcessCluster, minutes: number): Promise<boolean> {
  const say = (line: string) => console.log(`${name.padEnd(11)} ${line}`);
  const begun = performance.now();
  let outcome: string;
  try {
    const before = formatMemory(await residentMemory(cluster));
    const skipped = await (steps[name] as Step)({ cluster, minutes, say });
    const after = formatMemory(await residentMemory(cluster));
    outcome = skipped === undefined ? `ok, masters ${before} -> ${after} MiB` : `skipped: ${skipped}`;
  } catch (error) {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    outcome = 'FAILED';
  }
  say(`${outcome} (${((performance.now() - begun) / 1000).toFixed(1)} s)`);
  return outcome !== 'FAILED';
}
