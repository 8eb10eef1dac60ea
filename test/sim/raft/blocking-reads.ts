/** A disk whose reads that cannot wait are told to somebody: on a slow disk, nothing else of that process runs meanwhile. */
import type { Disk, DiskFile } from 'raft-consensus';

export interface BlockingReads {
  /** Around each of them. */
  begins(): void;
  ended(): void;
}

export function tellingBlockingReads(disk: Disk, to: BlockingReads): Disk {
  return {
    open: async (name, mode) => tellingFile(await disk.open(name, mode), to),
    list: () => disk.list(),
    remove: (name) => disk.remove(name),
    rename: (from, name) => disk.rename(from, name),
    syncDirectory: () => disk.syncDirectory(),
  };
}

function tellingFile(file: DiskFile, to: BlockingReads): DiskFile {
  return {
    name: file.name,
    write: (offset, chunks) => file.write(offset, chunks),
    writeSynced: (offset, chunks) => file.writeSynced(offset, chunks),
    read: (offset, length) => file.read(offset, length),
    readNow: (offset, length) => {
      to.begins();
      try {
        return file.readNow(offset, length);
      } finally {
        to.ended();
      }
    },
    size: () => file.size(),
    truncate: (length) => file.truncate(length),
    sync: () => file.sync(),
    close: () => file.close(),
  };
}
