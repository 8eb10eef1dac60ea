import { strict as assert } from 'node:assert';
import { type WatchStep, revision } from 'raft-consensus';
import { del, drain, eventsOf, put, txn } from '../store-driver.js';
import { regression } from '../../planted-bug.js';
import { Member, type Plant } from './member.js';

const small = { queueEventsMax: 4, queueBytesMax: 1_000_000 };

const changeSteps =
  (change: (step: WatchStep, member: Member) => WatchStep): Plant =>
  (member) =>
    member.wrapWatchers((watcher) => {
      const next = watcher.next.bind(watcher);
      watcher.next = (budget) => change(next(budget), member);
    });

describe('watch regressions of etcd', () => {
  regression<Plant>(
    'progress waits for a watcher that catches up (#15220)',
    (plant) => {
      const member = new Member(plant);
      for (let at = 0; at < 20; at++) member.do(put('a', String(at)));
      const watcher = member.watch(2);
      for (let reached = 1; reached < 21;) {
        assert.equal(watcher.progress(), null, `progress after ${reached}`);
        const step = watcher.next({ eventsMax: 3 });
        assert(step.type === 'batch');
        reached += step.batch.events.length;
        assert.equal(step.batch.revision, reached);
      }
      assert.deepEqual(watcher.progress(), { revision: 21, events: [] });
    },
    (member) =>
      member.wrapWatchers((watcher) => {
        watcher.progress = () => ({ revision: member.store.revision, events: [] });
      }),
  );

  regression<Plant>(
    'progress comes to a watch that never had an event (#17507)',
    (plant) => {
      const member = new Member(plant);
      const watcher = member.watch(0, { key: 'nothing', rangeEnd: 'nothingz' });
      member.do(put('a'), put('b'));
      drain(watcher);
      assert.deepEqual(watcher.progress(), { revision: 3, events: [] });
    },
    (member) =>
      member.wrapWatchers((watcher) => {
        let events = 0;
        const [next, progress] = [watcher.next.bind(watcher), watcher.progress.bind(watcher)];
        watcher.next = (budget) => {
          const step = next(budget);
          if (step.type === 'batch') events += step.batch.events.length;
          return step;
        };
        watcher.progress = () => (events === 0 ? null : progress());
      }),
  );

  regression<Plant>(
    'a starved watcher that meets compaction has every event or is told (#17529)',
    (plant) => {
      const member = new Member(plant, small);
      const watcher = member.watch();
      for (let at = 0; at < 30; at++) member.do(put('a', String(at)));
      const first = watcher.next({ eventsMax: 5 });
      assert(first.type === 'batch');
      member.compactAll(20);
      const step = watcher.next();
      const isTold = step.type === 'compacted' && step.compactRevision === 20;
      assert.ok(isTold, `events up to ${first.batch.revision}, then ${JSON.stringify(step)}`);
    },
    (member) =>
      member.wrapWatchers((watcher) => {
        const next = watcher.next.bind(watcher);
        watcher.next = (budget) => {
          const step = next(budget);
          if (step.type !== 'compacted') return step;
          return member.hub
            .watch({ ...watcher.request, startRevision: step.compactRevision }, () => undefined)
            .next();
        };
      }),
  );

  regression<Plant>(
    'a starved watcher holds up nobody, keeps to its bytes, and catches up without a gap (#17529, #16839)',
    (plant) => {
      const member = new Member(plant, small);
      const [slow, quick] = [member.watch(), member.watch()];
      let seen = '';
      for (let at = 0; at < 100; at++) {
        member.do(put('a', String(at)));
        seen += ` ${eventsOf(drain(quick))}`;
      }
      let late = '';
      for (
        let step = slow.next({ bytesMax: 10 });
        step.type === 'batch';
        step = slow.next({ bytesMax: 10 })
      ) {
        assert.ok(step.batch.events.length <= 10);
        late += ` ${eventsOf([step.batch])}`;
      }
      assert.equal(late, seen);
    },
    changeSteps((step) => {
      if (step.type !== 'batch') return step;
      return { type: 'batch', batch: { ...step.batch, events: step.batch.events.slice(0, 3) } };
    }),
  );

  regression<Plant>(
    'a watch goes neither back in time nor over a gap when a snapshot is installed (#15271)',
    (plant) => {
      const leader = new Member(undefined);
      const member = new Member(plant);
      const watcher = member.watch();
      for (const driver of [leader, member]) driver.do(put('a', '1'), put('b', '1'));
      const before = eventsOf(drain(watcher));
      leader.do(put('a', '2'), del('b'), put('c', '1'));
      member.restoreFrom(leader);
      assert.equal(`${before} ${eventsOf(drain(watcher))}`, '+a=1@2 +b=1@3 +a=2@4 -b@5 +c=1@6');
      member.do(put('a', '3'));
      assert.equal(eventsOf(drain(watcher)), '+a=3@7');
    },
    (member) =>
      member.wrapWatchers((watcher) => {
        watcher.restored = () => undefined;
      }),
  );

  for (const how of ['live', 'restored'] as const) {
    regression<Plant>(
      `a watch from a future revision, ${how}, gets neither old events nor old progress (#20221)`,
      (plant) => {
        const leader = new Member(undefined);
        const member = new Member(plant);
        const watcher = member.watch(8);
        const advance = (value: string) => {
          leader.do(put('a', value), put('b', value));
          if (how === 'restored') member.restoreFrom(leader);
          else member.do(put('a', value), put('b', value));
        };
        for (const value of ['1', '2', '3']) {
          advance(value);
          assert.deepEqual([drain(watcher), watcher.progress()], [[], null]);
        }
        advance('4');
        assert.equal(eventsOf(drain(watcher)), '+a=4@8 +b=4@9');
        assert.deepEqual(watcher.progress(), { revision: 9, events: [] });
      },
      (member) => {
        const original = member.hub.watch.bind(member.hub);
        member.hub.watch = (request, onReady) =>
          original({ ...request, startRevision: revision(2) }, onReady);
      },
    );
  }

  regression<Plant>(
    'a key written by several operations of one transaction gives one event (#17247)',
    (plant) => {
      const member = new Member(plant);
      member.do(put('a', '1'), put('b', '1'));
      const watcher = member.watch();
      member.txn(txn([del('a'), del('a'), del('a', 'c'), put('d', '1')]));
      assert.equal(eventsOf(drain(watcher)), '-a@4 -b@4 +d=1@4');
      assert.equal(member.events(4), '-a@4 -b@4 +d=1@4');
    },
    changeSteps((step) => {
      if (step.type !== 'batch') return step;
      const events = step.batch.events.flatMap((event) =>
        event.type === 'delete' ? [event, event] : [event],
      );
      return { type: 'batch', batch: { ...step.batch, events } };
    }),
  );

  regression<Plant>(
    'every change but a creation brings its previous version, live and from history',
    (plant) => {
      const member = new Member(plant);
      const watcher = member.watch(0, { prevKv: true });
      member.do(put('a', '1'), put('a', '2'), del('a'), put('a', '3'));
      const expected = '+a=1@2 +a=2@3(1) -a@4(2) +a=3@5';
      assert.equal(eventsOf(drain(watcher)), expected);
      assert.equal(member.events(2, { prevKv: true }), expected);
    },
    changeSteps((step) => {
      if (step.type !== 'batch') return step;
      const events = step.batch.events.map(({ type, kv }) => ({ type, kv }));
      return { type: 'batch', batch: { ...step.batch, events } };
    }),
  );
});
