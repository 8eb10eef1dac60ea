/**
 * The command line. Each command lives in its own file under commands/; here are only their names and options.
 * Exit codes: 0 done, 1 failed with a message, 2 wrong usage.
 */
import { Command, CommanderError } from 'commander';
import { demoCommand } from './commands/demo.js';
import { faultCommand } from './commands/fault.js';
import { addHelp } from './commands/help.js';
import { kubectlCommand } from './commands/kubectl.js';
import { downCommand, statusCommand } from './commands/lifecycle.js';
import { storeCommand } from './commands/store.js';
import { traceCommand } from './commands/trace.js';
import { treeCommand } from './commands/tree.js';
import { upCommand } from './commands/up.js';

export async function main(args: readonly string[]): Promise<number> {
  endWhenNobodyReads(process.stdout);
  const program = new Command('kabuki')
    .description('A Kubernetes control plane played by actors: run it, break it, trace it.')
    .enablePositionalOptions();
  for (const command of [
    upCommand(),
    downCommand(),
    statusCommand(),
    treeCommand(),
    kubectlCommand(),
    faultCommand(),
    traceCommand(),
    demoCommand(),
    storeCommand(),
  ]) {
    program.addCommand(command);
  }
  addHelp(program);
  throwing(program);
  oneLineErrors(program);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    console.error(`kabuki: ${messageOf(error)}`);
    if (process.env['KABUKI_DEBUG'] && error instanceof Error) console.error(error.stack);
    return 1;
  }
}

/** `kabuki tree | head` closes our standard output early, which is no failure: what is left has no reader. */
function endWhenNobodyReads(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
}

/** Usage errors are thrown here, also those of commands below commands. */
function throwing(command: Command): Command {
  for (const below of command.commands) throwing(below);
  return command.exitOverride();
}

/** Wrong usage is one line that ends with where to look. */
function oneLineErrors(command: Command): void {
  for (const below of command.commands) oneLineErrors(below);
  const names: string[] = [];
  for (let one: Command | null = command; one; one = one.parent) names.unshift(one.name());
  command.configureOutput({
    outputError: (text, write) => {
      const line = text
        .replace(/^error: /, '')
        .trim()
        .replaceAll('\n', ' ');
      write(`kabuki: ${line} (see "${names.join(' ')} --help")\n`);
    },
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
