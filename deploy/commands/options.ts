/** Options that several commands share. */
import { InvalidArgumentError, Option } from 'commander';
import { wrongTitle } from '../../actors/store/index.js';
import { controlCall } from '../../transport/index.js';
import { DataDir } from '../data-dir.js';

export function dataDirOption(): Option {
  return new Option('--data-dir <dir>', 'folder of the cluster').default('.kabuki').env('KABUKI_DATA_DIR');
}

/** How many members a new store has, and where each serves etcd's clients. */
export function newStoreOptions(): readonly [members: Option, etcdListen: Option] {
  return [
    new Option('--members <n>', '1, 3 or 5 (default 3)').argParser(wholeNumber),
    new Option(
      '--etcd-listen <addresses>',
      'host:port for each member, separated by commas (default: 127.0.0.1:2379,127.0.0.1:12379,...)',
    ).argParser(commaSeparated),
  ];
}

export function commaSeparated(text: string): readonly string[] {
  return text.split(',');
}

/** Of a member that is new; one that is there is called as it is called. */
export function newMemberName(text: string): string {
  const wrong = wrongTitle(text);
  if (wrong !== undefined) throw new InvalidArgumentError(wrong);
  return text;
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('it must be a whole number');
  }
  return value;
}

/** Asks a process of the cluster through its control socket; says what to do when nothing runs. */
export async function control<T>(
  dir: DataDir,
  socket: string,
  method: string,
  params: unknown = {},
  timeoutMs = 10_000,
): Promise<T> {
  const { store } = dir.readSpec();
  try {
    return (await controlCall(dir.socketPath(socket), method, params, timeoutMs)) as T;
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    if (socket !== 'launcher') throw new Error(`${socket} is not running`, { cause: error });
    const [what, command] = store ? ['store', 'kabuki store run'] : ['cluster', 'kabuki up'];
    const start = `"${command} --data-dir ${dir.path}" starts it`;
    throw new Error(`the ${what} in ${dir.path} is not running: ${start}`, { cause: error });
  }
}

/** Nobody serves the socket, as `control` or `controlCall` say it. */
export function isUnreachable(error: unknown): boolean {
  const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } };
  return code === 'control-unreachable' || cause?.code === 'control-unreachable';
}

export function openDataDir(options: { readonly dataDir: string }): DataDir {
  return new DataDir(options.dataDir);
}
