/** Folders that a file of tests fills, and that are gone when it ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** To be called at the top of a file; each call of what it returns makes a folder. */
export function scratchFolders(): () => string {
  const folders: string[] = [];
  after(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });
  return () => {
    const folder = mkdtempSync(join(tmpdir(), 'kabuki-kubelet-'));
    folders.push(folder);
    return folder;
  };
}
