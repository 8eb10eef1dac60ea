/** `kabuki store compact|alarms|hash|recover`: what the data need now and then, and what is left when most members are lost. */
import type { Command } from 'commander';
import type { Alarm } from 'raft-consensus';
import type { HashOfMember } from '../../actors/store/index.js';
import { machineNamed } from '../cluster-spec.js';
import type { DataDir } from '../data-dir.js';
import { countText, ProgressLine } from '../progress-line.js';
import { control, wholeNumber } from './options.js';
import { table } from './lifecycle.js';
import {
  askStore,
  print,
  runningMembers,
  storeSubcommand,
  storeDir,
  type StoreOptions,
} from './store-asked.js';
import { refuseSecondLauncher } from './up.js';

/** Of a member that reads all its values from disk. */
const hashTimeoutMs = 600_000;
const showEveryMs = 100;

export function storeUpkeepCommands(): Command[] {
  return [compactCommand(), alarmsCommand(), hashCommand(), recoverCommand()];
}

function compactCommand(): Command {
  return storeSubcommand(
    'compact',
    'forget how things were before a revision; watches and reads from before it are refused',
  )
    .argument('[revision]', 'default: the newest', wholeNumber)
    .action(async (revision: number | undefined, options: StoreOptions) => {
      const params = revision === undefined ? {} : { revision };
      const answer = await askStore<{ revision: number }>(storeDir(options), 'store.compact', params);
      // It is refused from now on; its room is given back a little at a time, so that nobody waits for it.
      print(
        options,
        answer,
        () =>
          `compacted at revision ${answer.revision}; members free the room that it took in the background`,
      );
    });
}

function alarmsCommand(): Command {
  return storeSubcommand(
    'alarms',
    'why the store refuses what it refuses: it is full, or a member differs from the others',
  )
    .option('--disarm', 'what they were raised for is mended: they come again if it is not')
    .action(async (options: StoreOptions & { readonly disarm?: true }) => {
      const method = options.disarm === true ? 'store.disarm' : 'store.alarms';
      const { alarms } = await askStore<{ readonly alarms: readonly Alarm[] }>(storeDir(options), method);
      print(options, alarms, () => {
        if (alarms.length === 0) return 'no alarm';
        const done = options.disarm === true ? ' was disarmed' : '';
        return alarms.map(({ type, member }) => `${type} of ${member || 'the group'}${done}`).join('\n');
      });
    });
}

function hashCommand(): Command {
  return storeSubcommand('hash', 'whether the members of this folder hold the same data at a revision')
    .argument('[revision]', 'default: the newest', wholeNumber)
    .action(async (asked: number | undefined, options: StoreOptions) => {
      const dir = storeDir(options);
      const revision =
        asked ?? (await askStore<{ readonly revision: number }>(dir, 'store.revision')).revision;
      const { hashes, failures } = await hashesOf(dir, await runningMembers(dir), revision);
      if (failures.length > 0 && hashes.length === 0) throw new Error(failures[0]);
      print(options, hashes, () =>
        table(
          ['MEMBER', 'REVISION', 'COMPACTED AT', 'HASH'],
          hashes.map(({ member, hash, hashRevision, compactRevision }) => [
            member,
            String(hashRevision),
            String(compactRevision),
            hash.toString(16).padStart(8, '0'),
          ]),
        ),
      );
      // History that was compacted at different moments is not the same data.
      const differ = hashes.some((one) =>
        hashes.some((other) => one.compactRevision === other.compactRevision && one.hash !== other.hash),
      );
      if (differ) throw new Error(`the members differ at revision ${revision}`);
      if (failures.length > 0) throw new Error(`not all members were compared: ${failures.join('; ')}`);
    });
}

interface Hashes {
  readonly hashes: readonly (HashOfMember & { readonly member: string })[];
  /** Why there is none of a member. */
  readonly failures: readonly string[];
}

/** Values on disk are read, too: it may take its time, and says meanwhile who is waited for. */
async function hashesOf(dir: DataDir, names: readonly string[], revision: number): Promise<Hashes> {
  const waitedFor = new Set(names);
  const line = new ProgressLine();
  const timer = setInterval(() => {
    const done = `${names.length - waitedFor.size} of ${countText(names.length, 'member')}`;
    line.show(`hash at revision ${revision}: ${done} answered, waiting for ${[...waitedFor].join(', ')}`);
  }, showEveryMs);
  const params = { revision, timeoutMs: hashTimeoutMs };
  const outcomes = await Promise.all(
    names.map(async (name) => {
      try {
        const hash = await control<HashOfMember>(dir, name, 'store.hash', params, hashTimeoutMs + 5_000);
        return { member: name, ...hash };
      } catch (error) {
        return `${name}: ${(error as Error).message}`;
      } finally {
        waitedFor.delete(name);
      }
    }),
  );
  clearInterval(timer);
  line.end();
  return {
    hashes: outcomes.flatMap((outcome) => (typeof outcome === 'string' ? [] : [outcome])),
    failures: outcomes.filter((outcome) => typeof outcome === 'string'),
  };
}

function recoverCommand(): Command {
  return storeSubcommand(
    'recover',
    'after most members are lost for good: make the store of one survivor, as it is, a store of its own',
  )
    .argument('<member>', 'the survivor, by its name in the group')
    .option('--lose-the-others', 'needed: what only the others had is gone, and they must never run again')
    .action(async (member: string, options: StoreOptions & { readonly loseTheOthers?: true }) => {
      const dir = storeDir(options);
      machineNamed(dir.readSpec(), member);
      await refuseSecondLauncher(dir);
      if (options.loseTheOthers !== true) {
        throw new Error(
          `what was written and never reached ${member} would be lost, and the other members must never run again: ` +
            'if a majority can still be started, start it instead; if not, say --lose-the-others',
        );
      }
      // Opens disks, which no other command needs.
      const { recoverStore } = await import('../store-recovery.js');
      const recovery = await recoverStore(dir, member);
      print(
        options,
        recovery,
        () => `${recovery.warning}\nstart it with: kabuki store run --data-dir ${dir.path}`,
      );
    });
}
