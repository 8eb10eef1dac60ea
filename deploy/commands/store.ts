/** `kabuki store`: what operators do with the replicated store, by itself or below a Kubernetes cluster. */
import { Command } from 'commander';
import { storeRunCommand } from './store-run.js';
import { storeSnapshotCommand } from './store-snapshot.js';

export function storeCommand(): Command {
  return new Command('store')
    .description('the replicated store by itself')
    .addCommand(storeRunCommand())
    .addCommand(storeSnapshotCommand());
}
