import { strict as assert } from 'node:assert';
import {
  type ApiClient,
  ApiError,
  configMaps,
  createInformerFactory,
  type Informer,
  type KubeList,
  type ListOptions,
  type WatchEventType,
  type WatchHandler,
} from '../../../actors/client/index.js';
import type { KubeObject } from '../../../actors/objects/meta.js';
import type { ConfigMap } from '../../../actors/objects/types/core.js';
import { causeNamed, type ManualSystem, manualSystem, settle } from './manual-env.js';

function configMap(name: string, resourceVersion: number, uid = `uid-${name}`): ConfigMap {
  return { metadata: { name, namespace: 'default', uid, resourceVersion: String(resourceVersion) } };
}

/** Answers lists and watches as the test says. */
class ScriptedClient {
  items: ConfigMap[] = [];
  resourceVersion = 1;
  readonly lists: ListOptions[] = [];
  readonly watches: { options: ListOptions; handler: WatchHandler<ConfigMap>; closed: boolean }[] = [];
  failWith: ApiError | undefined;

  async list(_resource: unknown, options: ListOptions): Promise<KubeList<ConfigMap>> {
    this.lists.push(options);
    if (this.failWith) throw this.failWith;
    const from = Number(options.continue ?? 0);
    const until = from + (options.limit ?? 500);
    return {
      metadata: {
        resourceVersion: String(this.resourceVersion),
        ...(until < this.items.length ? { continue: String(until) } : {}),
      },
      items: this.items.slice(from, until),
    };
  }

  async watch(
    _resource: unknown,
    options: ListOptions,
    handler: WatchHandler<ConfigMap>,
  ): Promise<() => void> {
    if (this.failWith) throw this.failWith;
    const watch = { options, handler, closed: false };
    this.watches.push(watch);
    return () => {
      watch.closed = true;
    };
  }

  send(type: WatchEventType, object: KubeObject): void {
    this.watches.at(-1)!.handler.onEvent(type, object as ConfigMap);
  }
}

describe('informer', () => {
  let manual: ManualSystem;
  let client: ScriptedClient;
  let informer: Informer<ConfigMap>;
  let log: string[];

  beforeEach(async () => {
    manual = manualSystem();
    client = new ScriptedClient();
    client.items = [configMap('a', 1), configMap('b', 1)];
    const factory = createInformerFactory({
      system: manual.system,
      client: client as unknown as ApiClient,
      limits: { listPageItems: 2, relistPauseMinMs: 100, relistPauseMaxMs: 1000 },
    });
    informer = factory.informer(configMaps);
    log = [];
    const nameOf = (object: ConfigMap) => `${object.metadata?.name}@${object.metadata?.resourceVersion}`;
    informer.addHandlers({
      added: (object) => log.push(`+${nameOf(object)} ${manual.system.cause()?.trace ?? ''}`.trim()),
      updated: (old, object) => log.push(`~${nameOf(old)}->${nameOf(object)}`),
      deleted: (last) => log.push(`-${nameOf(last)}`),
      synced: () => log.push('synced'),
    });
    await factory.synced();
  });

  it('lists, then watches from the version of the list', async () => {
    await settle();
    assert.deepEqual(log, ['+a@1', '+b@1', 'synced']);
    assert.equal(client.watches[0]?.options.resourceVersion, '1');
    assert.equal(informer.get('default/a')?.metadata?.name, 'a');
    assert.equal(informer.inNamespace('default').length, 2);
    assert.equal(informer.inNamespace('other').length, 0);
  });

  it('reports changes under the cause of the message that brought them', async () => {
    await settle();
    log.length = 0;
    manual.system.withCause(causeNamed('apply'), () => client.send('ADDED', configMap('c', 5)));
    client.send('MODIFIED', configMap('a', 6));
    client.send('DELETED', configMap('b', 7));
    assert.deepEqual(log, ['+c@5 apply', '~a@1->a@6', '-b@7']);
    assert.equal(informer.resourceVersion, '7');
  });

  it('resumes a lost watch from the last version, bookmarks included, without listing', async () => {
    await settle();
    client.send('MODIFIED', configMap('a', 6));
    client.send('BOOKMARK', { metadata: { resourceVersion: '40' } });
    client.watches[0]!.handler.onClose();
    await manual.clock.advance(200);
    assert.equal(client.lists.length, 1);
    assert.equal(client.watches[1]?.options.resourceVersion, '40');
  });

  it('lists again on 410 and reports exactly the difference', async () => {
    await settle();
    log.length = 0;
    client.items = [configMap('a', 9), configMap('c', 8), configMap('d', 8, 'new')];
    client.resourceVersion = 10;
    client.send('ERROR', { kind: 'Status', code: 410, reason: 'Expired' } as KubeObject);
    await manual.clock.advance(200);
    assert.deepEqual(log, ['-b@1', '~a@1->a@9', '+c@8', '+d@8', 'synced']);
    assert.equal(client.watches[0]!.closed, true);
    assert.deepEqual(
      client.lists.map(({ continue: token }) => token),
      [undefined, undefined, '2'],
    );
  });

  it('sees that a name was taken over by another object', async () => {
    await settle();
    log.length = 0;
    client.send('MODIFIED', configMap('a', 9, 'another'));
    assert.deepEqual(log, ['-a@1', '+a@9']);
  });

  it('ignores what an abandoned watch still says', async () => {
    await settle();
    client.watches[0]!.handler.onClose();
    await manual.clock.advance(200);
    log.length = 0;
    client.watches[0]!.handler.onEvent('ADDED', configMap('ghost', 3));
    assert.deepEqual(log, []);
  });

  it('pauses ever longer while no apiserver answers and notes each failure', async () => {
    await settle();
    client.failWith = new ApiError(0, 'ServiceUnavailable', 'nobody there', true);
    client.watches[0]!.handler.onClose();
    await manual.clock.advance(60_000);
    const failures = manual.notes.filter((note) => note === 'list or watch failed').length;
    assert.ok(failures > 55 && failures < 140, `${failures} attempts in a minute`);
    client.failWith = undefined;
    await manual.clock.advance(1000);
    assert.equal(client.watches.length, 2);
  });
});
