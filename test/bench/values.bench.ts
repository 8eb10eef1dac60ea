/** Where values go when there are too many for memory: our files, or LMDB if it is installed (docs/decisions/0014). */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Bench } from './suite.js';
import { type BenchRow, compared } from './table.js';

const run = promisify(execFile);

const figures = [
  ['fillS', 'fill', 's'],
  ['worstFillMs', 'fill, the longest of 100 puts', 'ms'],
  ['writtenMiB', 'fill, written', 'MiB'],
  ['diskMiB', 'on disk', 'MiB'],
  ['residentMiB', 'resident memory, filled', 'MiB'],
  ['residentReadMiB', 'resident memory, after 100,000 reads', 'MiB'],
  ['readUs', 'random read', 'µs'],
  ['overwriteS', '20,000 puts again', 's'],
  ['overwrittenMiB', '20,000 puts again, written', 'MiB'],
] as const;

type Figures = Readonly<Record<(typeof figures)[number][0], number>>;

export const valuesBench: Bench = async ({ folder, say }) => {
  const ours = await measure('ours', folder);
  say(JSON.stringify(ours));
  const lmdb = await measure('lmdb', folder).catch((error: unknown) => {
    if (!String(error).includes('ERR_MODULE_NOT_FOUND')) throw error;
    say('LMDB is not installed (npm install --no-save lmdb): ours is measured without it');
    return undefined;
  });
  return figures.map(([field, what, unit]): BenchRow => {
    const name = `2 GiB of values in one process: ${what}`;
    return lmdb ? compared(name, ours[field], lmdb[field], unit) : { name, ours: ours[field], unit };
  });
};

async function measure(side: 'ours' | 'lmdb', folder: string): Promise<Figures> {
  const own = `${folder}/${side}`;
  mkdirSync(own, { recursive: true });
  const entry = fileURLToPath(new URL('./values-side.js', import.meta.url));
  const { stdout } = await run(process.execPath, [entry, side, own]);
  return JSON.parse(stdout) as Figures;
}
