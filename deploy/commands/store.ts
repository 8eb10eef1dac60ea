/** `kabuki store`: what operators do with the replicated store, by itself or below a Kubernetes cluster. */
import { Command } from 'commander';
import { storeCheckCommand } from './store-check.js';
import { storeMemberCommands } from './store-members.js';
import { storeRunCommand } from './store-run.js';
import { storeSnapshotCommand } from './store-snapshot.js';
import { storeTuneCommand } from './store-tune.js';
import { storeUpkeepCommands } from './store-upkeep.js';

export function storeCommand(): Command {
  const store = new Command('store').description(
    'the replicated store: run it by itself, look after its members',
  );
  const commands = [
    storeRunCommand(),
    ...storeMemberCommands(),
    ...storeUpkeepCommands(),
    storeTuneCommand(),
    storeSnapshotCommand(),
    storeCheckCommand(),
  ];
  for (const command of commands) store.addCommand(command);
  return store;
}
