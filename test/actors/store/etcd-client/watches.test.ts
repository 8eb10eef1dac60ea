import { strict as assert } from 'node:assert';
import { revision, type WatchBatch } from 'raft-consensus';
import { saysProgressInOrder } from '../../../../actors/store/etcd-client/version.js';
import { code, GrpcError } from '../../../../actors/store/etcd/status.js';
import { settle } from '../../client/manual-env.js';
import { PlayedEtcd } from './played-etcd.js';

const put = (key: string, at: number) => ({
  type: 0,
  kv: { key, modRevision: at, createRevision: at, version: 1, value: Buffer.from('v') },
});

/** A watch of the keys below /registry/ from revision 11 on, answered by the first endpoint. */
async function watching(version: string, count = 2) {
  const etcd = new PlayedEtcd(count);
  for (const endpoint of etcd.endpoints) endpoint.version = version;
  const batches: WatchBatch[] = [];
  let ended: { type: string } | undefined;
  const watch = etcd.store.watch(
    { key: '/registry/', rangeEnd: '/registry0', startRevision: revision(11) },
    { onBatch: (batch) => batches.push(batch), onEnd: (reason) => (ended = reason) },
  );
  await etcd.clock.advance(10);
  const keys = () => batches.flatMap(({ events }) => events.map(({ kv }) => kv.key));
  return {
    etcd,
    watch,
    batches,
    keys,
    first: etcd.endpoints[0]!,
    second: etcd.endpoints[1]!,
    ended: () => ended,
  };
}

describe('watches of the etcd client', () => {
  it('a newer server is asked for its own keys, and for progress when a reader waits, until it is there', async () => {
    const { etcd, first, batches } = await watching('3.5.13');
    const { stream } = first;
    const { key, rangeEnd, startRevision } = stream.said[0]!.create!;
    assert.deepEqual([key, rangeEnd, startRevision], ['/registry/', '/registry0', 11]);
    stream.say({ header: { revision: 10 }, watchId: 0, created: true });
    first.revision = 20;
    await etcd.settled(etcd.store.currentRevision());
    assert.ok(stream.said.at(-1)?.progress, 'progress is asked for');
    const asked = stream.said.length;
    // This member has not caught up itself.
    stream.say({ header: { revision: 15 }, watchId: -1 });
    await etcd.clock.advance(100);
    assert.equal(stream.said.length, asked + 1, 'and asked for again');
    stream.say({ header: { revision: 20 }, watchId: -1 });
    await etcd.clock.advance(200);
    assert.equal(stream.said.length, asked + 1);
    assert.deepEqual(
      batches.map((batch) => batch.revision),
      [15, 20],
    );
  });

  it('an older one, whose progress may lie, is asked for all keys, and what is not wanted is sifted out', async () => {
    const { etcd, first, batches, keys } = await watching('3.4.23');
    const { stream } = first;
    const { key, rangeEnd } = stream.said[0]!.create!;
    assert.deepEqual([key, rangeEnd], ['\0', '\0']);
    stream.say({ header: { revision: 10 }, watchId: 0, created: true });
    first.revision = 12;
    await etcd.settled(etcd.store.currentRevision());
    assert.equal(stream.said.length, 1, 'progress is not asked for');
    stream.say({ header: { revision: 99 }, watchId: -1 });
    stream.say({ header: { revision: 12 }, watchId: 0, events: [put('/other', 11), put('/registry/a', 12)] });
    stream.say({ header: { revision: 13 }, watchId: 0, events: [put('/registry0', 13)] });
    assert.deepEqual(keys(), ['/registry/a']);
    assert.deepEqual(
      batches.map((batch) => batch.revision),
      [12, 13],
    );
  });

  it('goes on elsewhere from the last revision + 1, whatever the answers said of the store', async () => {
    const { etcd, first, second, keys } = await watching('3.5.13');
    first.stream.say({ header: { revision: 10 }, watchId: 0, created: true });
    // Catching up: the store is at 50, the watch at 12.
    first.stream.say({ header: { revision: 50 }, watchId: 0, events: [put('/registry/a', 12)] });
    first.isUp = false;
    first.break();
    await etcd.clock.advance(1_000);
    assert.equal(second.stream.said[0]?.create?.startRevision, 13);
    second.stream.say({ header: { revision: 50 }, watchId: 7, created: true });
    second.stream.say({ header: { revision: 50 }, watchId: 7, events: [put('/registry/b', 13)] });
    assert.deepEqual(keys(), ['/registry/a', '/registry/b']);
  });

  it('one that is behind what a reader was told and hears nothing goes elsewhere', async () => {
    const { etcd, first, second } = await watching('3.5.13');
    first.stream.say({ header: { revision: 10 }, watchId: 0, created: true });
    await etcd.clock.advance(60_000);
    assert.equal(first.stream.isCancelled, false, 'silence alone is no reason');
    first.revision = 20;
    await etcd.settled(etcd.store.currentRevision());
    await etcd.clock.advance(2_000);
    assert.equal(first.streams[0]!.isCancelled, true);
    assert.equal(second.stream.said[0]?.create?.startRevision, 11);
  });

  it('one that still hears events is left alone, however far behind', async () => {
    const { etcd, first } = await watching('3.5.13');
    first.stream.say({ header: { revision: 10 }, watchId: 0, created: true });
    first.revision = 1_000;
    await etcd.settled(etcd.store.currentRevision());
    for (let at = 11; at < 40; at += 1) {
      first.stream.say({ header: { revision: 1_000 }, watchId: 0, events: [put('/registry/a', at)] });
      await etcd.clock.advance(500);
    }
    assert.equal(first.stream.isCancelled, false);
  });

  it('an end without a reason, a refusal and a member without a leader are no end of the watch', async () => {
    const { etcd, first, second, ended } = await watching('3.5.13');
    first.stream.say({ header: { revision: 10 }, watchId: 0, created: true });
    first.stream.say({ header: { revision: 10 }, watchId: 0, canceled: true });
    await etcd.clock.advance(500);
    second.stream.say({ watchId: -1, created: true, canceled: true, cancelReason: 'permission denied' });
    await etcd.clock.advance(1_000);
    first.stream.end(new GrpcError(code.unavailable, 'etcdserver: no leader'));
    await etcd.clock.advance(1_000);
    assert.deepEqual([first.streams.length, second.streams.length, ended()], [2, 2, undefined]);
    second.stream.say({ header: { revision: 30 }, watchId: 0, created: true });
    second.stream.say({ header: { revision: 30 }, watchId: 0, canceled: true, compactRevision: 20 });
    assert.deepEqual(ended(), { type: 'compacted', compactRevision: 20 });
  });

  it('one that is closed before the server answered is cancelled there', async () => {
    const { first, watch, batches } = await watching('3.5.13');
    watch.close();
    first.stream.say({ header: { revision: 10 }, watchId: 4, created: true });
    await settle();
    assert.equal(first.stream.said.at(-1)?.cancel?.watchId, 4);
    first.stream.say({ header: { revision: 12 }, watchId: 4, events: [put('/registry/a', 12)] });
    assert.equal(batches.length, 0);
  });

  it('while no endpoint is there it tries on, more and more slowly', async () => {
    const { etcd, first, ended } = await watching('3.5.13', 1);
    first.stream.say({ header: { revision: 10 }, watchId: 0, created: true });
    first.isUp = false;
    first.break();
    await etcd.clock.advance(120_000);
    assert.ok(first.connects > 10 && first.connects < 60, `${first.connects} tries in two minutes`);
    first.isUp = true;
    for (let i = 0; i < 100 && first.streams.length < 2; i += 1) await etcd.clock.advance(100);
    first.stream.say({ header: { revision: 10 }, watchId: 0, created: true });
    await etcd.clock.advance(60_000);
    assert.deepEqual([first.streams.length, ended()], [2, undefined]);
  });

  it('a server that does not answer a watch at all is left', async () => {
    const { etcd, second } = await watching('3.5.13');
    await etcd.clock.advance(2_000);
    assert.equal(second.streams.length, 1);
  });

  it('progress is trusted from 3.4.31, 3.5.13 and 3.6 on', () => {
    const trusted = ['3.4.31', '3.5.13', '3.6.0', '3.6.11', '4.0.0'];
    const not = ['3.3.27', '3.4.23', '3.4.30', '3.5.12', '', 'x'];
    assert.deepEqual(trusted.filter(saysProgressInOrder), trusted);
    assert.deepEqual(not.filter(saysProgressInOrder), []);
  });
});
