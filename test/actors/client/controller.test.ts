import { strict as assert } from 'node:assert';
import {
  ApiError,
  configMaps,
  controllerActor,
  type ControllerSource,
  type Informer,
  type InformerHandlers,
  keyOf,
  keysOf,
  type ReconcileTools,
} from '../../../actors/client/index.js';
import type { ConfigMap } from '../../../actors/objects/types/core.js';
import type { RunningActorSystem } from '../../../actors/runtime/index.js';
import { nodeId } from '../../../transport/index.js';
import { SimWorld } from '../../sim/world.js';
import { causeNamed } from './manual-env.js';

/** An informer that the test fills by hand. */
class HandFedInformer {
  hasSynced = false;
  readonly objects = new Map<string, ConfigMap>();
  readonly handlers = new Set<InformerHandlers<ConfigMap>>();
  readonly resource = configMaps;

  list(): readonly ConfigMap[] {
    return [...this.objects.values()];
  }

  addHandlers(handlers: InformerHandlers<ConfigMap>): () => void {
    this.handlers.add(handlers);
    return () => this.handlers.delete(handlers);
  }

  add(name: string): void {
    const object = { metadata: { namespace: 'default', name } };
    this.objects.set(keyOf(object), object);
    for (const handlers of this.handlers) handlers.added?.(object);
  }

  sync(): void {
    this.hasSynced = true;
    for (const handlers of this.handlers) handlers.synced?.();
  }
}

describe('controller', () => {
  let world: SimWorld;
  let system: RunningActorSystem;
  let informer: HandFedInformer;
  let source: ControllerSource;
  let seen: string[];

  beforeEach(() => {
    world = new SimWorld(3);
    system = world.system(nodeId('m1'));
    informer = new HandFedInformer();
    source = keysOf(informer as unknown as Informer<ConfigMap>, (object) => [keyOf(object)]);
    seen = [];
  });

  type Reconcile = (key: string, tools: ReconcileTools) => Promise<{ requeueAfterMs?: number } | void>;

  function start(reconcile: Reconcile, workers = 2): void {
    system.supervise({
      id: 'controllers',
      strategy: 'one-for-one',
      intensity: { maxRestarts: 3, windowMs: 10_000 },
      backoff: { minMs: 10, maxMs: 100, resetAfterMs: 10_000 },
      children: [
        controllerActor({
          name: 'test',
          workers,
          sources: [source],
          reconcile: (key, tools) => {
            seen.push(key);
            return reconcile(key, tools);
          },
          limits: { retryMinMs: 100, retryMaxMs: 1000 },
        }),
      ],
    });
  }

  const pause = (ms: number) => new Promise<void>((resolve) => system.env.clock.setTimer(ms, resolve));

  it('does nothing before its informers have synced', async () => {
    start(async () => {});
    await world.pass(20);
    informer.add('a');
    await world.pass(100);
    assert.deepEqual(seen, []);
    informer.sync();
    await world.pass(100);
    assert.deepEqual(seen, ['default/a']);
  });

  it('works on several keys at once but never on one key twice', async () => {
    let running = 0;
    let most = 0;
    const active = new Set<string>();
    start(async (key) => {
      assert(!active.has(key));
      active.add(key);
      running += 1;
      most = Math.max(most, running);
      await pause(50);
      active.delete(key);
      running -= 1;
    });
    informer.sync();
    await world.pass(20);
    for (const name of ['a', 'b', 'c', 'a', 'a']) informer.add(name);
    await world.pass(10);
    informer.add('a');
    await world.pass(1000);
    assert.equal(most, 2);
    assert.deepEqual(seen, ['default/a', 'default/b', 'default/c', 'default/a']);
  });

  it('reconciles under the cause of the change', async () => {
    const traces: unknown[] = [];
    start(async () => {
      await pause(5);
      traces.push(system.cause()?.trace);
    });
    informer.sync();
    await world.pass(20);
    const trace = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`;
    system.withCause(causeNamed(trace), () => informer.add('a'));
    await world.pass(100);
    assert.deepEqual(traces, [trace]);
  });

  it('notes a failure and tries again with a growing pause, conflicts quietly', async () => {
    const at: number[] = [];
    start(async () => {
      at.push(world.simulation.nowMs);
      if (at.length === 1) throw new Error('store is full');
      if (at.length === 2) throw new ApiError(409, 'Conflict', 'modified', true);
    });
    informer.sync();
    await world.pass(20);
    informer.add('a');
    await world.pass(5000);
    assert.equal(at.length, 3);
    assert.ok(at[1]! - at[0]! >= 100 && at[2]! - at[1]! >= 200);
    assert.deepEqual(
      world.journal
        .events()
        .filter(({ kind }) => kind === 'reconcile failed')
        .map(({ detail }) => detail?.['error']),
      ['store is full'],
    );
  });

  it('comes back when a reconcile asks for it', async () => {
    start(async () => (seen.length === 1 ? { requeueAfterMs: 500 } : undefined));
    informer.sync();
    await world.pass(20);
    informer.add('a');
    await world.pass(400);
    assert.equal(seen.length, 1);
    await world.pass(200);
    assert.equal(seen.length, 2);
  });

  it('crashes on a programmer error and starts from scratch', async () => {
    start(async () => {
      if (seen.length === 1) assert.fail('a bug');
    });
    informer.sync();
    await world.pass(20);
    informer.add('a');
    await world.pass(300);
    assert.equal(world.journal.events().filter((event) => event.type === 'crash').length, 1);
    assert.equal(informer.handlers.size, 1, 'the handlers of the crashed one are gone');
    informer.add('b');
    await world.pass(300);
    assert.deepEqual(seen, ['default/a', 'default/b']);
  });
});
