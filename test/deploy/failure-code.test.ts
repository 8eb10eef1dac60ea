import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../deploy/create-cluster.js';
import { masters } from '../../deploy/cluster-spec.js';
import { DataDir } from '../../deploy/data-dir.js';
import { MachineProcess } from '../../deploy/machine-process.js';
import { prepareStore } from '../../deploy/store-spec.js';
import { codeOf } from '../../deploy/store-thread.js';
import { waitFor } from '../../deploy/wait.js';

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

    // A supervisor tries that again, in case it passes, and gives up; this may be after the rest of the machine runs.
    rmSync(dir.storePath(name), { recursive: true });
    writeFileSync(dir.storePath(name), 'no folder');
    await machine.start().catch(() => undefined);
    await waitFor('it to end', 20_000, async () => machine.state === 'exited');
    assert.match(machine.failure ?? '', /gives up: .* cannot create the folder: EEXIST/);
    assert.equal(machine.failureCode, 'DiskFailed');

    rmSync(dir.storePath(name));
    rmSync(join(dir.machineDir(name), 'store.has-run'));
    await machine.start();
    assert.equal(machine.failureCode, undefined);
    await machine.stop();
  });

  it('is the code of the error, or of the nearest cause that has one', () => {
    const coded = (code: unknown, cause?: unknown) => Object.assign(new Error('x', { cause }), { code });
    assert.deepEqual(codeOf(coded('A', coded('B'))), { code: 'A' });
    assert.deepEqual(codeOf(new Error('x', { cause: new Error('y', { cause: coded('B') }) })), { code: 'B' });
    assert.deepEqual(codeOf(coded(7, coded('B'))), { code: 'B' });
    assert.deepEqual(codeOf(new Error('x', { cause: 'y' })), {});
    assert.deepEqual(codeOf('x'), {});
    const circle = new Error('x');
    circle.cause = circle;
    assert.deepEqual(codeOf(circle), {});
  });
});
