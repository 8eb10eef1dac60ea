/**
 * Client, informers, election and scheduler against the real apiserver, over a store in memory, in virtual
 * time.
 */
import { strict as assert } from 'node:assert';
import { type ApiServer, apiserverActor, createApiServer } from '../../../actors/apiserver/index.js';
import type { ApiServerMessage } from '../../../actors/apiserver/messages.js';
import {
  type ApiClient,
  ApiError,
  configMaps,
  createApiClient,
  createInformerFactory,
  endpoints,
  events,
  leases,
  nodes,
  pods,
} from '../../../actors/client/index.js';
import { electionClientLimits, leaderAnnotation, leaderElection } from '../../../actors/leadership/index.js';
import { builtinRegistry } from '../../../actors/objects/index.js';
import { type ActorRef, actorRef, type RunningActorSystem } from '../../../actors/runtime/index.js';
import { schedulerSpec } from '../../../actors/scheduler/index.js';
import { encodeCause } from '../../../actors/store/index.js';
import { nodeId } from '../../../transport/index.js';
import { MemoryStore } from '../apiserver/memory-store.js';
import { admin, testVersion } from '../apiserver/server-world.js';
import { SimCluster } from '../client/sim-cluster.js';
import { node, pod } from './cluster-builder.js';

const machines = ['m1', 'm2', 'm3'] as const;

describe('scheduler with the real apiserver', () => {
  let cluster: SimCluster;
  let systems: RunningActorSystem[];
  let servers: ApiServer[];
  let client: ApiClient;

  /** The apiservers live on nodes of their own, `m1.api`, over one store. */
  async function begin(seed: number): Promise<void> {
    cluster = new SimCluster(seed);
    const names = [...machines, ...machines.map((name) => `${name}.api`), 'store'];
    const host = cluster.start('store', names);
    const store = new MemoryStore(host.env.clock, () => encodeCause(host.cause()));
    systems = machines.map((name) => cluster.start(name, names));
    servers = machines.map((name) => {
      const system = cluster.start(`${name}.api`, names);
      const server = createApiServer({
        system,
        store,
        registry: builtinRegistry(),
        kubelets: (to) => actorRef(nodeId(to), '/kubelet'),
        version: testVersion,
      });
      server.start();
      system.spawn(apiserverActor({ handler: server, identify: () => admin }));
      return server;
    });
    client = clientOf(0, 'tester');
    await cluster.run(200);
  }

  function clientOf(own: number, userAgent: string, election = false): ApiClient {
    const refs = machines.map((name): ActorRef<ApiServerMessage> =>
      actorRef(nodeId(`${name}.api`), '/apiserver'),
    );
    const apiservers = [...refs.slice(own), ...refs.slice(0, own)];
    const limits = election ? electionClientLimits : {};
    return createApiClient({ system: systems[own]!, apiservers, userAgent, limits });
  }

  function runSchedulers(): void {
    systems.forEach((system, own) => {
      system.spawn({
        ...leaderElection({
          lockName: 'kube-scheduler',
          identity: `${system.node}_1`,
          client: clientOf(own, 'kube-scheduler', true),
          onLead: (fencing) => schedulerSpec({ system, client: clientOf(own, 'kube-scheduler'), fencing }),
        }),
        id: 'kube-scheduler',
      });
    });
  }

  async function create(count: number, prefix: string): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      await cluster.settled(
        client.create(pods, pod(`${prefix}${n}`, { image: 'i', requests: { cpu: '100m' } })),
      );
    }
  }

  async function addNodes(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      const { status, ...rest } = node(`n${n}`);
      const made = await cluster.settled(client.create(nodes, rest));
      await cluster.settled(client.updateStatus(nodes, { ...made, status: status! }));
    }
  }

  async function bound(): Promise<(string | undefined)[]> {
    const list = await cluster.settled(client.list(pods, { namespace: 'default' }));
    return list.items.map(({ spec }) => spec?.nodeName);
  }

  async function eventually(condition: () => Promise<boolean>): Promise<void> {
    const untilMs = cluster.simulation.nowMs + 30_000;
    while (!(await condition())) {
      assert.ok(cluster.simulation.nowMs < untilMs, 'not within 30 s of virtual time');
      await cluster.run(100);
    }
  }

  const allBound = async () => (await bound()).every((name) => name !== undefined);

  afterEach(() => {
    for (const server of servers) server.stop();
  });

  it('elects, schedules and explains, as kubectl shows it', async () => {
    await begin(1);
    await addNodes(2);
    runSchedulers();
    await create(5, 'p');
    await eventually(allBound);
    await cluster.settled(client.create(pods, pod('huge', { image: 'i', requests: { cpu: '64' } })));
    await eventually(async () => {
      const { status } = await cluster.settled(client.get(pods, 'default', 'huge'));
      return status?.conditions?.some(({ reason }) => reason === 'Unschedulable') ?? false;
    });
    const huge = await cluster.settled(client.get(pods, 'default', 'huge'));
    const condition = huge.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    assert.equal(
      condition?.message,
      '0/2 nodes are available: 2 Insufficient cpu. ' +
        'preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
    );
    const said = await cluster.settled(client.list(events, { namespace: 'default' }));
    const reasons = said.items.map(({ reason }) => reason);
    assert.equal(reasons.filter((reason) => reason === 'Scheduled').length, 5);
    assert.ok(reasons.includes('FailedScheduling'));
    const lease = await cluster.settled(client.get(leases, 'kube-system', 'kube-scheduler'));
    const shown = await cluster.settled(client.get(endpoints, 'kube-system', 'kube-scheduler'));
    const annotation = JSON.parse(shown.metadata?.annotations?.[leaderAnnotation] ?? '{}') as object;
    assert.deepEqual(Object.keys(annotation), [
      'holderIdentity',
      'leaseDurationSeconds',
      'acquireTime',
      'renewTime',
      'leaderTransitions',
    ]);
    assert.ok(lease.spec?.holderIdentity);
  });

  it('goes on within 3 s when the machine of the leader dies', async () => {
    await begin(2);
    await addNodes(2);
    runSchedulers();
    await create(3, 'a');
    await eventually(allBound);
    const { spec } = await cluster.settled(client.get(leases, 'kube-system', 'kube-scheduler'));
    const own = systems.findIndex(({ node: name }) => spec?.holderIdentity === `${name}_1`);
    client = clientOf((own + 1) % 3, 'tester');
    cluster.kill(systems[own]!);
    const before = cluster.simulation.nowMs;
    await create(3, 'b');
    await eventually(allBound);
    assert.ok(cluster.simulation.nowMs - before < 3_300, `took ${cluster.simulation.nowMs - before} ms`);
  });

  it('refuses what a deposed leader writes', async () => {
    await begin(3);
    const lease = (holderIdentity: string) => ({
      metadata: { name: 'lock', namespace: 'kube-system' },
      spec: { holderIdentity, leaseTransitions: 4, leaseDurationSeconds: 2 },
    });
    const made = await cluster.settled(client.create(leases, lease('me')));
    const fencing = 'kube-system/lock=me/4';
    const map = (name: string) => ({ metadata: { name, namespace: 'default' } });
    await cluster.settled(client.create(configMaps, map('while-leading'), { fencing }));
    await cluster.settled(client.update(leases, { ...lease('other'), metadata: made.metadata! }));
    const error = await cluster.settled(
      client.create(configMaps, map('deposed'), { fencing }).catch((reason: unknown) => reason),
    );
    assert(error instanceof ApiError);
    assert.deepEqual([error.status, error.reason, error.definite], [409, 'Conflict', true]);
  });

  it('keeps an informer complete through the crash of apiservers', async () => {
    await begin(4);
    const factory = createInformerFactory({ system: systems[0]!, client });
    const informer = factory.informer(configMaps, { namespace: 'default' });
    await cluster.settled(factory.synced());
    for (let n = 0; n < 12; n += 1) {
      const object = { metadata: { name: `c${n}`, namespace: 'default' }, data: { n: String(n) } };
      await cluster.settled(clientOf(1, 'tester').create(configMaps, object));
      if (n % 4 === 3) assert.ok(cluster.crashApiServer(n % 8 === 3 ? 'm1.api' : 'm2.api'));
      await cluster.run(300);
    }
    await cluster.until(() => informer.list().length === 12, { maxVirtualMs: 10_000 });
    factory.stop();
  });
});
