/** `kabuki store snapshot`: backups of a store, as files that are etcd snapshots. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { BackupError, EtcdBackup, type Restored } from '../../actors/store/index.js';
import type { SaveProgress } from '../backup-control.js';
import { checkGroupSize } from '../cluster-shape.js';
import { masters } from '../cluster-spec.js';
import type { DataDir } from '../data-dir.js';
import { refuseExternalStore } from '../external-store.js';
import type { MachineStatusReport } from '../machine-control.js';
import { countText, sizeText, percent, ProgressLine } from '../progress-line.js';
import { openBackup, type RestoreShape, restoreStore } from '../store-restore.js';
import { checkListen, defaultListen } from '../store-spec.js';
import { control, isUnreachable, newStoreOptions, wholeNumber } from './options.js';
import { storeDir, storeDirOption } from './store-asked.js';

const pollMs = 100;
const bumpDefault = 1_000_000_000;
const bumpMax = 2 ** 40;

export function storeSnapshotCommand(): Command {
  return new Command('snapshot')
    .description('backups of the store, as etcd snapshots')
    .addCommand(saveCommand())
    .addCommand(restoreCommand())
    .addCommand(statusCommand());
}

function saveCommand(): Command {
  return new Command('save')
    .description('save the state of a running store, of any kind of cluster')
    .argument('<file>', 'must not be there yet')
    .addOption(storeDirOption())
    .option('--member <machine>', 'whose state (default: one that does not lead)')
    .action(async (file: string, options: { dataDir?: string; member?: string }) => {
      const path = resolve(file);
      if (existsSync(path)) throw new Error(`${path} is there already: name another file`);
      if (!existsSync(dirname(path))) throw new Error(`there is no folder ${dirname(path)}: make it first`);
      const dir = storeDir(options);
      refuseExternalStore(dir.readSpec());
      const names = masters(dir.readSpec()).map(({ name }) => name);
      if (options.member !== undefined && !names.includes(options.member)) {
        throw new Error(`there is no member ${options.member} in ${dir.path}; it has ${names.join(', ')}`);
      }
      const member = options.member ?? (await memberToAsk(dir));
      const saved = await save(dir, member, path);
      console.log(
        `saved ${path}: revision ${saved.revision}, ${countText(saved.records, 'change')} of keys, ` +
          `${countText(saved.leases, 'lease')}, ${sizeText(saved.bytes)}, from ${member}`,
      );
      if (!saved.isCurrent) {
        console.error(`kabuki: ${member} knew of no leader: writes that only the others have are missing`);
      }
    });
}

/** Any master that answers, best one that does not lead. */
async function memberToAsk(dir: DataDir): Promise<string> {
  const spec = dir.readSpec();
  let leader: string | undefined;
  for (const { name } of masters(spec)) {
    try {
      const { store } = await control<MachineStatusReport>(dir, name, 'status');
      if (store && store.role !== 'leader') return name;
      if (store) leader = name;
    } catch (error) {
      if (!isUnreachable(error)) console.error(`kabuki: ${name}: ${(error as Error).message}`);
    }
  }
  if (leader !== undefined) return leader;
  throw new Error(`no member of the store in ${dir.path} is running`);
}

async function save(
  dir: DataDir,
  member: string,
  path: string,
): Promise<Extract<SaveProgress, { state: 'saved' }>> {
  const { id } = await control<{ id: string }>(dir, member, 'store.backup.save', { path });
  const line = new ProgressLine();
  try {
    for (;;) {
      const progress = await control<SaveProgress>(dir, member, 'store.backup.progress', { id });
      if (progress.state === 'saved') return progress;
      if (progress.state === 'failed') throw new Error(progress.error);
      const { bytes, expectedBytes } = progress;
      line.show(`${progress.state} ${sizeText(bytes)} (${percent(bytes, expectedBytes)})`);
      await new Promise((done) => setTimeout(done, pollMs));
    }
  } finally {
    line.end();
  }
}

interface RestoreOptions {
  readonly dataDir: string;
  readonly members?: number;
  readonly cluster?: string;
  readonly etcdListen?: readonly string[];
  readonly bumpRevision: number;
  readonly skipHashCheck?: boolean;
  readonly disableAuth?: boolean;
}

function restoreCommand(): Command {
  const [members, etcdListen] = newStoreOptions();
  return new Command('restore')
    .description('make a new store of a backup, ours or etcd\u2019s')
    .argument('<file>', 'a snapshot, or with --skip-hash-check a database out of a member of etcd')
    .addOption(
      new Option('--data-dir <dir>', 'folder of the new store, empty or not there').makeOptionMandatory(),
    )
    .addOption(members)
    .option(
      '--cluster <dir>',
      'folder of the Kubernetes cluster that the backup is of: the new one takes over machines, ports and certificates',
    )
    .addOption(etcdListen)
    .addOption(
      new Option(
        '--bump-revision <n>',
        'how far the revision is moved on: more than was written since the backup',
      )
        .argParser(bump)
        .default(bumpDefault),
    )
    .option('--skip-hash-check', 'take a file without a sum at its end, or with a wrong one')
    .option('--disable-auth', 'keep users and roles, but ask nobody for them until it is enabled again')
    .action((file: string, options: RestoreOptions) => restore(file, options));
}

async function restore(file: string, options: RestoreOptions): Promise<void> {
  const as = placeOf(options);
  const line = new ProgressLine();
  try {
    const restored = await naming(file, () =>
      restoreStore({
        file,
        dataDir: options.dataDir,
        as,
        bumpRevision: options.bumpRevision,
        skipsSum: options.skipHashCheck === true,
        disablesAuth: options.disableAuth === true,
        onRead: (bytes, total) => line.show(`checking ${sizeText(bytes)} (${percent(bytes, total)})`),
        onRecords: (step, records) =>
          line.show(`${step === 'read' ? 'reading' : 'writing'} ${records} changes of keys`),
      }),
    );
    line.end();
    report(file, restored, options);
  } finally {
    line.end();
  }
}

function placeOf({ members, cluster, etcdListen }: RestoreOptions): RestoreShape['as'] {
  if (cluster !== undefined) {
    if (members === undefined && !etcdListen) return { type: 'cluster', like: cluster };
    throw new Error('with --cluster members and addresses are those of that cluster');
  }
  const count = members ?? 3;
  checkGroupSize('--members', count);
  return { type: 'store', listen: checkListen(etcdListen ?? defaultListen(count), count, {}) };
}

function report(file: string, restored: Restored, { dataDir, cluster, disableAuth }: RestoreOptions): void {
  const { keys, leases, backupRevision, revision } = restored;
  const holds = `${countText(keys, 'key')} and ${countText(leases, 'lease')}`;
  console.log(`restored ${file} into ${resolve(dataDir)}: a store of ${countText(restored.members, 'member')} with ${holds}
  revision ${backupRevision} in the backup, ${revision} now: watches of before begin anew
  start it with: kabuki ${cluster === undefined ? 'store run' : 'up'} --data-dir ${dataDir}`);
  if (restored.leaselessKeys > 0) {
    console.log(
      `  ${countText(restored.leaselessKeys, 'change')} of keys named leases that are not in the backup: they have none now`,
    );
  }
  if (restored.foreignUsers.length > 0) {
    console.log(`  without a password until one is set: ${restored.foreignUsers.join(', ')}`);
  }
  if (disableAuth) console.log('  authentication is disabled');
}

function statusCommand(): Command {
  return new Command('status')
    .description('check a backup, ours or etcd\u2019s, and say what is in it')
    .argument('<file>')
    .option('--json', 'as JSON')
    .option('--skip-hash-check', 'take a file without a sum at its end, or with a wrong one')
    .action(async (file: string, { json, skipHashCheck }: { json?: boolean; skipHashCheck?: boolean }) => {
      const line = new ProgressLine();
      const show = (bytes: number, total: number) =>
        line.show(`checking ${sizeText(bytes)} (${percent(bytes, total)})`);
      const opened = await openBackup(file);
      const status = await naming(file, async () => {
        const backup = await EtcdBackup.open(opened, { skipsSum: skipHashCheck === true, onProgress: show });
        return await backup.status(show);
      }).finally(() => {
        line.end();
        return opened.close();
      });
      if (json) return console.log(JSON.stringify(status, null, 2));
      console.log(`hash              ${status.hash.toString(16)}
revision          ${status.revision}
compact revision  ${status.compactRevision}
total keys        ${status.totalKeys}
changes of keys   ${status.records}
leases            ${status.leases}
users             ${status.users}${status.isAuthEnabled ? ', authentication is enabled' : ''}
total size        ${sizeText(status.totalBytes)}
sum               ${status.isSumChecked ? 'right' : 'not checked'}`);
    });
}

/** Of what is wrong in a file, the file is half of the news. */
async function naming<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    const kinds = {
      Truncated: 'is cut off',
      Damaged: 'is damaged',
      Foreign: 'cannot be restored',
      Busy: 'waits',
    };
    throw new Error(`${file} ${kinds[error.code]}: ${error.message}`, { cause: error });
  }
}

function bump(text: string): number {
  const value = wholeNumber(text);
  if (value >= 1 && value <= bumpMax) return value;
  throw new InvalidArgumentError(
    `it must be between 1 and ${bumpMax}: watchers must not see time run backwards`,
  );
}
