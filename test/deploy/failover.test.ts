import { strict as assert } from 'node:assert';
import { waitFor } from '../../deploy/wait.js';
import type { Kubectl } from '../harness/kubectl.js';
import type { ProcessCluster } from '../harness/process-cluster.js';
import { freshNamespace, sharedCluster } from '../harness/shared-cluster.js';

describe('failover of real processes', function () {
  this.timeout(180_000);
  let cluster: ProcessCluster;
  let kubectl: Kubectl;
  before(async () => {
    cluster = await sharedCluster();
    kubectl = await freshNamespace('failover');
  });
  afterEach('leave the machines as they were', async () => {
    await cluster.kabukiOutput('fault', 'heal');
    await cluster.allReady(60_000);
  });

  const path = () => `/api/v1/namespaces/${kubectl.namespace}/configmaps`;
  /** HTTP status; 0 when nobody answered in time. */
  const write = async (name: string, port?: number, timeoutMs = 4_000): Promise<number> => {
    const body = JSON.stringify({ metadata: { name } });
    const headers = { 'content-type': 'application/json' };
    const call = { method: 'POST', path: path(), body, headers, timeoutMs, ...(port && { port }) };
    return (await cluster.http(call).catch(() => undefined))?.status ?? 0;
  };
  const names = async (port?: number): Promise<Set<string>> => {
    const { body } = await cluster.http({ path: path(), ...(port && { port }) });
    const { items } = JSON.parse(body) as { items: { metadata: { name: string } }[] };
    return new Set(items.map(({ metadata }) => metadata.name));
  };
  const masters = () => cluster.spec.machines.filter(({ role }) => role === 'master');

  it('SIGKILL of the master that leads: kubectl works within 5 s, pods are made, no acknowledged write is lost', async () => {
    const leader = await cluster.leaseHolder('kube-scheduler');
    const store = await cluster.storeLeader();
    if (store !== leader) {
      await cluster.control(store, 'store.transfer', { to: leader });
      await waitFor(
        `${leader} to lead the store`,
        10_000,
        async () => (await cluster.storeLeader()) === leader,
      );
    }
    const acknowledged: string[] = [];
    let stop = false;
    const writing = (async () => {
      for (let i = 0; !stop && i < 500; i += 1) {
        if ((await write(`durable-${i}`, undefined, 2_000)) === 201) acknowledged.push(`durable-${i}`);
      }
    })();
    await waitFor('some writes', 10_000, async () => acknowledged.length >= 10);
    process.kill(await cluster.pidOf(leader), 'SIGKILL');
    const killed = Date.now();
    await waitFor('kubectl to write again', 20_000, async () => {
      await kubectl.run('create', 'configmap', `after-${Date.now()}`, '--request-timeout=2s');
      return true;
    });
    const recoveredMs = Date.now() - killed;
    stop = true;
    await writing;
    await kubectl.run('create', 'deployment', 'after', '--image=nginx:1', '--port=8080', '--replicas=2');
    await kubectl.run('rollout', 'status', 'deployment/after', '--timeout=60s');
    assert.notEqual(await cluster.leaseHolder('kube-scheduler'), leader);
    const present = await names();
    assert.deepEqual(
      acknowledged.filter((name) => !present.has(name)),
      [],
      'acknowledged writes are lost',
    );
    assert(recoveredMs < 5_000, `kubectl works again after ${recoveredMs} ms`);
    const states = (await cluster.machines()).filter(({ state }) => state === 'exited');
    assert.deepEqual(
      states.map(({ name }) => name),
      [leader],
    );
  });

  it('a killed machine that starts again catches up', async () => {
    const victim = masters()
      .map(({ name }) => name)
      .at(-1) as string;
    await cluster.kabukiOutput('fault', 'kill', victim);
    await waitFor('a write without it', 15_000, async () => [201, 409].includes(await write('while-away')));
    await cluster.kabukiOutput('fault', 'start', victim);
    const port = cluster.spec.machines.find(({ name }) => name === victim)?.httpsPort;
    await waitFor(`${victim} to serve what it missed`, 30_000, async () =>
      (await names(port)).has('while-away'),
    );
  });

  it('the store leader cut off accepts no write; the majority does; after the heal all agree', async () => {
    const cut = await cluster.storeLeader();
    assert.match(await cluster.kabukiOutput('fault', 'isolate', 'leader'), new RegExp(`cut ${cut} <-> `));
    assert.match(await cluster.kabukiOutput('fault', 'list'), new RegExp(`${cut} .*partition.*cut`));
    const port = (name: string) => cluster.spec.machines.find((machine) => machine.name === name)?.httpsPort;
    const minority = write('by-the-minority', port(cut), 15_000);
    const other = masters().find(({ name }) => name !== cut);
    await waitFor('the majority to accept a write', 15_000, async () =>
      [201, 409].includes(await write('by-the-majority', other?.httpsPort)),
    );
    const status = await minority;
    assert.notEqual(status, 201);
    assert.notEqual(status, 409);
    assert.equal(await cluster.kabukiOutput('fault', 'heal'), 'healed\n');
    await waitFor('all masters to agree', 30_000, async () => {
      const views = await Promise.all(masters().map(({ httpsPort }) => names(httpsPort)));
      return views.every((view) => view.has('by-the-majority') && !view.has('by-the-minority'));
    });
  });

  it('a paused master does not stop the others, and comes back', async () => {
    const paused = await cluster.storeLeader();
    await cluster.kabukiOutput('fault', 'pause', paused);
    await waitFor('a write while it sleeps', 20_000, async () =>
      [201, 409].includes(await write('while-asleep', undefined, 2_000)),
    );
    await cluster.kabukiOutput('fault', 'resume', paused);
    const port = cluster.spec.machines.find(({ name }) => name === paused)?.httpsPort;
    await waitFor(`${paused} to serve what it missed`, 30_000, async () =>
      (await names(port)).has('while-asleep'),
    );
  });

  it('a crashed scheduler actor is restarted by its supervisor, the tree shows it, and it schedules', async () => {
    // On a busy machine another one may come to lead meanwhile; then it is the other one's turn to crash.
    await waitFor('a restart that the tree shows', 60_000, async () => {
      const leader = await cluster.leaseHolder('kube-scheduler');
      const actor = (await cluster.tree(leader)).find(
        ({ path, children }) => path.endsWith('/scheduler') && children.length === 0,
      );
      if (actor?.state !== 'running') return false;
      if (actor.restarts === 0) {
        await cluster.kabukiOutput('fault', 'crash', leader, actor.path);
        return false;
      }
      return /scheduler \(running, restarts \d/.test(await cluster.kabukiOutput('tree', leader));
    });
    await kubectl.run('run', 'scheduled', '--image=nginx:1', '--port=8080');
    await kubectl.run('wait', '--for=condition=Ready', 'pod/scheduled', '--timeout=60s');
  });

  it('the death of a worker loses no pod for long', async () => {
    await kubectl.run('create', 'deployment', 'moving', '--image=nginx:1', '--port=8080', '--replicas=2');
    await kubectl.run('rollout', 'status', 'deployment/moving', '--timeout=60s');
    await cluster.kabukiOutput('fault', 'kill', 'worker-2');
    await waitFor('worker-2 to be NotReady', 90_000, async () =>
      /worker-2 +NotReady/.test(await kubectl.run('get', 'nodes')),
    );
    await cluster.kabukiOutput('fault', 'start', 'worker-2');
    await cluster.allReady(60_000);
    await kubectl.run('rollout', 'status', 'deployment/moving', '--timeout=60s');
  });
});
