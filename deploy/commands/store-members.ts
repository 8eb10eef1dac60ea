/** `kabuki store status|members|add|remove|promote|move-leader`: who keeps the data, and how they are. */
import type { Command } from 'commander';
import type { StoreMemberInfo, StoreStatus } from '../../actors/store/index.js';
import type { MachineStatusReport } from '../machine-control.js';
import { calledBy } from '../member-name.js';
import { countText } from '../progress-line.js';
import { table } from './lifecycle.js';
import { control, newMemberName } from './options.js';
import { askStore, membersOf, print, storeSubcommand, storeDir, type StoreOptions } from './store-asked.js';

interface Members {
  readonly members: readonly StoreMemberInfo[];
}

export function storeMemberCommands(): Command[] {
  return [statusCommand(), membersCommand(), addCommand(), removeCommand(), promoteCommand(), moveCommand()];
}

function statusCommand(): Command {
  return storeSubcommand(
    'status',
    'how each member of this folder is; exit code 1 when one that should run does not answer',
  ).action(async (options: StoreOptions) => {
    const dir = storeDir(options);
    const { running, missing } = await membersOf(dir);
    const silent: { readonly name: string; readonly why: string }[] = [];
    const answers = await Promise.all(
      running.map(async (name) => {
        try {
          return (await control<MachineStatusReport>(dir, name, 'status')).store;
        } catch (error) {
          silent.push({ name, why: `does not answer (${(error as Error).message})` });
          return undefined;
        }
      }),
    );
    const known = answers.flatMap((status) => (status ? [status] : []));
    print(options, known, () => statusTable(known));
    // Its process may have ended before it could note down that it was removed.
    const belongs = (name: string) =>
      known.length === 0 || known.some(({ members }) => members.some((member) => member.name === name));
    silent.push(...missing.filter(({ name }) => belongs(name)));
    if (silent.length === 0) return;
    for (const { name, why } of silent) console.error(`${name} ${why}`);
    const names = silent.map(({ name }) => name).toSorted();
    const all = countText(known.length + names.length, 'member');
    throw new Error(`${names.length} of ${all} did not answer: ${names.join(', ')}`);
  });
}

function statusTable(statuses: readonly StoreStatus[]): string {
  const head = ['MEMBER', 'ROLE', 'TERM', 'LEADER', 'COMMITTED', 'APPLIED', 'REVISION', 'SIZE', 'PROBLEMS'];
  const rows = statuses.map((status) => {
    const called = (name: string) => {
      const member = status.members.find((one) => one.name === name);
      return member ? calledBy(member) : name;
    };
    const isRemoved = status.members.length > 0 && !status.members.some(({ name }) => name === status.member);
    const problems = [...status.errors, ...(isRemoved ? ['removed from the store'] : [])];
    return [
      called(status.member),
      status.role,
      String(status.term),
      status.leader === null ? '' : called(status.leader),
      String(status.commitIndex),
      String(status.appliedIndex),
      String(status.revision),
      `${(status.dbSizeBytes / (1 << 20)).toFixed(1)} MiB`,
      problems.join('; '),
    ];
  });
  return table(head, rows);
}

function membersCommand(): Command {
  return storeSubcommand('members', 'who belongs to the store, wherever they are').action(
    async (options: StoreOptions) => {
      const answer = await askStore<Members>(storeDir(options), 'store.members');
      print(options, answer.members, () => membersTable(answer));
    },
  );
}

function membersTable({ members }: Members): string {
  const rows = members.map((member) => [
    calledBy(member),
    member.name,
    hasStarted(member) ? 'started' : 'unstarted',
    member.voter ? 'voter' : member.isToVote ? 'learner, to vote' : 'learner',
    member.url ?? '',
    member.clientUrls?.join(',') ?? '',
  ]);
  return table(['MEMBER', 'NAME IN THE GROUP', 'STATE', 'KIND', 'PEER URL', 'CLIENT URL'], rows);
}

function hasStarted({ url, publicKey }: StoreMemberInfo): boolean {
  return publicKey !== undefined || url === undefined;
}

function addCommand(): Command {
  return storeSubcommand('add', 'a member that is about to run: it votes as soon as it has caught up')
    .argument('<member>', 'what it is called: a DNS label', newMemberName)
    .requiredOption('--peer-url <url>', 'tcp://host:port at which it will hear the others')
    .option('--learner', 'it stays without a vote until it is promoted')
    .action(
      async (
        title: string,
        options: StoreOptions & { readonly peerUrl: string; readonly learner?: true },
      ) => {
        const dir = storeDir(options);
        const params = { title, url: options.peerUrl, learner: options.learner === true };
        const answer = await askStore<Members & { readonly name: string }>(dir, 'store.add', params);
        print(options, answer, () => {
          const peer = options.peerUrl.replace(/^\w+:\/\//, '');
          const where = answer.members.find(({ clientUrls }) => clientUrls?.[0] !== undefined)
            ?.clientUrls?.[0];
          return `${title} was added; start it with
  kabuki store run --join ${where ?? dir.path} --member ${title} --peer-listen ${peer} --etcd-listen HOST:PORT --data-dir DIR`;
        });
      },
    );
}

function removeCommand(): Command {
  return storeSubcommand('remove', 'a member for good: its data counts for nothing any more')
    .argument('<member>')
    .action(async (member: string, options: StoreOptions) => {
      const answer = await askStore<Members>(storeDir(options), 'store.remove', { member });
      print(options, answer.members, () => `${member} was removed; ${leftOf(answer)}`);
    });
}

function leftOf({ members }: Members): string {
  return `${countText(members.length, 'member')} ${members.length === 1 ? 'is' : 'are'} left`;
}

function promoteCommand(): Command {
  return storeSubcommand('promote', 'a learner that has caught up votes from now on')
    .argument('<member>')
    .action(async (member: string, options: StoreOptions) => {
      const answer = await askStore<Members>(storeDir(options), 'store.promote', { member });
      print(options, answer.members, () => `${member} votes now`);
    });
}

function moveCommand(): Command {
  return storeSubcommand('move-leader', 'hand leadership over')
    .argument('<member>')
    .action(async (member: string, options: StoreOptions) => {
      const answer = await askStore<object>(storeDir(options), 'store.move-leader', { member });
      print(options, answer, () => `${member} leads now`);
    });
}
