import { strict as assert } from 'node:assert';
import { nodeId } from '../../../transport/index.js';
import { SmallGroup } from './small-group.js';

describe('lease time', () => {
  it('does not pass because wall clocks jump forward, and goes on where they jump back (etcd #9395, #13294)', async () => {
    const group = new SmallGroup('wall');
    const lease = await group.do(group.client.leaseGrant(6_000));
    const grantedMs = group.nowMs;
    await group.put('/leased', 'x', lease);
    jump(group, 3_600_000);
    await group.put('/other');
    await group.world.run(grantedMs + 5_900);
    assert.equal(await group.has('/leased'), true);
    jump(group, -3_000);
    await group.world.run(grantedMs + 8_000);
    assert.equal(await group.has('/leased'), false);
  });

  it('goes on from the log under a new leader, whatever its wall clock says', async () => {
    // Nobody restarts: who does counts on from its log, and may be behind by what was not recorded yet.
    const group = new SmallGroup('leaders', { members: ['m1', 'm2', 'm3', 'm4', 'm5'] });
    const lease = await group.do(group.client.leaseGrant(10_000));
    const grantedMs = group.nowMs;
    await group.put('/leased', 'x', lease);
    // The others have applied it: what time it was then they know from the log.
    await group.wait(50);
    for (const offsetMs of [86_400_000, -86_400_000]) {
      const leader = await group.leader();
      for (const name of group.names) group.world.simulation.setWallOffset(nodeId(name), offsetMs);
      group.kill(leader);
      await group.leader();
      await group.wait(1_000);
    }
    await group.world.run(grantedMs + 9_000);
    const { ttlMs } = await group.do(group.client.leaseTimeToLive(lease));
    assert.ok(ttlMs > 500 && ttlMs <= 1_100, `${ttlMs} ms left of 1,000`);
    await group.world.run(grantedMs + 9_900);
    assert.equal(await group.has('/leased'), true);
    await group.world.run(grantedMs + 12_500);
    assert.equal(await group.has('/leased'), false);
  });

  it('is recorded while nothing else is written, so that a restart of all members loses little of it', async () => {
    const group = new SmallGroup('recorded');
    const lease = await group.do(group.client.leaseGrant(60_000));
    await group.put('/leased', 'x', lease);
    await group.wait(45_000);
    for (const name of group.names) group.kill(name);
    for (const name of group.names) group.start(name);
    await group.put('/after');
    const { ttlMs } = await group.do(group.client.leaseTimeToLive(lease));
    assert.ok(ttlMs > 10_000 && ttlMs < 26_000, `${ttlMs} ms left`);
  });

  it('runs ahead by no more than the drift of one leader, however fast the others were before', async () => {
    const group = new SmallGroup('drift');
    const leader = await group.leader();
    for (const name of group.names) {
      if (name !== leader) group.world.simulation.setClockRate(nodeId(name), 1.05);
    }
    const keepAlive = await group.do(group.client.leaseGrant(600_000));
    for (let minute = 0; minute < 3; minute++) {
      await group.wait(60_000);
      await group.do(group.client.leaseKeepAlive(keepAlive));
    }
    const lease = await group.do(group.client.leaseGrant(20_000));
    const grantedMs = group.nowMs;
    await group.put('/leased', 'x', lease);
    group.kill(leader);
    await group.leader();
    await group.world.run(grantedMs + 20_000 * 0.94);
    assert.equal(await group.has('/leased'), true);
    await group.world.run(grantedMs + 23_000);
    assert.equal(await group.has('/leased'), false);
  });

  it('is not over for a lease that others renewed while its old leader stood still (etcd #15247, #12528)', async () => {
    const group = new SmallGroup('stalled');
    const lease = await group.do(group.client.leaseGrant(4_000));
    await group.put('/leased', 'x', lease);
    const old = await group.leader();
    group.world.simulation.pause(nodeId(old));
    for (let second = 0; second < 10; second++) {
      await group.wait(1_000);
      await group.do(group.client.leaseKeepAlive(lease));
    }
    assert.notEqual(await group.leader(), undefined);
    await group.do(group.client.leaseKeepAlive(lease));
    group.world.simulation.resume(nodeId(old));
    await group.wait(3_000);
    assert.equal(await group.has('/leased'), true);
    await group.wait(4_000);
    assert.equal(await group.has('/leased'), false);
  });

  it('leaves a moment for the renewals that a pause of the only member held up', async () => {
    const group = new SmallGroup('alone', { members: ['m1'] });
    const lease = await group.do(group.client.leaseGrant(4_000));
    await group.put('/leased', 'x', lease);
    group.world.simulation.pause(nodeId('m1'));
    await group.wait(30_000);
    group.world.simulation.resume(nodeId('m1'));
    assert.equal((await group.do(group.client.leaseKeepAlive(lease))).ttlMs, 4_000);
    assert.equal(await group.has('/leased'), true);
  });

  it('has a renewal that came too late be refused, not answered (etcd #20813)', async () => {
    const group = new SmallGroup('late');
    const lease = await group.do(group.client.leaseGrant(2_000));
    await group.put('/leased', 'x', lease);
    const answers: string[] = [];
    const keep = async () => {
      for (;;) {
        const kept = await group.client.leaseKeepAlive(lease).then(
          () => 'ok',
          (error: unknown) => (error as { cause?: { code?: string } }).cause?.code ?? 'unknown',
        );
        answers.push(kept);
        if (kept === 'LeaseNotFound') return;
      }
    };
    const kept = keep();
    await group.wait(100);
    await group.do(group.client.leaseRevoke(lease));
    await group.do(kept);
    assert.deepEqual(
      [answers.at(-1), answers.filter((answer) => answer === 'unknown')],
      ['LeaseNotFound', []],
    );
    assert.equal(await group.has('/leased'), false);
  });
});

/** The client's too: the age of a letter is told by wall clocks. */
function jump({ world, names }: SmallGroup, offsetMs: number): void {
  for (const name of ['client', ...names]) world.simulation.setWallOffset(nodeId(name), offsetMs);
}
