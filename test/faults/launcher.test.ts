/** What a user does to `kabuki up` itself: Ctrl-C, SIGKILL, down and up again, at bad moments. */
import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubernetesServiceIp } from '../../deploy/cluster-spec.js';
import { isAlive } from '../../deploy/process-table.js';
import { waitFor } from '../../deploy/wait.js';
import { freePort, noneAlive, ProcessCluster } from '../harness/process-cluster.js';

describe('a cluster whose launcher is treated badly', function () {
  this.timeout(120_000);
  let cluster: ProcessCluster;

  before(async () => {
    cluster = await ProcessCluster.up({ masters: 1, workers: 1 });
  });
  after(() => cluster.stop());

  it('a launcher that is killed leaves no machine but a paused one, which "down" ends', async () => {
    const [launcher, ...machines] = await cluster.pids();
    const paused = await cluster.pidOf('worker-1');
    await cluster.kabukiOutput('fault', 'pause', 'worker-1');
    process.kill(launcher as number, 'SIGKILL');
    await noneAlive(machines.filter((pid) => pid !== paused));
    assert.equal(isAlive(paused), true);
    assert.match(await cluster.kabukiOutput('down'), /ended what it had left: worker-1/);
    await noneAlive([paused]);
    assert.match((await cluster.kabuki('down')).stderr, /is not running/);
  });

  it('"up" beside another cluster that took its addresses meanwhile says so and ends', async () => {
    const address = kubernetesServiceIp(cluster.spec);
    const squatter = await listen(6443, address);
    try {
      const outcome = await cluster.kabuki('up', '--detach');
      assert.equal(outcome.code, 1);
      assert.match(outcome.stderr, /loopback addresses of this cluster .* are in use, by another cluster/);
    } finally {
      squatter.close();
    }
  });

  it('"up" takes the place of what a killed launcher left, at once, with all data', async () => {
    await cluster.restart();
    await cluster.kubectl.run('create', 'configmap', 'kept', '--from-literal=a=b');
    const [launcher, ...machines] = await cluster.pids();
    await cluster.kabukiOutput('fault', 'pause', 'worker-1');
    process.kill(launcher as number, 'SIGKILL');
    await cluster.restart();
    await noneAlive(machines);
    assert.match(await cluster.kubectl.run('get', 'configmap', 'kept'), /kept/);
  });

  it('a machine that ended by itself is shown and healed', async () => {
    process.kill(await cluster.pidOf('master-1'), 'SIGKILL');
    await waitFor('the end to be seen', 5_000, async () =>
      (await cluster.machines()).some(({ name, state }) => name === 'master-1' && state === 'exited'),
    );
    assert.match(await cluster.kabukiOutput('status'), /master-1 +exited/);
    await cluster.kabukiOutput('fault', 'heal');
    await cluster.allReady();
    for (const { name } of cluster.spec.machines) {
      assert.equal(readFileSync(cluster.dir.logPath(name), 'utf8'), '');
    }
  });

  for (const machines of [0, 2]) {
    it(`Ctrl-C while ${machines === 0 ? 'no' : 'each'} machine runs leaves nothing behind`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'kabuki-interrupt-'));
      const other = new ProcessCluster(folder, true);
      try {
        const port = String(await freePort());
        const up = other.startKabuki('up', '--masters', '1', '--workers', '1', '--port', port);
        let pids: number[] = [];
        await waitFor('the launcher to be there', 20_000, async () => {
          pids = await other.pids();
          return pids.length > machines;
        });
        process.kill(up.process.pid as number, 'SIGINT');
        const outcome = await up.outcome;
        assert.equal(outcome.code, 0, outcome.stderr);
        assert.doesNotMatch(outcome.stderr, /\S/);
        await noneAlive(pids);
      } finally {
        other.killNow();
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
});

function listen(port: number, host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, host, () => resolve(server));
  });
}
