/** A member joins a store of real processes at a bad moment: it is killed while it catches up, and so is the leader. */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../deploy/create-cluster.js';
import { DataDir } from '../../deploy/data-dir.js';
import { waitFor } from '../../deploy/wait.js';
import { rpc } from '../harness/etcd-calls.js';
import { GrpcClient, GrpcFailure } from '../harness/grpc-client.js';
import { kabukiPath } from '../harness/process-cluster.js';
import { output, type Program, start } from '../harness/program.js';
import { startStoreAlone, type StoreAlone } from '../harness/store-alone.js';

describe('a member joins a store while processes are killed', function () {
  this.timeout(180_000);
  let store: StoreAlone;
  let folder: string;
  let joiner: Program | undefined;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-join-'));
    store = await startStoreAlone();
  });
  after(async () => {
    joiner?.process.kill('SIGINT');
    await joiner?.outcome;
    await store?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const kabuki = (...args: readonly string[]) => output(process.execPath, [kabukiPath, ...args]);
  /** Returns how many were acknowledged; the others' outcome is unknown. */
  const fill = async (port: number, prefix: string, count: number): Promise<number> => {
    const client = new GrpcClient(`http://127.0.0.1:${port}`);
    const value = Buffer.alloc(4_096, 'x');
    let next = 0;
    let acknowledged = 0;
    const write = async () => {
      while (next < count) {
        const key = `${prefix}${next++}`;
        try {
          await client.unary(...rpc.put, { key, value });
          acknowledged += 1;
        } catch (error) {
          if (!(error instanceof GrpcFailure)) throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: 32 }, write));
    client.close();
    return acknowledged;
  };

  it('it comes to vote, and all hold the same', async () => {
    const [first = 0, second = 0] = store.ports;
    assert.equal(await fill(first, 'a', 4_000), 4_000);
    const [peer = 0, port = 0] = await freePorts(2);
    const dataDir = join(folder, 'm4');
    const inStore = ['--data-dir', store.dataDir];
    const inJoined = ['--data-dir', dataDir];
    await kabuki('store', 'add', 'm4', '--peer-url', `tcp://127.0.0.1:${peer}`, ...inStore);
    const where = ['--peer-listen', `127.0.0.1:${peer}`, '--etcd-listen', `127.0.0.1:${port}`];
    const args = ['store', 'run', '--join', `127.0.0.1:${second}`, '--member', 'm4', ...where, ...inJoined];
    const program = start(process.execPath, [kabukiPath, ...args], { timeoutMs: 170_000 });
    joiner = program;
    await waitFor('it to serve', 30_000, async () => {
      assert.equal(program.process.exitCode, null, program.stderr);
      return program.stdout.includes('member list');
    });
    const [machine] = new DataDir(dataDir).readSpec().machines;
    const name = machine?.name as string;
    await kabuki('fault', 'kill', name, ...inJoined);
    const killed = /^(store-\d): kill done/.exec(await kabuki('fault', 'kill', 'leader', ...inStore))?.[1];
    const alive = store.ports[killed === 'store-1' ? 1 : 0] as number;
    await Promise.all([fill(alive, 'b', 200), kabuki('fault', 'start', name, ...inJoined)]);
    await kabuki('fault', 'start', killed as string, ...inStore);
    interface Listed {
      readonly title?: string;
      readonly voter: boolean;
    }
    await waitFor('it to vote', 60_000, async () => {
      const members = JSON.parse(await kabuki('store', 'members', '-o', 'json', ...inStore)) as Listed[];
      return members.some(({ title, voter }) => title === 'm4' && voter);
    });
    assert.equal(await fill(port, 'c', 10), 10);
    interface Hash {
      readonly hash: number;
      readonly hashRevision: number;
    }
    const hashes = async (...at: readonly string[]) =>
      JSON.parse(await kabuki('store', 'hash', '-o', 'json', ...at)) as Hash[];
    await waitFor('all to be as far', 30_000, async () => {
      const all = [...(await hashes(...inStore)), ...(await hashes(...inJoined))];
      assert.equal(all.length, 4);
      const isSame = new Set(all.map(({ hashRevision }) => hashRevision)).size === 1;
      if (isSame) assert.equal(new Set(all.map(({ hash }) => hash)).size, 1);
      return isSame;
    });
  });
});
