/** `kabuki kubectl ...`: kubectl with this cluster's kubeconfig. */
import { spawnSync } from 'node:child_process';
import { Command } from 'commander';
import { findKubectl } from '../bundled-kubectl.js';
import { dataDirOption, openDataDir } from './options.js';

export function kubectlCommand(): Command {
  return new Command('kubectl')
    .description('run kubectl against this cluster')
    .addOption(dataDirOption())
    .argument('[args...]', 'what kubectl is to do')
    .passThroughOptions()
    .allowUnknownOption()
    .helpOption(false)
    .action((args: string[], options: { dataDir: string }) => {
      const dir = openDataDir(options);
      // What it can do it says without a cluster, too.
      if (!args.some((arg) => arg === '--help' || arg === '-h') && dir.readSpec().store) {
        throw new Error(
          `${dir.path} holds a store that runs alone: there is no apiserver, ask it with etcdctl`,
        );
      }
      const result = spawnSync(findKubectl(), args, {
        stdio: 'inherit',
        env: { ...process.env, KUBECONFIG: dir.kubeconfigPath },
      });
      if (result.error) throw result.error;
      process.exitCode = result.status ?? 1;
    });
}
