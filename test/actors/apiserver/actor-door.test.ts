import assert from 'node:assert/strict';
import { afterEach } from 'mocha';
import { apiserverActor } from '../../../actors/apiserver/index.js';
import type { ApiServerMessage } from '../../../actors/apiserver/messages.js';
import { type ApiClient, ApiError, configMaps, createApiClient } from '../../../actors/client/index.js';
import { actorRef, type RunningActorSystem } from '../../../actors/runtime/index.js';
import { nodeId } from '../../../transport/index.js';
import { admin, serverWorld, type ServerWorld } from './server-world.js';

describe('the actor door', () => {
  let cluster: ServerWorld;
  let worker: RunningActorSystem;
  let client: ApiClient;

  beforeEach(async () => {
    cluster = await serverWorld();
    cluster.system.spawn(
      apiserverActor({
        handler: cluster.server,
        identify: (node) => (node.startsWith('worker') ? admin : undefined),
      }),
    );
    worker = cluster.world.system('worker-1');
    client = clientOf(worker);
  });
  afterEach(() => cluster.world.end());

  const clientOf = (system: RunningActorSystem) =>
    createApiClient({
      system,
      apiservers: [actorRef<ApiServerMessage>(nodeId('master-1'), '/apiserver')],
      userAgent: 'test',
    });
  const settled = <T>(promise: Promise<T>) => cluster.world.settled(promise);
  const map = (name: string, value = '') => ({ metadata: { name, namespace: 'default' }, data: { value } });

  it('carries the verbs', async () => {
    const created = await settled(client.create(configMaps, map('a', '1')));
    assert.ok(created.metadata?.resourceVersion);
    const updated = await settled(client.update(configMaps, { ...created, data: { value: '2' } }));
    assert.equal(updated.data?.['value'], '2');
    await assert.rejects(
      settled(client.update(configMaps, created)),
      (error: ApiError) => error.reason === 'Conflict',
    );
    assert.equal((await settled(client.list(configMaps, { namespace: 'default' }))).items.length, 1);
    await settled(client.delete(configMaps, 'default', 'a'));
    await assert.rejects(
      settled(client.get(configMaps, 'default', 'a')),
      (error: ApiError) => error.reason === 'NotFound' && error.status === 404,
    );
  });

  it('streams watches under credit', async () => {
    const seen: string[] = [];
    const list = await settled(client.list(configMaps));
    const stop = await settled(
      client.watch(
        configMaps,
        { resourceVersion: list.metadata.resourceVersion },
        { onEvent: (type, object) => seen.push(`${type} ${object.metadata?.name}`), onClose: () => {} },
      ),
    );
    for (let index = 0; index < 100; index += 1) await settled(client.create(configMaps, map(`m${index}`)));
    await cluster.world.until(() => seen.length === 100);
    assert.equal(seen[99], 'ADDED m99');
    stop();
  });

  it('lets nobody in who is not known', async () => {
    const stranger = clientOf(cluster.world.system('stranger'));
    await assert.rejects(
      settled(stranger.get(configMaps, 'default', 'a')),
      (error: ApiError) => error.status === 401,
    );
  });

  it('tells watchers under the cause of the write, so that a trace goes through the store', async () => {
    const traces: (string | undefined)[] = [];
    const list = await settled(client.list(configMaps));
    await settled(
      client.watch(
        configMaps,
        { resourceVersion: list.metadata.resourceVersion },
        { onEvent: () => traces.push(worker.cause()?.trace.split('-')[1]), onClose: () => {} },
      ),
    );
    const trace = 'a'.repeat(32);
    const begin = () => client.create(configMaps, map('traced'));
    await settled(worker.withCause({ trace: `00-${trace}-${'b'.repeat(16)}-01` as never }, begin));
    await cluster.world.until(() => traces.length === 1);
    assert.deepEqual(traces, [trace]);
  });
});
