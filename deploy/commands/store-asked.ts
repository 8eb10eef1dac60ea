/** How `kabuki store` reaches a running store: through the control socket of any machine of the folder that has a member. */
import { Command, Option } from 'commander';
import { DataDir } from '../data-dir.js';
import type { LauncherStatus } from '../launcher.js';
import { control, isUnreachable } from './options.js';

export interface StoreOptions {
  readonly dataDir?: string;
  readonly output?: 'json';
}

/** `kabuki store NAME`, with the options that `storeDir` and `print` take. */
export function storeSubcommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(storeDirOption())
    .addOption(new Option('-o, --output <format>', 'for programs').choices(['json']));
}

/** Of a store that is there already, of either kind. */
export function storeDirOption(): Option {
  return new Option(
    '--data-dir <dir>',
    'folder of the store or the cluster (default: .kabuki-store if there is one, or .kabuki)',
  );
}

export function storeDir({ dataDir }: Pick<StoreOptions, 'dataDir'>): DataDir {
  const places = dataDir === undefined ? defaultPlaces() : [dataDir];
  const dirs = places.map((place) => new DataDir(place));
  const dir = dirs.find(({ exists }) => exists);
  if (dir) return dir;
  throw new Error(
    `there is no store in ${dirs.map(({ path }) => path).join(' or ')}: ` +
      'start one with "kabuki store run" or "kabuki up", or name its folder with --data-dir',
  );
}

function defaultPlaces(): readonly string[] {
  const { KABUKI_STORE_DATA_DIR: alone, KABUKI_DATA_DIR: cluster } = process.env;
  return [alone ?? '.kabuki-store', cluster ?? '.kabuki'];
}

/** Machines of the folder that have a member which was not removed. */
export interface FolderMembers {
  readonly running: readonly string[];
  /** Those that do not run, and what is said of each. */
  readonly missing: readonly { readonly name: string; readonly why: string }[];
}

export async function membersOf(dir: DataDir): Promise<FolderMembers> {
  if (dir.readSpec().externalStore) {
    throw new Error(
      `the cluster in ${dir.path} keeps its data in an etcd cluster: etcdctl serves its operators`,
    );
  }
  const { machines } = await control<LauncherStatus>(dir, 'launcher', 'status');
  const masters = machines.filter(({ role }) => role === 'master');
  const running = masters.flatMap(({ name, state }) => (state === 'running' ? [name] : []));
  if (running.length === 0) throw new Error(`no member of the store in ${dir.path} is running`);
  const missing = masters.flatMap(({ name, state, failure }) =>
    state === 'running' || dir.isRemoved(name) ? [] : [{ name, why: `is not running (${failure ?? state})` }],
  );
  return { running, missing };
}

/** Of members that do not run it is said so. */
export async function runningMembers(dir: DataDir): Promise<readonly string[]> {
  const { running, missing } = await membersOf(dir);
  for (const { name, why } of missing) console.error(`${name} ${why}`);
  return running;
}

export async function askStore<T>(dir: DataDir, method: string, params: object = {}): Promise<T> {
  const names = await runningMembers(dir);
  for (const [i, name] of names.entries()) {
    try {
      return await control<T>(dir, name, method, params);
    } catch (error) {
      // It ended a moment ago.
      if (!isUnreachable(error) || i === names.length - 1) throw error;
    }
  }
  throw new Error('unreachable');
}

export function print(options: StoreOptions, value: object, lines: () => string): void {
  console.log(options.output === 'json' ? JSON.stringify(value, null, 2) : lines());
}
