/** `kabuki store tune`, and the same settings for `kabuki store run`: etcd's flags by their names. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { StoreSettings } from '../../actors/store/index.js';
import { table } from './lifecycle.js';
import { control, wholeNumber } from './options.js';
import { print, runningMembers, storeDir, type StoreOptions, storeSubcommand } from './store-asked.js';

export interface SettingOptions {
  readonly heartbeatInterval?: number;
  readonly electionTimeout?: number;
  readonly snapshotCount?: number;
  readonly quotaBackendBytes?: number;
  readonly autoCompactionMode?: 'periodic' | 'revision';
  readonly autoCompactionRetention?: string;
}

/** As etcd has it: beyond that nobody would learn of a leader that is gone. */
const electionTimeoutMsMax = 50_000;

export function settingOptions(): readonly Option[] {
  const number = (flags: string, text: string) => new Option(flags, text).argParser(oneOrMore);
  const time = (flags: string, text: string, most?: number) =>
    new Option(flags, text).argParser((ms) => wholeTicks(ms, most));
  return [
    time('--heartbeat-interval <ms>', 'how often a leader is heard, a multiple of 100 (default 200)'),
    time(
      '--election-timeout <ms>',
      'how long it may be silent, a multiple of 100 (default 800, at most 50000)',
      electionTimeoutMsMax,
    ),
    number('--snapshot-count <n>', 'entries of the log from one snapshot to the next (default 10000)'),
    number('--quota-backend-bytes <n>', 'size beyond which the alarm NOSPACE is raised (default 8 GiB)'),
    new Option('--auto-compaction-mode <mode>', 'what --auto-compaction-retention counts').choices([
      'periodic',
      'revision',
    ]),
    new Option(
      '--auto-compaction-retention <much>',
      'how much history is kept, as 10h, 30m, or so many revisions; 0: all of it (default 5m, less when it is large)',
    ),
  ];
}

export function settingsOf(options: SettingOptions): StoreSettings {
  const { heartbeatInterval, electionTimeout, snapshotCount, quotaBackendBytes } = options;
  return {
    ...(heartbeatInterval !== undefined && { heartbeatIntervalMs: heartbeatInterval }),
    ...(electionTimeout !== undefined && { electionTimeoutMs: electionTimeout }),
    ...(snapshotCount !== undefined && { snapshotCount }),
    ...(quotaBackendBytes !== undefined && { quotaBytes: quotaBackendBytes }),
    ...retentionOf(options),
  };
}

function oneOrMore(text: string): number {
  const value = wholeNumber(text);
  if (value < 1) throw new InvalidArgumentError('it must be 1 or more');
  return value;
}

function wholeTicks(text: string, most = Infinity): number {
  const value = oneOrMore(text);
  if (value > most) throw new InvalidArgumentError(`it must not be above ${most}`);
  if (value % 100 !== 0) throw new InvalidArgumentError('it must be a multiple of 100');
  return value;
}

/** As etcd reads it: a number without a unit is hours, or revisions. */
function retentionOf({
  autoCompactionMode: mode,
  autoCompactionRetention: text,
}: SettingOptions): StoreSettings {
  if (text === undefined) {
    if (mode === undefined) return {};
    throw new Error('--auto-compaction-mode belongs to --auto-compaction-retention');
  }
  const [, digits, unit] = /^(\d{1,12})(ms|s|m|h)?$/.exec(text) ?? [];
  if (mode === 'revision' && digits !== undefined && unit === undefined) {
    return { retentionMs: 0, retentionRevisions: Number(digits) };
  }
  if (mode === 'revision' || digits === undefined) {
    const wanted = mode === 'revision' ? 'a number of revisions' : 'a duration, as 10h, 30m, 90s';
    throw new Error(`--auto-compaction-retention takes ${wanted}, not ${JSON.stringify(text)}`);
  }
  return { retentionMs: Number(digits) * unitsMs[unit ?? 'h']!, retentionRevisions: 0 };
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

export function storeTuneCommand(): Command {
  const command = storeSubcommand(
    'tune',
    'settings of the running members of this folder: changes those that are given until they end, and shows all',
  );
  for (const option of settingOptions()) command.addOption(option);
  return command.action(async (options: StoreOptions & SettingOptions) => {
    const dir = storeDir(options);
    const settings = settingsOf(options);
    const members: { readonly member: string; readonly settings: Required<StoreSettings> }[] = [];
    for (const member of await runningMembers(dir)) {
      const now = await control<Required<StoreSettings>>(dir, member, 'store.tune', settings);
      members.push({ member, settings: now });
    }
    print(options, members, () =>
      table(
        ['MEMBER', 'HEARTBEAT', 'ELECTION', 'SNAPSHOT', 'QUOTA', 'HISTORY'],
        members.map(({ member, settings: now }) => [
          member,
          `${now.heartbeatIntervalMs}ms`,
          `${now.electionTimeoutMs}ms`,
          `${now.snapshotCount} entries`,
          `${Math.round(now.quotaBytes / 2 ** 20)} MiB`,
          history(now),
        ]),
      ),
    );
  });
}

function history({ retentionMs, retentionRevisions }: Required<StoreSettings>): string {
  if (retentionRevisions > 0) return `${retentionRevisions} revisions`;
  return retentionMs === 0 ? 'all' : `${retentionMs / 1_000}s`;
}
