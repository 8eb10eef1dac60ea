/** `kabuki demo`: the whole play on a cluster of its own; exits 0 only if every step held. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { DataDir } from '../data-dir.js';
import { Stage } from '../demo/stage.js';
import { steps } from '../demo/steps.js';

export function demoCommand(): Command {
  return new Command('demo')
    .description('play everything once on a fresh cluster: run, roll, kill, cut, crash, trace')
    .option('--keep', 'leave the cluster running and its folder in place')
    .action(async (options: { keep?: boolean }) => {
      const folder = mkdtempSync(join(tmpdir(), 'kabuki-demo-'));
      const kabuki = (...args: string[]) =>
        execFileSync(process.execPath, [launcherPath, ...args, '--data-dir', folder], { encoding: 'utf8' });
      let failed = false;
      await play('kabuki up: three masters and two workers', async () => {
        kabuki('up', '--detach');
        return `kubeconfig ${join(folder, 'kubeconfig')}`;
      });
      try {
        const stage = new Stage(new DataDir(folder));
        for (const step of steps) await play(step.title, () => step.run(stage));
      } catch (error) {
        failed = true;
        console.error(`  failed: ${(error as Error).message}`);
      }
      if (options.keep) console.log(`the cluster is still there: kabuki status --data-dir ${folder}`);
      else {
        kabuki('down');
        // After a failure the folder is what one needs to find out why.
        if (failed) console.error(`journals and logs are in ${folder}`);
        else rmSync(folder, { recursive: true });
      }
      if (failed) process.exitCode = 1;
      else console.log('every step held');
    });
}

const launcherPath = fileURLToPath(new URL('../../../deploy/kabuki.mjs', import.meta.url));

async function play(title: string, run: () => Promise<string>): Promise<void> {
  const begun = Date.now();
  process.stdout.write(`- ${title}\n`);
  const line = await run();
  console.log(`  ${((Date.now() - begun) / 1000).toFixed(2)} s  ${line}`);
}
