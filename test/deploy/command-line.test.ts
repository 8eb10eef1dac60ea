import { strict as assert } from 'node:assert';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { checkKinds } from '../../deploy/letter-kinds.js';
import { isAlive } from '../../deploy/process-table.js';
import { waitFor } from '../../deploy/wait.js';
import { freePort, kabukiPath, noneAlive, ProcessCluster } from '../harness/process-cluster.js';
import { type Outcome, run, start } from '../harness/program.js';

const kabuki = (...args: readonly string[]): Promise<Outcome> => run(process.execPath, [kabukiPath, ...args]);

function expect(outcome: Outcome, code: number, text: RegExp): void {
  const said = outcome.stdout + outcome.stderr;
  assert.equal(outcome.code, code, said);
  assert.match(said, text);
  assert.doesNotMatch(said, /\n {4}at /, 'a stack trace is no message');
}

describe('the command line', function () {
  this.timeout(180_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-cli-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('npx kabuki --help lists the commands', async () => {
    const outcome = await run('npx', ['--no-install', 'kabuki', '--help'], {
      cwd: dirname(dirname(kabukiPath)),
    });
    assert.equal(outcome.code, 0, outcome.stderr);
    for (const command of ['up', 'down', 'status', 'tree', 'kubectl', 'fault', 'trace', 'demo']) {
      assert.match(outcome.stdout, new RegExp(`^ {2}${command}\\b`, 'm'));
    }
  });

  it('help of a command below a command, asked for in either way, is its own', async () => {
    const { stdout } = await kabuki('store', 'snapshot', 'save', '--help');
    assert.match(stdout, /^Usage: kabuki store snapshot save /);
    assert.equal((await kabuki('help', 'store', 'snapshot', 'save')).stdout, stdout);
  });

  it('a reader that goes early, as `head` does, is no failure', async () => {
    const script = '("$0" "$1" --help; echo "ended with $?" >&2) | true';
    expect(await run('sh', ['-c', script, process.execPath, kabukiPath]), 0, /^ended with 0\n$/);
  });

  for (const [args, text] of [
    [['nonsense'], /unknown command 'nonsense'/],
    [['nonsense', '--help'], /unknown command 'nonsense'/],
    [['help', 'stor'], /unknown command 'stor' \(Did you mean store\?\)/],
    [['store', 'nonsense', '--help'], /unknown command 'nonsense'/],
    [['store', 'snapshot', 'nonsense', '-h'], /unknown command 'nonsense'/],
    [['up', 'nonsense'], /too many arguments for 'up'\. Expected 0 arguments but got 1\./],
    [['up', 'nonsense', '--help'], /too many arguments for 'up'\. Expected 0 arguments but got 1\./],
    [
      ['store', 'compact', '1', '2', '-h'],
      /too many arguments for 'compact'\. Expected 1 argument but got 2\./,
    ],
    [['up', '--nonsense'], /unknown option '--nonsense'/],
    [['up', '--masters', 'three'], /must be a whole number/],
    [['fault', 'nonsense'], /unknown command 'nonsense'/],
    [['fault', 'kill'], /missing required argument/],
    [['fault', 'link', 'a', 'b', '--drop', '2'], /a number from 0 to 1/],
    [['fault', 'link', 'a', 'b', '--drop', ''], /a number from 0 to 1/],
    [['fault', 'link', 'a', 'b', '--delay', '9-1'], /MAX must not be below MIN/],
    [['fault', 'link', 'a', 'b', '--delay', '99999999999'], /must not be above 600000 ms/],
    [
      ['fault', 'isolate', 'a', '--for', '0'],
      /from 1 to 86400 seconds \(see "kabuki fault isolate --help"\)/,
    ],
    [['fault', 'partition', 'a', 'b', '--for', '-5'], /from 1 to 86400 seconds/],
    [['up', '--masters', ''], /must be a whole number/],
    [['store', 'run', '--heartbeat-interval', '150'], /must be a multiple of 100/],
    [['store', 'tune', '--quota-backend-bytes', '0'], /must be 1 or more/],
    [['trace', '--format', 'painting'], /Allowed choices are/],
  ] as const) {
    it(`kabuki ${args.join(' ')}: wrong usage, exit code 2`, async () => {
      const outcome = await kabuki(...args);
      expect(outcome, 2, text);
      assert.match(outcome.stderr, /^kabuki: .* \(see "kabuki.* --help"\)\n$/);
    });
  }

  for (const [args, text] of [
    [['--masters', '2'], /--masters must be 1, 3 or 5/],
    [['--workers', '-1'], /--workers must be a whole number from 0 to 100/],
    [['--port', '99999'], /--port must be from 1 to 65535/],
    [['--name', 'Not A Label'], /must be a DNS label/],
    [['--cluster', '/nonexistent.yaml'], /cluster file \/nonexistent\.yaml cannot be read/],
  ] as const) {
    it(`up ${args.join(' ')}: refused, and no folder is left`, async () => {
      const dataDir = join(folder, 'refused');
      expect(await kabuki('up', '--data-dir', dataDir, ...args), 1, text);
      assert.equal(existsSync(join(dataDir, 'cluster.json')), false);
    });
  }

  for (const command of ['up', 'store run'] as const) {
    it(`${command} in a folder that cannot be one says why, at once`, async () => {
      const file = join(folder, 'file');
      writeFileSync(file, '');
      for (const [dataDir, message] of [
        [file, /the folder .*file cannot be used: .*file is a file: name another one with --data-dir/],
        [join(file, 'below'), /the folder .*below cannot be used: .*file is a file/],
        ['/proc/nobody-makes-folders-here', /the folder \/proc\/.* cannot be used/],
        ['', /a folder must have a name: --data-dir is empty/],
      ] as const) {
        const words = [...command.split(' '), '--data-dir', dataDir];
        // Where an empty name would have made it.
        const outcome = await run(process.execPath, [kabukiPath, ...words], {
          cwd: folder,
          timeoutMs: 20_000,
        });
        expect(outcome, 1, message);
      }
      assert.equal(existsSync(join(folder, 'cluster.json')), false);
    });
  }

  it('a backup that cannot be opened is named, and so is a folder that is none', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const [nowhere, place] = [join(folder, 'no-backup'), join(folder, 'restored')];
    const named = /the backup .*no-backup cannot be read: ENOENT/;
    expect(await kabuki('store', 'snapshot', 'status', nowhere), 1, named);
    expect(await kabuki('store', 'snapshot', 'restore', nowhere, '--data-dir', place), 1, named);
    assert.equal(existsSync(place), false);
    const outcome = await kabuki('store', 'snapshot', 'restore', nowhere, '--data-dir', file);
    expect(outcome, 1, /file is a file: a backup is restored into a new folder/);
    const save = await kabuki('store', 'snapshot', 'save', join(nowhere, 'x.db'));
    expect(save, 1, /there is no folder .*no-backup: make it first/);
  });

  it('a heartbeat that comes after the election timeout is refused by the names of the options', async () => {
    const place = join(folder, 'store');
    const outcome = await kabuki('store', 'run', '--heartbeat-interval', '800', '--data-dir', place);
    expect(outcome, 1, /--heartbeat-interval \(800\) must be below --election-timeout \(800\)/);
    assert.equal(existsSync(place), false);
  });

  it('kubectl on the folder of a store alone says that there is no apiserver, and trace how to get journals', async () => {
    const dataDir = mkdtempSync(join(folder, 'store-alone-'));
    writeFileSync(join(dataDir, 'cluster.json'), '{"id":"a","machines":[],"store":{}}');
    const outcome = await kabuki('kubectl', '--data-dir', dataDir, 'get', 'nodes');
    expect(outcome, 1, /holds a store that runs alone: there is no apiserver, ask it with etcdctl/);
    const trace = await kabuki('trace', '--data-dir', dataDir);
    expect(trace, 1, /there are no journals in \/.*: "kabuki store run --trace" writes them/);
  });

  it('kubectl --help needs no cluster', async () => {
    const outcome = await kabuki('kubectl', '--data-dir', join(folder, 'none'), 'get', '--help');
    expect(outcome, 0, /Display one or many resources/);
  });

  it('up --cluster says what is wrong in the file', async () => {
    const file = join(folder, 'cluster.yaml');
    const dataDir = join(folder, 'refused');
    for (const [text, message] of [
      ['masters: [', /cannot be read/],
      ['just text', /must hold a mapping/],
      ['colour: red', /unknown field "colour"; known: name, masters, workers, port/],
      ['masters: many', /"masters" must be a number/],
    ] as const) {
      writeFileSync(file, text);
      expect(await kabuki('up', '--cluster', file, '--data-dir', dataDir), 1, message);
    }
  });

  for (const args of [
    ['status'],
    ['down'],
    ['tree'],
    ['kubectl', 'get', 'nodes'],
    ['trace'],
    ['fault', 'list'],
    ['fault', 'heal'],
  ]) {
    it(`${args.join(' ')} without a cluster says how to start one`, async () => {
      const [command = '', ...rest] = args;
      const at = ['--data-dir', join(folder, 'none')];
      const words = command === 'fault' ? [command, ...rest, ...at] : [command, ...at, ...rest];
      expect(await kabuki(...words), 1, /there is no cluster in .*none: start one with "kabuki up"/);
    });
  }

  it('up on a port in use says so', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
    try {
      const outcome = await kabuki('up', '--port', String(port), '--data-dir', join(folder, 'refused'));
      expect(outcome, 1, new RegExp(`port ${port} on 127\\.0\\.0\\.1 is in use`));
    } finally {
      server.close();
    }
  });

  it('a damaged cluster.json is named', async () => {
    const dataDir = mkdtempSync(join(folder, 'damaged-'));
    writeFileSync(join(dataDir, 'cluster.json'), '{"id":');
    expect(await kabuki('status', '--data-dir', dataDir), 1, /cluster\.json is damaged/);
  });

  describe('with a running cluster', () => {
    let cluster: ProcessCluster;
    before(async () => {
      cluster = await ProcessCluster.up({ masters: 1, workers: 1 });
    });
    after(() => cluster?.stop());

    it('a second up is refused', async () => {
      expect(
        await cluster.kabuki('up'),
        1,
        /is already running \(process \d+\): "kabuki down --data-dir \/.*" stops it/,
      );
    });

    it('unknown machines, actors and faults are named', async () => {
      expect(
        await cluster.kabuki('fault', 'kill', 'master-9'),
        1,
        /has no machine master-9; it has master-1, worker-1/,
      );
      expect(await cluster.kabuki('fault', 'isolate', 'nobody'), 1, /has no machine nobody/);
      expect(
        await cluster.kabuki('fault', 'partition', 'master-1', 'master-1'),
        1,
        /cannot be on both sides/,
      );
      expect(await cluster.kabuki('fault', 'link', 'master-1', 'worker-1'), 1, /say what is to go wrong/);
      const itself = ['fault', 'link', 'leader', 'master-1', '--drop', '1'];
      expect(await cluster.kabuki(...itself), 1, /no fault is between master-1 and itself/);
      expect(
        await cluster.kabuki('fault', 'partition', '*'),
        1,
        /there is no machine besides master-1, worker-1/,
      );
      expect(await cluster.kabuki('fault', 'crash', 'master-1', '/nobody'), 1, /no actor \/nobody/);
      expect(await cluster.kabuki('fault', 'resume', 'master-1'), 1, /not paused/);
      expect(await cluster.kabuki('tree', 'master-9'), 1, /has no machine master-9/);
      expect(await cluster.kabuki('trace', '--id', 'f'.repeat(32)), 1, /the journals hold nothing of that/);
    });

    it('what is so already is refused; what is done to one machine names one', async () => {
      expect(await cluster.kabuki('fault', 'start', 'worker-1'), 1, /worker-1 is running already/);
      const many = /name one machine, not master-1, worker-1/;
      for (const what of ['kill', 'pause', 'start']) {
        expect(await cluster.kabuki('fault', what, 'master-1,worker-1'), 1, many);
      }
      expect(await cluster.kabuki('fault', 'crash', '*', '/kubelet'), 1, many);
      assert(Object.values(await cluster.machines()).every(({ state }) => state === 'running'));
    });

    it('a second fault of the same machine is one more, of its own kind or to another machine', async () => {
      const drop = ['fault', 'link', 'master-1', 'worker-1', '--drop', '0', '--kind'];
      await cluster.kabukiOutput(...drop, 'RaftAppend');
      await cluster.kabukiOutput(...drop, 'ApiRequest', 'ApiCredit');
      await cluster.kabukiOutput('fault', 'partition', 'worker-1', '--for', '3600', '--one-way');
      await cluster.kabukiOutput('fault', 'partition', 'worker-1', 'master-1', '--one-way');
      const list = await cluster.kabukiOutput('fault', 'list');
      await cluster.kabukiOutput('fault', 'heal');
      for (const id of ['RaftAppend', 'ApiCredit-ApiRequest'].map(
        (kind) => `drop-master-1-worker-1-${kind}`,
      )) {
        assert.match(list, new RegExp(`^master-1 +${id} `, 'm'));
      }
      assert.match(list, /^worker-1 +partition-worker-1 +cut to master-1 /m);
      assert.match(list, /^worker-1 +partition-worker-1-master-1 +cut to master-1 /m);
    });

    it('--kind takes what goes between machines, and nothing else', async () => {
      const bad = ['fault', 'link', 'master-1', 'worker-1', '--drop', '0', '--kind', 'RaftApend'];
      expect(
        await cluster.kabuki(...bad),
        1,
        /no letter between machines is of the kind "RaftApend": near it are RaftAppend;/,
      );
      const journals = (await cluster.kabukiOutput('trace', '--format', 'ndjson')).trim().split('\n');
      const sent = journals
        .map((line) => JSON.parse(line) as { type: string; from?: string; to?: string; kind?: string })
        .filter(({ type, from, to }) => type === 'send' && machineAt(from) !== machineAt(to))
        .map(({ kind }) => kind ?? '');
      assert(sent.includes('ApiRequest'), 'the journals were read');
      checkKinds(sent);
    });

    it('a fault with a paused machine does not wait for it', async () => {
      await cluster.kabukiOutput('fault', 'pause', 'worker-1');
      const outcome = await cluster.kabuki('fault', 'isolate', 'worker-1');
      const start = await cluster.kabuki('fault', 'start', 'worker-1');
      await cluster.kabukiOutput('fault', 'heal');
      expect(outcome, 0, /^worker-1: is paused, and sends as before once it is resumed\n/m);
      expect(start, 1, /worker-1 is paused: "kabuki fault resume worker-1"/);
      assert.equal(await cluster.kabukiOutput('fault', 'list'), 'nothing is broken\n');
    });

    it('status, as a table and as JSON', async () => {
      assert.match(
        await cluster.kabukiOutput('status'),
        /master-1 +running +\d+ +\d+ MiB +leader term \d+ rev \d+/,
      );
      const status = JSON.parse(await cluster.kabukiOutput('status', '--json')) as {
        machines: { name: string }[];
      };
      assert.deepEqual(
        status.machines.map(({ name }) => name),
        ['master-1', 'worker-1'],
      );
    });

    it('kubectl passes arguments, input and exit codes through', async () => {
      assert.match(
        await cluster.kabukiOutput('kubectl', 'get', 'nodes', '-o', 'name'),
        /^node\/master-1\nnode\/worker-1\n$/,
      );
      assert.equal((await cluster.kabuki('kubectl', 'get', 'pod', 'none')).code, 1);
      assert.match(
        (await cluster.kabuki('kubectl', '--help')).stdout,
        /kubectl controls the Kubernetes cluster manager/,
      );
    });

    it('a second cluster runs beside it, with ranges and ports of its own', async () => {
      const second = await ProcessCluster.up({ masters: 1, workers: 0 });
      try {
        assert.notEqual(second.spec.frontPort, cluster.spec.frontPort);
        assert.notEqual(second.spec.serviceCidr, cluster.spec.serviceCidr);
        await second.kubectl.run('create', 'configmap', 'only-here');
        assert.equal((await cluster.kubectl.try('get', 'configmap', 'only-here')).code, 1);
      } finally {
        await second.stop();
      }
    });

    it('down leaves no process and no socket; a second down says that nothing runs; up finds the data', async () => {
      await cluster.kubectl.run('create', 'configmap', 'kept');
      await cluster.kubectl.run('run', 'sleeper', '--image=busybox', '--command', '--', 'sleep', '3600');
      await cluster.kubectl.run('wait', '--for=condition=Ready', 'pod/sleeper', '--timeout=30s');
      const pids = await cluster.pids();
      const sockets = cluster.dir.runDir();
      assert.match(await cluster.kabukiOutput('down'), /^stopped; "kabuki up --data-dir .*" starts it again/);
      await noneAlive(pids);
      assert.equal(existsSync(sockets), false, `${sockets} is still there`);
      expect(await cluster.kabuki('down'), 1, /is not running: "kabuki up --data-dir \/.*" starts it/);
      expect(await cluster.kabuki('status'), 1, /is not running/);
      expect(
        await cluster.kabuki('up', '--masters', '3'),
        1,
        /holds a cluster of 1 masters and 1 workers, not 3 and 1/,
      );
      await cluster.restart();
      await cluster.kubectl.run('get', 'configmap', 'kept');
      await cluster.kubectl.run('wait', '--for=condition=Ready', 'pod/sleeper', '--timeout=30s');
    });

    it('SIGKILL of the launcher: the machines end by themselves, and up works again', async () => {
      const pids = await cluster.pids();
      const launcher = pids[0] as number;
      process.kill(launcher, 'SIGKILL');
      await noneAlive(pids, 20_000);
      await cluster.restart();
      await cluster.kubectl.run('get', 'configmap', 'kept');
    });
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`${signal} stops everything and exits with 0`, async () => {
      const dataDir = mkdtempSync(join(folder, 'foreground-'));
      const args = [
        'up',
        '--masters',
        '1',
        '--workers',
        '1',
        '--port',
        String(await freePort()),
        '--data-dir',
        dataDir,
      ];
      const program = start(process.execPath, [kabukiPath, ...args], { timeoutMs: 80_000 });
      const cluster = new ProcessCluster(dataDir, false);
      await waitFor('the cluster to be ready', 40_000, async () => program.stdout.includes('is ready at'));
      const pids = await cluster.pids();
      assert(pids.every(isAlive));
      program.process.kill(signal);
      const outcome = await program.outcome;
      assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
      await noneAlive(pids);
    });
  }

  it('SIGINT while it starts stops what has started', async () => {
    const dataDir = mkdtempSync(join(folder, 'early-'));
    const args = ['up', '--port', String(await freePort()), '--data-dir', dataDir];
    const program = start(process.execPath, [kabukiPath, ...args], { timeoutMs: 60_000 });
    const cluster = new ProcessCluster(dataDir, false);
    let pids: number[] = [];
    await waitFor('the launcher to answer', 20_000, async () => {
      pids = await cluster.pids();
      return pids.length > 1;
    });
    program.process.kill('SIGINT');
    await program.outcome;
    await noneAlive(pids, 20_000);
  });
});

/** Of `kabuki://master-1.store/store`. */
function machineAt(address = ''): string {
  return /^kabuki:\/\/([^./]+)/.exec(address)?.[1] ?? address;
}
