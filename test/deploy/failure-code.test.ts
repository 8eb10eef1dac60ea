import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../deploy/create-cluster.js';
import { masters } from '../../deploy/cluster-spec.js';
import { DataDir } from '../../deploy/data-dir.js';
import { MachineProcess } from '../../deploy/machine-process.js';
import { prepareStore } from '../../deploy/store-spec.js';

describe('why a machine ended', function () {
  this.timeout(60_000);
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'kabuki-failure-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('comes from its thread to its launcher as a code, whatever the text says, until it starts again', async () => {
    const dir = new DataDir(folder);
    const listen = (await freePorts(1)).map(String);
    const spec = await prepareStore(dir, { members: 1, listen, alone: { trace: false } });
    const { name } = masters(spec)[0]!;
    const machine = new MachineProcess(name, dir);
    assert.equal(machine.failureCode, undefined);
    // It has run before, says its folder, and has no log.
    dir.noteStoreRuns(name);
    await assert.rejects(machine.start(), /ended while starting/);
    assert.equal(machine.failureCode, 'WalLost');

    mkdirSync(dir.storePath(name), { recursive: true });
    writeFileSync(join(dir.storePath(name), 'wal-000000000001.log'), 'these are no records of a log');
    await assert.rejects(machine.start(), /ended while starting/);
    assert.equal(machine.failureCode, 'WalCorrupt');

    rmSync(dir.storePath(name), { recursive: true });
    rmSync(join(dir.machineDir(name), 'store.has-run'));
    await machine.start();
    assert.equal(machine.failureCode, undefined);
    await machine.stop();
  });
});
