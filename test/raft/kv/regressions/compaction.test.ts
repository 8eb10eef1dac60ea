import { strict as assert } from 'node:assert';
import { KvError, KvStore, revision } from 'raft-consensus';
import { del, drain, eventsOf, put, range } from '../store-driver.js';
import { regression } from '../../planted-bug.js';
import { Member, type Plant } from './member.js';

/** A compaction that takes tombstones at its own revision, too. */
const tombstonesGo: Plant = (member) =>
  member.wrapWatchers((watcher) => {
    const next = watcher.next.bind(watcher);
    watcher.next = (budget) => {
      const step = next(budget);
      if (step.type !== 'batch') return step;
      const isKept = ({ type, kv }: { type: string; kv: { modRevision: number } }) =>
        type === 'put' || kv.modRevision !== member.store.compactRevision;
      return { type: 'batch', batch: { ...step.batch, events: step.batch.events.filter(isKept) } };
    };
  });

describe('compaction regressions of etcd', () => {
  for (const steps of [0, 1, 3, 100]) {
    regression<Plant>(
      `a delete at exactly the compact revision is still seen, ${steps} records into compaction (#18089, #19179)`,
      (plant) => {
        const member = new Member(plant);
        member.do(put('a', '1'), put('b', '1'), put('a', '2'), del('a'), put('b', '2'));
        member.compact(5);
        member.store.compactStep(steps);
        assert.equal(member.events(5), '-a@5 +b=2@6');
        // As after a crash in the middle: what is on disk has no half compaction.
        const again = new Member(plant);
        again.restoreFrom(member);
        assert.equal(again.events(5), '-a@5 +b=2@6');
        assert.equal(again.dump(5), 'b=1');
      },
      tombstonesGo,
    );
  }

  regression<Plant>(
    'the revision never falls, also when the last change was a tombstone that is compacted (#17780)',
    (plant) => {
      const member = new Member(plant);
      member.do(put('a', '1'), put('a', '2'), del('a'));
      member.compactAll(4);
      const again = new Member(plant);
      again.restoreFrom(member);
      assert.equal(again.store.revision, 4);
      again.do(put('b'));
      assert.equal(again.range(range('b')).kvs[0]!.modRevision, 5);
    },
    (member) => {
      // What is read back from the live keys, as etcd did.
      const restore = member.store.restore.bind(member.store);
      member.store.restore = (...args) => {
        const done = restore(...args);
        const { versions } = member.store;
        let newest = 1;
        versions.index.scanLive(
          '',
          null,
          ({ newest: kv }) => (newest = Math.max(newest, kv.modRevision)) > 0,
        );
        versions.revision = revision(newest);
        return done;
      };
    },
  );

  regression<Plant>(
    'a write that reads a compacted revision is refused alike, however far each member has freed (#18667)',
    (plant) => {
      const members = [new Member(undefined), new Member(plant)];
      for (const [at, member] of members.entries()) {
        member.do(put('a', '1'), put('a', '2'), put('a', '3'));
        member.compact(4);
        if (at === 0) while (member.store.compactStep(1));
        assert.equal(
          member.refused([put('b', '1'), range('a', undefined, { revision: revision(3) })]),
          'Compacted',
        );
      }
      const [first, second] = members.map(({ store }) => [store.revision, store.digest, store.hash()]);
      assert.deepEqual(second, first);
    },
    (member) => {
      const apply = member.store.apply.bind(member.store);
      member.store.apply = (command, index) => {
        if (command.type !== 'txn' || !member.store.compactionPending) return apply(command, index);
        const success = command.txn.success.filter((op) => op.type !== 'range');
        return apply({ ...command, txn: { ...command.txn, success } }, index);
      };
    },
  );

  regression<Plant>(
    'what was applied and up to where is one: a snapshot repeats nothing and leaves nothing out (#13766)',
    (plant) => {
      const member = new Member(plant);
      member.do(put('a', '1'));
      const snapshot = member.store.snapshot().toBytes();
      member.do(put('a', '2'));
      const again = new KvStore();
      again.restore(snapshot);
      assert.equal(again.appliedIndex, 1);
      const txn = { type: 'txn', compare: [], success: [put('a', '2')], failure: [] } as const;
      again.apply({ type: 'txn', txn, atMs: 1000 }, 2);
      assert.deepEqual(again.hash(), member.store.hash());
      assert.equal(again.digest, member.store.digest);
    },
    (member) => {
      const original = member.store.snapshot.bind(member.store);
      member.store.snapshot = () => {
        member.try({ type: 'clock', atMs: 1 });
        return original();
      };
    },
  );

  it('a snapshot whose keys are not what the digest says is refused, and changes nothing', () => {
    const member = new Member(undefined);
    member.do(put('a', '1'), put('b', '1'));
    const { index, values } = member.store.versions;
    values.read(index.get('a')!.newest)[0]! ^= 1;
    const again = new KvStore();
    assert.throws(() => again.restore(member.store.snapshot().toBytes()), KvError);
    assert.equal(again.revision, 1);
  });

  it('at revision 0 a store that was never compacted lets it pass, as etcd does, and nothing changes', () => {
    const member = new Member(undefined);
    const before = member.store.hash();
    assert.ok(!(member.compact(0) instanceof KvError));
    assert.deepEqual([member.store.compactRevision, member.store.hash()], [0, before]);
    member.do(put('a', '1'), put('a', '2'));
    member.compactAll(2);
    const refused = member.compact(0);
    assert.ok(refused instanceof KvError && refused.code === 'Compacted');
  });

  it('a count of the past is that of then, whatever was born, changed or died since', () => {
    const member = new Member(undefined);
    member.do(put('a'), put('b'), put('c'), del('b'), put('b'), put('a'), del('c'), put('d'), del('d'));
    const counts = Array.from({ length: 10 }, (_, at) => {
      const op = range('a', 'd', { revision: revision(at + 1), countOnly: true });
      return member.range(op).count;
    });
    assert.deepEqual(counts, [0, 1, 2, 3, 2, 3, 3, 2, 2, 2]);
    member.compactAll(5);
    const later = [5, 6, 7, 8].map((at) => member.range(range('a', 'd', { revision: revision(at) })).count);
    assert.deepEqual(later, [2, 3, 3, 2]);
  });

  it('queued and replayed events agree while compaction frees step by step', () => {
    const member = new Member(undefined);
    const live = member.watch(0, { prevKv: true });
    for (let at = 0; at < 40; at++)
      member.do(at % 5 === 4 ? del(`k${at % 3}`, `k${(at % 3) + 1}`) : put(`k${at % 3}`, `${at}`));
    const all = eventsOf(drain(live)).split(' ');
    member.compact(20);
    do {
      const expected = all.filter((event) => Number(/@(\d+)/.exec(event)![1]) > 20).join(' ');
      assert.equal(member.events(21, { prevKv: true }), expected);
    } while (member.store.compactStep(1));
  });
});
