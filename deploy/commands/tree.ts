/** `kabuki tree`: the supervision trees of all machines. */
import { Command } from 'commander';
import { formatTree, type TreeNode } from '../../actors/runtime/index.js';
import { machineNamed } from '../cluster-spec.js';
import { storeUrl } from '../external-store.js';
import type { LauncherStatus } from '../launcher.js';
import { control, dataDirOption, openDataDir } from './options.js';

export function treeCommand(): Command {
  return new Command('tree')
    .description('the supervision tree of every machine')
    .addOption(dataDirOption())
    .argument('[machine]', 'only this one')
    .action(async (only: string | undefined, options: { dataDir: string }) => {
      const dir = openDataDir(options);
      const { machines } = await control<LauncherStatus>(dir, 'launcher', 'status');
      const spec = dir.readSpec();
      if (only !== undefined) machineNamed(spec, only);
      else if (spec.externalStore)
        console.log(`store ${storeUrl(spec.externalStore)}, outside of all machines`);
      for (const machine of machines) {
        if (only !== undefined && machine.name !== only) continue;
        if (machine.state !== 'running') console.log(`${machine.name} (${machine.state})`);
        else {
          const { tree } = await control<{ tree: TreeNode[] }>(dir, machine.name, 'tree');
          console.log(`${machine.name}\n${formatTree(tree)}`);
        }
      }
    });
}
