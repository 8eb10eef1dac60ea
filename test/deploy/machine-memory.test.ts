import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../deploy/create-cluster.js';
import { masters } from '../../deploy/cluster-spec.js';
import { DataDir } from '../../deploy/data-dir.js';
import { MachineProcess } from '../../deploy/machine-process.js';
import { prepareStore } from '../../deploy/store-spec.js';

describe('the memory of a machine', function () {
  this.timeout(60_000);
  let folder: string;
  let machine: MachineProcess;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-memory-'));
    const dir = new DataDir(folder);
    const spec = await prepareStore(dir, {
      members: 1,
      listen: (await freePorts(1)).map(String),
      alone: { trace: false },
    });
    machine = new MachineProcess(masters(spec)[0]!.name, dir);
  });
  afterEach(() => machine.stop());
  after(() => rmSync(folder, { recursive: true, force: true }));

  const environment = () => readFileSync(`/proc/${machine.pid}/environ`, 'utf8').split('\0');

  it('is not divided into a heap of the allocator for each thread', async () => {
    await machine.start();
    assert.ok(environment().includes('MALLOC_ARENA_MAX=1'));
  });

  it('is what the environment says of it, if it does', async () => {
    process.env['MALLOC_ARENA_MAX'] = '2';
    try {
      await machine.start();
      const said = environment().filter((line) => line.startsWith('MALLOC_ARENA_MAX='));
      assert.deepEqual(said, ['MALLOC_ARENA_MAX=2']);
    } finally {
      delete process.env['MALLOC_ARENA_MAX'];
    }
  });
});
