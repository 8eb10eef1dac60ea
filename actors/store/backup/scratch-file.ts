/** A file that nobody finds: its name is taken away at once, so it is gone when it is closed, and when the process dies. */
import type { Disk, DiskFile } from 'raft-consensus';

export async function openScratchFile(disk: Disk, name: string): Promise<DiskFile> {
  const file = await disk.open(name, 'create');
  // One that a crash between the two has left is used again.
  await file.truncate(0);
  await disk.remove(name);
  return file;
}
