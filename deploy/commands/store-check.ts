/** `kabuki store check`: whether the files of a stopped store are whole. Exit code 1: something is damaged. */
import { Command } from 'commander';
import type { Finding } from 'raft-consensus';
import { countText, ProgressLine, sizeText } from '../progress-line.js';
import { checkStore, type MemberReport, type StoreReport } from '../store-check.js';
import { storeDir, storeDirOption } from './store-asked.js';

export function storeCheckCommand(): Command {
  return new Command('check')
    .description('check the files of a stopped store, of any kind of cluster; changes nothing')
    .addOption(storeDirOption())
    .option('--json', 'as JSON')
    .action(async (options: { dataDir?: string; json?: boolean }) => {
      const line = new ProgressLine();
      const report = await checkStore(storeDir(options), (what, bytes) =>
        line.show(bytes === undefined ? what : `${what} ${sizeText(bytes)}`),
      ).finally(() => line.end());
      if (options.json) console.log(JSON.stringify(report, null, 2));
      else print(report);
      if (report.isDamaged) process.exitCode = 1;
    });
}

function print({ members, compared, isDamaged }: StoreReport): void {
  for (const member of members) {
    console.log(`${member.name}  ${member.isDamaged ? 'DAMAGED' : 'whole'}  ${contentOf(member)}`);
    for (const finding of member.findings) console.log(`  ${lineOf(finding)}`);
  }
  if (members.length === 0) console.log('no member has files yet');
  for (const { index, members: same } of compared) {
    console.log(`${same.join(', ')} have the same state at entry ${index}`);
  }
  if (!isDamaged) return;
  console.log(`what is damaged: a member of a group whose majority is whole is removed and added anew with an empty folder;
otherwise restore a backup with "kabuki store snapshot restore"`);
}

function contentOf({ segments, records, snapshots, state }: MemberReport): string {
  const log = `${countText(segments, 'segment')} of the log with ${countText(records, 'record')}`;
  const files = `${log}, ${countText(snapshots, 'snapshot')}`;
  if (!state) return `${files}; its state cannot be rebuilt`;
  return `${files}; entry ${state.appliedIndex}, revision ${state.revision}, ${countText(state.keys, 'key')}`;
}

function lineOf({ severity, file, offset, what }: Finding): string {
  const at = offset === undefined ? '' : ` at byte ${offset}`;
  return `${severity === 'note' ? 'note: ' : ''}${file}${at}: ${what}`;
}
