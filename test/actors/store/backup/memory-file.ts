/** Bytes as a file that can only be read. */
import type { DiskFile } from 'raft-consensus';

export function memoryFile(bytes: Uint8Array): DiskFile {
  const refuse = () => Promise.reject(new Error('read only'));
  return {
    name: 'memory',
    read: async (offset, length) => new Uint8Array(bytes.subarray(offset, offset + length)),
    readNow: (offset, length) => new Uint8Array(bytes.subarray(offset, offset + length)),
    size: async () => bytes.length,
    write: refuse,
    writeSynced: refuse,
    truncate: refuse,
    sync: refuse,
    close: async () => {},
  };
}
