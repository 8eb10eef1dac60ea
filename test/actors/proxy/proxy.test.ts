import { strict as assert } from 'node:assert';
import { createInformerFactory, endpointSlices, services } from '../../../actors/client/index.js';
import {
  type Listener,
  type ProxyLimits,
  proxySpec,
  SimulatedServiceProxy,
} from '../../../actors/proxy/index.js';
import { MemoryApi } from '../kubelet/memory-api.js';
import { simWorld } from '../runtime/world.js';
import { service, slice } from './plan.test.js';

describe('proxy', () => {
  const start = (limits: Partial<ProxyLimits> = {}) => {
    const world = simWorld(3);
    const system = world.system('worker-1');
    const { clock } = system.env;
    const api = new MemoryApi((callback) => clock.defer(callback));
    const informers = createInformerFactory({ system, client: api });
    const proxy = new SimulatedServiceProxy();
    system.spawn(
      proxySpec({ system, client: api, informers, proxy, nodeName: 'worker-1', nodeIP: '127.0.0.1', limits }),
    );
    const run = (forMs: number) => {
      const end = clock.monotonicMs() + forMs;
      return world.until(() => clock.monotonicMs() >= end);
    };
    return { world, system, api, proxy, run };
  };

  it('serves a service while it has ready endpoints', async () => {
    const { world, api, proxy } = start();
    await api.create(services, service());
    const made = await api.create(endpointSlices, slice([{ addresses: ['127.64.1.1'] }]));
    await world.until(() => proxy.listeners.length === 1);
    await api.update(endpointSlices, { ...made, endpoints: [{ addresses: ['127.64.1.2'] }] });
    await world.until(() => proxy.listeners[0]?.backends[0]?.address === '127.64.1.2');
    await api.delete(services as never, 'default', 'web');
    await world.until(() => proxy.listeners.length === 0);
  });

  it('applies changes that come together once', async () => {
    const { world, api, proxy, run } = start();
    await run(1000);
    let count = 0;
    const apply = proxy.apply.bind(proxy);
    proxy.apply = (listeners: readonly Listener[]) => {
      count += 1;
      apply(listeners);
    };
    for (let at = 0; at < 20; at += 1) {
      await api.create(services, service({ clusterIP: `127.96.0.${at + 1}` }, `web-${at}`));
      await api.create(endpointSlices, slice([{ addresses: ['127.64.1.1'] }], {}, `web-${at}`));
    }
    await world.until(() => proxy.listeners.length === 20);
    assert.ok(count <= 2, `${count} times`);
  });

  it('closes its listeners when no apiserver answers for long, and opens them when one does', async () => {
    const { world, api, proxy, run } = start({ contactIntervalMs: 1000, staleAfterMs: 4000 });
    await api.create(services, service());
    await api.create(endpointSlices, slice([{ addresses: ['127.64.1.1'] }]));
    await world.until(() => proxy.listeners.length === 1);
    // NotFound is an answer too.
    await run(10_000);
    assert.equal(proxy.listeners.length, 1);
    api.down = true;
    await run(3000);
    assert.equal(proxy.listeners.length, 1);
    await run(3000);
    assert.equal(proxy.listeners.length, 0);
    api.down = false;
    await world.until(() => proxy.listeners.length === 1);
  });

  it('keeps what is served through a crash of the actor', async () => {
    const { world, system, api, proxy } = start();
    await api.create(services, service());
    await api.create(endpointSlices, slice([{ addresses: ['127.64.1.1'] }]));
    await world.until(() => proxy.listeners.length === 1);
    const served = proxy.listeners;
    assert.ok(system.crash('/proxy', 'on purpose'));
    assert.equal(proxy.listeners, served);
    await api.create(services, service({ clusterIP: '127.96.0.11' }, 'other'));
    await api.create(endpointSlices, slice([{ addresses: ['127.64.1.1'] }], {}, 'other'));
    await world.until(() => proxy.listeners.length === 2);
  });

  it('says on the service what it cannot do, once', async () => {
    const { api, run } = start();
    await api.create(services, service({ internalTrafficPolicy: 'Local' }));
    await api.create(endpointSlices, slice([{ addresses: ['127.64.1.1'] }]));
    await run(1000);
    await api.create(endpointSlices, slice([{ addresses: ['127.64.1.1'] }], {}, 'x'));
    await run(1000);
    assert.equal(api.events('web').length, 1);
    assert.match(api.events('web')[0]!, /^TrafficPolicyNotApplied/);
  });
});
