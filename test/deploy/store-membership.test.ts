/** What a machine makes of the members that the configuration names: links and keys, what it says of itself, who is gone. */
import { strict as assert } from 'node:assert';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MemberChange, StoreClient, StoreMemberInfo } from '../../actors/store/index.js';
import { Announcement } from '../../deploy/announcement.js';
import type { ClusterSpec, MachineSpec } from '../../deploy/cluster-spec.js';
import { DataDir } from '../../deploy/data-dir.js';
import { MemberWatch } from '../../deploy/member-watch.js';
import { PeerBook } from '../../deploy/peer-book.js';
import { Removal } from '../../deploy/removal.js';
import { type Incarnation, type Link, nodeId } from '../../transport/index.js';
import { VirtualClock } from '../transport/virtual-clock.js';

const key = (digit: string): string => digit.repeat(40);

function machine(ordinal: number, prefix = 'store'): MachineSpec {
  return {
    name: `${prefix}-${ordinal}`,
    role: 'master',
    publicKey: key(String(ordinal)),
    podCidr: '',
    address: `tcp://127.0.0.1:${4000 + ordinal}`,
    storeAddress: `tcp://127.0.0.1:${4100 + ordinal}`,
  };
}

function specOf(machines: readonly MachineSpec[], more: Partial<ClusterSpec> = {}): ClusterSpec {
  const nothingElse = { frontPort: 0, serviceCidr: '', podCidr: '', kubernetesServicePort: 0 };
  return { name: 'x', id: 'x', machines, ...nothingElse, store: { trace: false }, ...more };
}

function member(name: string, port: number, more: Partial<StoreMemberInfo> = {}): StoreMemberInfo {
  return {
    name,
    voter: true,
    address: `${name}.store`,
    url: `http://127.0.0.1:${port}`,
    publicKey: key('k'),
    ...more,
  };
}

/** Notes whom it is told to dial. */
class NotedLink implements Link {
  readonly node = nodeId('store-1.store');
  readonly incarnation = 1 as Incarnation;
  readonly peers = new Map<string, string>();

  addPeer(peer: string, address: string): void {
    if (address.includes('bad')) throw new Error('Invalid argument');
    this.peers.set(peer, address);
  }
  removePeer(peer: string): void {
    this.peers.delete(peer);
  }
  start = () => Promise.resolve();
  send = () => {};
  address = () => '';
  close = () => Promise.resolve();
}

const founders = [1, 2, 3].map((ordinal) => member(`store-${ordinal}`, 4100 + ordinal));

describe('the links of a member of the store', () => {
  const spec = specOf([machine(1), machine(2), machine(3)]);
  const never = () => assert.fail('refused');

  it('go to whoever the configuration names with address and key, and let both of its nodes in', () => {
    const book = new PeerBook(spec);
    const link = new NotedLink();
    const clock = new VirtualClock();
    const { publicKey: _, ...unstarted } = member('m4', 4104);
    book.follow([...founders, unstarted], link, clock, never);
    assert.equal(link.peers.size, 0);
    assert.equal(book.keys.get(nodeId('m4.store')), undefined);
    book.follow([...founders, member('m4', 4104)], link, clock, never);
    assert.deepEqual([...link.peers], [['m4.store', 'tcp://127.0.0.1:4104']]);
    assert.equal(book.keys.get(nodeId('m4.store')), key('k'));
    assert.equal(book.keys.get(nodeId('m4')), key('k'));
    book.follow([...founders, member('m4', 4105)], link, clock, never);
    assert.deepEqual([...link.peers], [['m4.store', 'tcp://127.0.0.1:4105']]);
  });

  it('of machines in the same folder are those of this start: the configuration may be older', () => {
    const book = new PeerBook(spec);
    const link = new NotedLink();
    book.follow(
      [member('store-1', 1), member('store-2', 2), member('store-3', 3)],
      link,
      new VirtualClock(),
      never,
    );
    assert.equal(link.peers.size, 0);
    assert.equal(book.keys.get(nodeId('store-2.store')), key('2'));
  });

  it('to one that was removed go, after it had time to hear of it; not while this member does not belong', async () => {
    const book = new PeerBook(spec);
    const link = new NotedLink();
    const clock = new VirtualClock();
    link.addPeer('store-3.store', 'tcp://127.0.0.1:4103');
    const without3 = founders.slice(0, 2);
    book.follow(founders.slice(1), link, clock, never);
    await clock.advance(60_000);
    assert.equal(book.keys.has(nodeId('store-3')), true);
    book.follow(without3, link, clock, never);
    await clock.advance(5_000);
    assert.equal(link.peers.has('store-3.store'), true);
    await clock.advance(10_000);
    assert.equal(link.peers.has('store-3.store'), false);
    assert.equal(book.keys.has(nodeId('store-3.store')), false);
    assert.equal(book.keys.has(nodeId('store-3')), false);
  });

  it('of a Kubernetes cluster stay: a machine without a member is a machine still, and no member becomes one', async () => {
    const { store: _, ...cluster } = specOf([machine(1, 'master'), machine(2, 'master')]);
    const book = new PeerBook(cluster);
    const link = Object.assign(new NotedLink(), { node: nodeId('master-1') });
    const clock = new VirtualClock();
    const first = member('master-1', 4101);
    book.follow([first, member('thief', 4109, { address: 'master-2' })], link, clock, never);
    await clock.advance(60_000);
    assert.equal(book.keys.get(nodeId('master-2')), key('2'));
    assert.equal(book.keys.has(nodeId('master-2.store')), false);
    assert.equal(book.keys.has(nodeId('thief.store')), false);
  });

  it('that cannot be end nobody: the others are linked', () => {
    const book = new PeerBook(spec);
    const link = new NotedLink();
    const refused: string[] = [];
    const bad = member('m4', 4104, { url: 'tcp://bad:1' });
    book.follow([...founders, bad, member('m5', 4105)], link, new VirtualClock(), (node) =>
      refused.push(node),
    );
    assert.deepEqual(refused, ['m4.store']);
    assert.deepEqual([...link.peers.keys()], ['m5.store']);
  });
});

describe('what a member says of itself', () => {
  const address: MemberChange = {
    url: 'tcp://127.0.0.1:4101',
    publicKey: key('k'),
    clientUrls: ['http://a:1'],
  };

  function announced(answers: (() => readonly StoreMemberInfo[])[]) {
    const changes: MemberChange[] = [];
    const clock = new VirtualClock();
    const memberUpdate = async (_name: string, change: MemberChange) => {
      changes.push(change);
      return (answers.shift() ?? (() => assert.fail('asked too often')))();
    };
    const client = { memberUpdate } as Partial<StoreClient> as StoreClient;
    return { announcement: new Announcement({ name: 'm1', address, client, clock }), changes, clock };
  }
  const told = { ...member('m1', 4101), clientUrls: ['http://a:1'] };

  it('is said when the configuration differs, again until it is so, and then no more', async () => {
    const { announcement, changes, clock } = announced([
      () => {
        throw new Error('no leader');
      },
      () => [told],
    ]);
    announcement.check([member('m1', 4999)]);
    await clock.advance(10_000);
    assert.deepEqual(changes, [address, address]);
    announcement.check([told]);
    await clock.advance(10_000);
    assert.equal(changes.length, 2);
  });

  it('is not said by one that does not belong', async () => {
    const { announcement, changes, clock } = announced([]);
    announcement.check([member('m2', 4102)]);
    await clock.advance(10_000);
    assert.equal(changes.length, 0);
  });
});

describe('a machine that has lost its member', () => {
  it('asks the others who the members are, and no more when it has one again', async () => {
    const clock = new VirtualClock();
    const followed: string[] = [];
    let asked = 0;
    const members = async () => {
      asked += 1;
      if (asked === 1) throw new Error('no leader');
      return [member('m2', 4102), member('m4', 4104)];
    };
    const watch = new MemberWatch({
      name: 'm1',
      client: { members },
      clock,
      follow: (now) => followed.push(now.map(({ name }) => name).join()),
    });
    watch.check([member('m1', 4101), member('m2', 4102)]);
    await clock.advance(60_000);
    assert.equal(asked, 0);
    watch.check([member('m2', 4102)]);
    watch.check([member('m2', 4102)]);
    for (let i = 0; i < 12; i++) await clock.advance(1_000);
    assert.deepEqual(followed, ['m1,m2', 'm2', 'm2', 'm2,m4']);
    watch.check([member('m1', 4101)]);
    await clock.advance(60_000);
    assert.equal(asked, 2);
  });
});

describe('members that were removed', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-removal-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function removal(name: string) {
    const dir = new DataDir(folder);
    const clock = new VirtualClock();
    let removed = 0;
    const spec = specOf([machine(1), machine(2), machine(3)]);
    const watch = new Removal({ dir, spec, name, clock, onRemoved: () => (removed += 1) });
    return { dir, clock, watch, removed: () => removed };
  }

  it('are marked in their folder, and one that is removed itself ends', async () => {
    const { dir, clock, watch, removed } = removal('store-1');
    watch.check(founders);
    watch.check(founders.slice(0, 2));
    await clock.advance(5_000);
    assert.deepEqual(
      ['store-1', 'store-2', 'store-3'].map((name) => dir.isRemoved(name)),
      [false, false, true],
    );
    assert.equal(removed(), 0);
    watch.check(founders.slice(1, 2));
    await clock.advance(5_000);
    assert.equal(dir.isRemoved('store-1'), true);
    assert.equal(removed(), 1);
  });

  it('are not those of the past, which a member that catches up passes through', async () => {
    const { clock, watch, removed } = removal('store-1');
    // Before it was added.
    watch.check(founders.slice(1));
    await clock.advance(60_000);
    watch.check(founders);
    watch.check(founders.slice(1));
    await clock.advance(100);
    watch.check(founders);
    await clock.advance(60_000);
    assert.equal(removed(), 0);
    assert.equal(existsSync(join(folder, 'machines', 'store-1', 'removed')), false);
  });
});
