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
import { SimWorld } from '../../sim/world.js';
import { MemoryStore } from '../apiserver/memory-store.js';
import { admin, testVersion } from '../apiserver/server-world.js';
import { node, pod } from './cluster-builder.js';

const machines = ['m1', 'm2', 'm3'] as const;

describe('scheduler with the real apiserver', () => {
  let world: SimWorld;
  let systems: RunningActorSystem[];
  let hosts: RunningActorSystem[];
  let servers: ApiServer[];
  let client: ApiClient;

  /** The apiservers live on nodes of their own, `m1.api`, over one store. */
  async function begin(seed: number): Promise<void> {
    world = new SimWorld(seed);
    const keeper = world.system(nodeId('store'));
    const store = new MemoryStore(keeper.env.clock, () => encodeCause(keeper.cause()));
    systems = machines.map((name) => world.system(nodeId(name)));
    hosts = machines.map((name) => world.system(nodeId(`${name}.api`)));
    servers = hosts.map((system) => {
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
    await world.pass(200);
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
      await world.settled(
        client.create(pods, pod(`${prefix}${n}`, { image: 'i', requests: { cpu: '100m' } })),
      );
    }
  }

  async function addNodes(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      const { status, ...rest } = node(`n${n}`);
      const made = await world.settled(client.create(nodes, rest));
      await world.settled(client.updateStatus(nodes, { ...made, status: status! }));
    }
  }

  async function bound(): Promise<(string | undefined)[]> {
    const list = await world.settled(client.list(pods, { namespace: 'default' }));
    return list.items.map(({ spec }) => spec?.nodeName);
  }

  async function eventually(condition: () => Promise<boolean>): Promise<void> {
    const untilMs = world.simulation.nowMs + 30_000;
    while (!(await condition())) {
      assert.ok(world.simulation.nowMs < untilMs, 'not within 30 s of virtual time');
      await world.pass(100);
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
    await world.settled(client.create(pods, pod('huge', { image: 'i', requests: { cpu: '64' } })));
    await eventually(async () => {
      const { status } = await world.settled(client.get(pods, 'default', 'huge'));
      return status?.conditions?.some(({ reason }) => reason === 'Unschedulable') ?? false;
    });
    const huge = await world.settled(client.get(pods, 'default', 'huge'));
    const condition = huge.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    assert.equal(
      condition?.message,
      '0/2 nodes are available: 2 Insufficient cpu. ' +
        'preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
    );
    const said = await world.settled(client.list(events, { namespace: 'default' }));
    const reasons = said.items.map(({ reason }) => reason);
    assert.equal(reasons.filter((reason) => reason === 'Scheduled').length, 5);
    assert.ok(reasons.includes('FailedScheduling'));
    const lease = await world.settled(client.get(leases, 'kube-system', 'kube-scheduler'));
    const shown = await world.settled(client.get(endpoints, 'kube-system', 'kube-scheduler'));
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
    const { spec } = await world.settled(client.get(leases, 'kube-system', 'kube-scheduler'));
    const own = systems.findIndex(({ node: name }) => spec?.holderIdentity === `${name}_1`);
    client = clientOf((own + 1) % 3, 'tester');
    world.kill(systems[own]!.node);
    const before = world.simulation.nowMs;
    await create(3, 'b');
    await eventually(allBound);
    assert.ok(world.simulation.nowMs - before < 3_300, `took ${world.simulation.nowMs - before} ms`);
  });

  it('refuses what a deposed leader writes', async () => {
    await begin(3);
    const lease = (holderIdentity: string) => ({
      metadata: { name: 'lock', namespace: 'kube-system' },
      spec: { holderIdentity, leaseTransitions: 4, leaseDurationSeconds: 2 },
    });
    const made = await world.settled(client.create(leases, lease('me')));
    const fencing = 'kube-system/lock=me/4';
    const map = (name: string) => ({ metadata: { name, namespace: 'default' } });
    await world.settled(client.create(configMaps, map('while-leading'), { fencing }));
    await world.settled(client.update(leases, { ...lease('other'), metadata: made.metadata! }));
    const error = await world.settled(
      client.create(configMaps, map('deposed'), { fencing }).catch((reason: unknown) => reason),
    );
    assert(error instanceof ApiError);
    assert.deepEqual([error.status, error.reason, error.definite], [409, 'Conflict', true]);
  });

  it('keeps an informer complete through the crash of apiservers', async () => {
    await begin(4);
    const factory = createInformerFactory({ system: systems[0]!, client });
    const informer = factory.informer(configMaps, { namespace: 'default' });
    await world.settled(factory.synced());
    for (let n = 0; n < 12; n += 1) {
      const object = { metadata: { name: `c${n}`, namespace: 'default' }, data: { n: String(n) } };
      await world.settled(clientOf(1, 'tester').create(configMaps, object));
      if (n % 4 === 3) assert.ok(hosts[n % 8 === 3 ? 0 : 1]!.crash('/apiserver', 'on purpose'));
      await world.pass(300);
    }
    await world.run(() => informer.list().length === 12, { maxVirtualMs: 10_000 });
    factory.stop();
  });
});
