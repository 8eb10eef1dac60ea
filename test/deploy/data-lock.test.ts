import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { DataDir } from '../../deploy/data-dir.js';
import { lockDataDir } from '../../deploy/data-lock.js';
import { waitFor } from '../../deploy/wait.js';

describe('the lock on a data directory', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-lock-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const file = () => join(folder, 'lock');
  const heldBy = (holder: object) => writeFileSync(file(), JSON.stringify(holder));
  const lock = () => lockDataDir(new DataDir(folder));

  it('is held by a living process, which is named', async () => {
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    try {
      const stat = readFileSync(`/proc/${other.pid}/stat`, 'utf8');
      const startedAt = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
      heldBy({ pid: other.pid, startedAt, host: hostname() });
      assert.throws(lock, new RegExp(`in use by process ${other.pid}: stop it first`));
      // Another process has the pid now.
      heldBy({ pid: other.pid, startedAt: '1', host: hostname() });
      lock().release();
    } finally {
      other.kill('SIGKILL');
    }
  });

  it('is taken over from a process that has ended, and from a file that a crash left in pieces', () => {
    heldBy({ pid: 2 ** 22 + 1, host: hostname() });
    lock().release();
    writeFileSync(file(), '{"pid":');
    const held = lock();
    assert.equal((JSON.parse(readFileSync(file(), 'utf8')) as { pid: number }).pid, process.pid);
    held.release();
    assert.equal(existsSync(file()), false);
  });

  it('is taken over from one that has ended and that nobody has asked for', async () => {
    // The shell becomes a program that never asks for the child that it had before, which ends after that: a shell asks.
    const parent = spawn('sh', ['-c', 'cat <&3 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
    });
    try {
      const [text] = (await once(parent.stdout!, 'data')) as [Buffer];
      const pid = Number(text.toString());
      await waitFor('the shell to have become another program', 5_000, async () =>
        readFileSync(`/proc/${parent.pid}/comm`, 'utf8').startsWith('sleep'),
      );
      (parent.stdio[3] as Writable).end();
      let fields: string[] = [];
      await waitFor('the child to have ended', 5_000, async () => {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        return fields[0] === 'Z';
      });
      heldBy({ pid, startedAt: fields[19], host: hostname() });
      lock().release();
    } finally {
      parent.kill('SIGKILL');
    }
  });

  it('is not taken over from another machine: nobody here can know', () => {
    heldBy({ pid: 1, host: 'elsewhere' });
    assert.throws(
      lock,
      /used by process 1 on elsewhere: stop it first; if that machine is gone for certain, remove/,
    );
  });
});
