/** Bugs on purpose in how snapshots are taken, stored and sent (planted-bugs.ts). */
import type { SnapshotMeta, SnapshotSink, SnapshotStore } from 'raft-consensus';
import type { MemberStorage } from '../../../actors/store/index.js';
import type { PlantedBug } from './planted-bugs.js';

export const snapshotBugs: readonly PlantedBug[] = [
  {
    name: 'snapshot-of-before',
    what: 'a snapshot is filed under its index with the bytes of the one before',
    after: 'etcd #13766: applied index and data saved apart',
    seed: 4,
    seedsMax: 40,
    finds: /state machine safety|snapshot|skipped/,
    storage: (storage) => {
      let before: readonly Uint8Array[] | undefined;
      const { snapshots } = storage;
      const create = async (meta: SnapshotMeta): Promise<SnapshotSink> => {
        const sink = await snapshots.create(meta);
        const chunks: Uint8Array[] = [];
        return {
          get bytes() {
            return sink.bytes;
          },
          get checksum() {
            return sink.checksum;
          },
          write: async (chunk) => void chunks.push(new Uint8Array(chunk)),
          abort: () => sink.abort(),
          scratch: () => sink.scratch(),
          commit: async () => {
            for (const chunk of before ?? chunks) await sink.write(chunk);
            before = chunks;
            return sink.commit();
          },
        };
      };
      return { ...storage, snapshots: { open: () => snapshots.open(), create } };
    },
  },
  {
    name: 'snapshot-view-leaks',
    what: 'what is written while a snapshot is taken leaks into it',
    after: 'hashicorp/raft: FSM.Snapshot must return a point-in-time view',
    seed: 71,
    seedsMax: 40,
    finds: /state machine safety|snapshot|applied already|skipped/,
    member: ({ store }) => {
      const snapshot = store.snapshotReferring.bind(store);
      store.snapshotReferring = (...how) => {
        const captured = snapshot(...how);
        captured.chunks = function* () {
          // A turn of the event loop passes.
          yield new Uint8Array(0);
          yield new Uint8Array(0);
          yield* snapshot(...how).chunks();
        };
        return captured;
      };
    },
  },
  {
    name: 'install-before-fsync',
    faults: ['crash-at', 'crash-all', 'isolate-one'],
    what: 'the log begins anew behind an installed snapshot that is not durable yet',
    after: 'etcd #14370; Raft figure 13',
    seed: 50,
    seedsMax: 40,
    finds: /"error":"RaftError"|which is missing|state machine safety/,
    storage: (storage) => {
      let kept: Promise<unknown> = Promise.resolve();
      const early = withSink(storage, (sink, meta) =>
        passing(sink, {
          commit: async () => {
            const info = { meta, bytes: sink.bytes, checksum: sink.checksum };
            kept = sink.commit().catch(() => undefined);
            return info;
          },
        }),
      );
      // Whoever reads it finds it all the same, so that only a crash shows.
      const open = () => kept.then(() => early.snapshots.open());
      return { ...early, snapshots: { create: early.snapshots.create, open } };
    },
  },
  pieceAnywhere(),
  {
    name: 'value-file-gone-early',
    valuesInFiles: true,
    faults: ['crash', 'crash-all', 'crash-leader'],
    what: 'a file of values goes as soon as the state needs it no more, though a snapshot refers to it',
    after: 'what a snapshot refers to is part of it',
    seed: 4,
    seedsMax: 40,
    finds: /value-files/,
    storage: (storage) => ({
      ...storage,
      openValues: async (onFatal) => {
        const files = await storage.openValues(onFatal);
        const remove = files.remove.bind(files);
        files.remove = (file) => {
          remove(file);
          for (let kept = 0; kept < 2; kept++) files.snapshotBegins()();
        };
        return files;
      },
    }),
  },
  {
    name: 'log-kept-for-ever',
    faults: ['burst', 'isolate-one'],
    what: 'entries stay in memory though a snapshot has them',
    after: 'etcd #16839, #12342: memory that grows; memory and queue bounds',
    seed: 4,
    seedsMax: 40,
    finds: /bounds: m\d has \d+ applied entries in memory/,
    member: ({ raft }) => {
      const { log } = raft.core;
      Object.assign(log, { compactTo: () => log.firstIndex - 1 });
    },
  },
];

/** Both guards are off: that of the offset and that of the whole. */
function pieceAnywhere(): PlantedBug {
  let announced = 0;
  return {
    name: 'piece-anywhere',
    what: 'a piece of a snapshot is taken for the next one, whatever its offset',
    after: 'Raft figure 13: write data into snapshot file at given offset',
    seed: 17,
    seedsMax: 40,
    finds: /the snapshot is damaged/,
    storage: (storage) => withSink(storage, (sink) => passing(sink, { checksum: () => announced })),
    member: ({ raft }) => {
      const receive = raft.receive.bind(raft);
      let of = 0;
      let next = 0;
      raft.receive = (from, value) => {
        const letter = value as { type?: unknown; checksum: number; total: number; data: Uint8Array };
        if (letter.type !== 'snapshot-piece') return receive(from, value);
        if (of !== letter.checksum || next + letter.data.length > letter.total) next = 0;
        of = announced = letter.checksum;
        const offset = next;
        next += letter.data.length;
        receive(from, { ...letter, offset });
      };
    },
  };
}

function withSink(
  storage: MemberStorage,
  wrap: (sink: SnapshotSink, meta: SnapshotMeta) => SnapshotSink,
): MemberStorage {
  const { snapshots } = storage;
  const wrapped: SnapshotStore = {
    open: () => snapshots.open(),
    create: async (meta) => wrap(await snapshots.create(meta), meta),
  };
  return { ...storage, snapshots: wrapped };
}

function passing(
  sink: SnapshotSink,
  instead: { commit?: SnapshotSink['commit']; checksum?: () => number },
): SnapshotSink {
  return {
    get bytes() {
      return sink.bytes;
    },
    get checksum() {
      return instead.checksum?.() ?? sink.checksum;
    },
    write: (chunk) => sink.write(chunk),
    commit: instead.commit ?? (() => sink.commit()),
    abort: () => sink.abort(),
    scratch: () => sink.scratch(),
  };
}
