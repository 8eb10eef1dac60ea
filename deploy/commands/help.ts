/**
 * `kabuki help`, at every level, and no help for what is no command: `kabuki bogus --help` is refused as `kabuki bogus` is, and
 * `kabuki up bogus --help` as `kabuki up bogus`.
 */
import { Command } from 'commander';
import { countText } from '../progress-line.js';

/** For `group` and all groups below it. */
export function addHelp(group: Command): void {
  if (group.commands.length === 0) {
    group.addHelpText('before', () => refuseExcess(group));
    return;
  }
  for (const below of group.commands) addHelp(below);
  group.helpCommand(false).addCommand(helpCommand(group));
  group.addHelpText('before', () => {
    const [word] = group.args;
    if (word !== undefined && !word.startsWith('-')) commandBelow(group, word);
    return '';
  });
}

/** Where no command is below, words are arguments. */
function refuseExcess(command: Command): string {
  const { args, registeredArguments: taken } = command;
  const firstOption = args.findIndex((word) => word.startsWith('-'));
  const count = firstOption < 0 ? args.length : firstOption;
  if (count > taken.length && !taken.some(({ variadic }) => variadic)) {
    const expected = `Expected ${countText(taken.length, 'argument')} but got ${count}.`;
    command.error(`error: too many arguments for '${command.name()}'. ${expected}`);
  }
  return '';
}

function helpCommand(group: Command): Command {
  return new Command('help')
    .description('display help for command')
    .argument('[command...]')
    .action((words: readonly string[]) => words.reduce(commandBelow, group).help());
}

/** Throws as an unknown command does, with what is near it. */
function commandBelow(group: Command, word: string): Command {
  const found = group.commands.find((one) => one.name() === word);
  if (found) return found;
  if (group.commands.length === 0) group.error(`error: ${group.name()} has no command '${word}'`);
  group.parse([word], { from: 'user' });
  throw new Error(`${word} is a command`);
}
