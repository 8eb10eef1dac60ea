import { strict as assert } from 'node:assert';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../deploy/create-cluster.js';
import { waitFor } from '../../deploy/wait.js';

const checkout = fileURLToPath(new URL('../../..', import.meta.url));

/** One of the three processes; what it prints is read line by line. */
class CounterProcess {
  readonly id: string;
  readonly process: ChildProcess;
  #output = '';
  #errors = '';

  constructor(folder: string, id: string, group: readonly string[]) {
    this.id = id;
    this.process = spawn(process.execPath, ['counter.mjs', id, ...group], { cwd: folder });
    this.process.stdout?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    this.process.stderr?.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()));
  }

  /** Types a line and resolves with the line that it answers. */
  async say(line: string): Promise<string> {
    const answered = this.#output.split('\n').length - 1;
    this.process.stdin?.write(`${line}\n`);
    await waitFor(`${this.id} to answer ${JSON.stringify(line)} ${this.#errors}`, 10_000, async () => {
      return this.#output.split('\n').length - 1 > answered;
    });
    return this.#output.split('\n')[answered] as string;
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, 'exit');
    this.process.kill(signal);
    await ended;
  }
}

describe('the README of raft-consensus', function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), 'kabuki-counter-'));
  let group: string[] = [];
  let running: CounterProcess[] = [];

  before(async () => {
    const readme = readFileSync(join(checkout, 'raft/README.md'), 'utf8');
    const program = /```js counter\.mjs\n([\s\S]*?)```/.exec(readme)?.[1];
    assert.ok(program, 'the README has a program counter.mjs');
    assert.ok(program.trimEnd().split('\n').length <= 60, 'the program has sixty lines');
    writeFileSync(join(folder, 'counter.mjs'), program);
    symlinkSync(join(checkout, 'node_modules'), join(folder, 'node_modules'));
    group = (await freePorts(3)).map((port, at) => `${'abc'[at]}:${port}`);
    running = ['a', 'b', 'c'].map((id) => new CounterProcess(folder, id, group));
  });
  after(async () => {
    await Promise.all(running.map((member) => member.end('SIGKILL')));
    rmSync(folder, { recursive: true, force: true });
  });

  /** Who took the number, and the total then. Only what certainly was not done is asked for again. */
  async function add(number: number): Promise<{ leader: CounterProcess; total: string }> {
    for (let at = 0; at < 200; at += 1) {
      const member = running[at % running.length] as CounterProcess;
      const answer = await member.say(String(number));
      if (answer.startsWith('total ')) return { leader: member, total: answer };
      assert.match(answer, /^(NotLeader|Dropped): /);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error('nobody leads');
  }

  it('its counter is one counter on three processes, also after the leader was killed', async () => {
    assert.equal((await add(2)).total, 'total 2');
    const { leader, total } = await add(3);
    assert.equal(total, 'total 5');
    await leader.end('SIGKILL');
    running = running.filter((member) => member !== leader);
    assert.equal((await add(10)).total, 'total 15');
    const back = new CounterProcess(folder, leader.id, group);
    running.push(back);
    for (const member of running) {
      await waitFor(
        `${member.id} to know the total`,
        10_000,
        async () => (await member.say('')) === 'total 15',
      );
    }
  });

  it('and a member whose input ends stops in order', async () => {
    const [first] = running as [CounterProcess];
    const ended = once(first.process, 'exit');
    first.process.stdin?.end();
    assert.deepEqual(await ended, [0, null]);
  });
});
