import assert from 'node:assert/strict';
import { afterEach } from 'mocha';
import { apiserverActor } from '../../../actors/apiserver/index.js';
import type { ApiReply, ApiServerMessage } from '../../../actors/apiserver/messages.js';
import {
  type ApiClient,
  ApiError,
  configMaps,
  createApiClient,
  type WatchHandler,
} from '../../../actors/client/index.js';
import type { ConfigMap } from '../../../actors/objects/types/core.js';
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
  /** From now on; returns what ends it. */
  async function watchMaps(
    onEvent: WatchHandler<ConfigMap>['onEvent'],
    onClose: () => void = () => {},
  ): Promise<() => void> {
    const { metadata } = await settled(client.list(configMaps));
    const { resourceVersion } = metadata;
    return await settled(client.watch(configMaps, { resourceVersion }, { onEvent, onClose }));
  }

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

  it('refuses letters that are malformed, says why, and goes on', async () => {
    const door = actorRef<ApiServerMessage>(nodeId('master-1'), '/apiserver');
    const replies: ApiReply[] = [];
    const { ref: replyTo } = worker.callback<ApiReply>('test', (reply) => replies.push(reply));
    const request = { method: 'GET', path: '/api', query: '', headers: {} };
    const good = { type: 'ApiRequest', request, replyTo, credit: 0, requestId: 'r' };
    const malformed: readonly object[] = [
      { ...good, request: undefined },
      { ...good, request: { ...request, headers: { accept: 7 } } },
      { ...good, request: { ...request, headers: undefined } },
      { ...good, request: { ...request, path: null } },
      { ...good, request: { ...request, body: 'text' } },
      { ...good, credit: -1 },
      { ...good, replyTo: { node: 'NOBODY', path: '/x' } },
      { ...good, replyTo: undefined },
      { ...good, requestId: 7 },
      { type: 'ApiCredit', requestId: 'r', chunks: 'all' },
      { type: 'ApiCancel' },
      { type: 'ApiResponseHead' },
    ];
    const before = cluster.system.deadLetterCount;
    for (const letter of malformed) worker.tell(door, letter as ApiServerMessage);
    await cluster.world.until(() => cluster.system.deadLetterCount === before + malformed.length);
    assert.ok(
      cluster.system.deadLetters.slice(-malformed.length).every(({ reason }) => reason === 'malformed'),
    );
    const answerable = malformed.slice(0, 6);
    await cluster.world.until(() => replies.length === answerable.length);
    assert.ok(replies.every((reply) => reply.type === 'ApiResponseHead' && reply.status === 400));
    worker.tell(door, good as ApiServerMessage);
    await cluster.world.until(() => replies.length === answerable.length + 1);
    assert.equal((await settled(client.list(configMaps, { namespace: 'default' }))).items.length, 0);
  });

  it('a watch takes no letter that is malformed for news, and goes on', async () => {
    const seen: string[] = [];
    const stop = await watchMaps(
      (type) => seen.push(type),
      () => seen.push('closed'),
    );
    const requestId = `worker-1/1/watch/1-1`;
    const path = '/watch/1-1';
    const letters = [
      { type: 'ApiChunk', requestId, seq: 0 },
      { type: 'ApiChunk' },
      { type: 'ApiStreamEnd', requestId },
    ];
    const before = worker.deadLetterCount;
    for (const letter of letters) {
      cluster.system.tell(actorRef<ApiReply>(worker.node, path), letter as ApiReply);
    }
    await cluster.world.until(() => worker.deadLetterCount === before + 3);
    await settled(client.create(configMaps, map('news')));
    await cluster.world.until(() => seen.includes('ADDED'));
    assert.deepEqual(
      seen.filter((type) => type === 'closed'),
      [],
    );
    stop();
  });

  it('streams watches under credit', async () => {
    const seen: string[] = [];
    const stop = await watchMaps((type, object) => seen.push(`${type} ${object.metadata?.name}`));
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
    await watchMaps(() => traces.push(worker.cause()?.trace.split('-')[1]));
    const trace = 'a'.repeat(32);
    const begin = () => client.create(configMaps, map('traced'));
    await settled(worker.withCause({ trace: `00-${trace}-${'b'.repeat(16)}-01` as never }, begin));
    await cluster.world.until(() => traces.length === 1);
    assert.deepEqual(traces, [trace]);
  });
});
