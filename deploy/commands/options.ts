/** Options that several commands share. */
import { InvalidArgumentError, Option } from 'commander';
import { controlCall } from '../../transport/index.js';
import { DataDir } from '../data-dir.js';

export function dataDirOption(): Option {
  return new Option('--data-dir <dir>', 'folder of the cluster').default('.kabuki').env('KABUKI_DATA_DIR');
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError('it must be a whole number');
  return value;
}

/** Asks a process of the cluster through its control socket; says what to do when nothing runs. */
export async function control<T>(
  dir: DataDir,
  socket: string,
  method: string,
  params: unknown = {},
): Promise<T> {
  dir.readSpec();
  try {
    return (await controlCall(dir.socketPath(socket), method, params, 10_000)) as T;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'control-unreachable') throw error;
    const what = socket === 'launcher' ? `the cluster in ${dir.path}` : socket;
    throw new Error(`${what} is not running`, { cause: error });
  }
}

export function openDataDir(options: { readonly dataDir: string }): DataDir {
  return new DataDir(options.dataDir);
}
