/** Bugs on purpose in what a member makes of a damaged or empty disk (planted-bugs.ts). */
import { type LogStorage, type SavedLog, StorageError } from 'raft-consensus';
import type { MemberStorage } from '../../../actors/store/index.js';
import type { PlantedBug } from './planted-bugs.js';

export const diskBugs: readonly PlantedBug[] = [
  {
    name: 'rot-taken-for-torn',
    faults: ['rot', 'misdirect', 'crash', 'crash-leader'],
    what: 'a log that does not check is cut off where it is damaged, as if a crash had torn it there',
    after: 'etcd #14098; Jepsen: bitflip-wal, truncate-wal',
    seed: 1,
    seedsMax: 40,
    finds: /durability|leader completeness|state machine safety|log matching|liveness/,
    open: (disk, open) => {
      let storage: MemberStorage = open();
      const load = async (): ReturnType<MemberStorage['log']['load']> => {
        try {
          return await storage.log.load();
        } catch (error) {
          if (!(error instanceof StorageError) || error.code !== 'WalCorrupt') throw error;
          const later = disk.files.filter(({ name }) => name.startsWith('wal-') && name > error.file);
          for (const { name } of later) await disk.remove(name);
          const file = await disk.open(error.file, 'existing');
          await file.truncate(error.offset ?? 0);
          await file.sync();
          await file.close();
          storage = open();
          return storage.log.load();
        }
      };
      return {
        ...storage,
        close: () => storage.close(),
        log: {
          load,
          save: (batch) => storage.log.save(batch),
          compact: (toIndex, snapshot) => storage.log.compact(toIndex, snapshot),
        },
      };
    },
  },
  {
    name: 'lost-disk-votes-again',
    faults: ['lose-disk', 'coup', 'crash'],
    what: 'a member whose disk was replaced by an empty one goes on as if it were new',
    after: 'tikv #9579; total disk loss',
    seed: 1,
    seedsMax: 40,
    finds: /durability|election safety|leader completeness|state machine safety/,
    forgetsThatItRan: true,
  },
  {
    name: 'slow-log-taken-for-none',
    faults: ['slow-reads', 'crash', 'crash-all'],
    what: 'a member waits half a second for its log to be read, and then starts without one',
    after: 'slow disk; what is not there yet is not gone',
    seed: 2,
    seedsMax: 40,
    finds: /durability/,
    storage: (storage, clock) => {
      const { log } = storage;
      const load = () =>
        Promise.race([
          log.load(),
          new Promise<SavedLog>((resolve) => {
            clock.setTimer(500, () => resolve({ hardState: null, entries: [], snapshotMeta: null }));
          }),
        ]);
      const save: LogStorage['save'] = (batch) => log.save(batch);
      return { ...storage, log: { load, save, compact: (to, snapshot) => log.compact(to, snapshot) } };
    },
  },
];
