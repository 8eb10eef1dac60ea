import { strict as assert } from 'node:assert';
import { decideSlices } from '../../../actors/controllers/endpoint-slice-decision.js';
import { decideEndpoints } from '../../../actors/controllers/endpoints-decision.js';
import { endpoints, endpointSlices, pods, services } from '../../../actors/client/index.js';
import type { Pod, Service, ServiceSpec } from '../../../actors/objects/types/core.js';
import type { EndpointSlice } from '../../../actors/objects/types/discovery.js';
import { controllersWorld, podSpec } from './controllers-world.js';

describe('endpoint slice decision', () => {
  it('shows ready pods of the service with their node, port and reference', () => {
    const { create } = decideSlices(service(), [pod('a', { ready: true }), pod('x', { labels: {} })], []);
    assert.equal(create.length, 1);
    assert.deepEqual(create[0]?.ports, [{ name: 'http', port: 8080, protocol: 'TCP' }]);
    assert.deepEqual(create[0]?.endpoints, [
      {
        addresses: ['10.0.0.1'],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: 'node-1',
        targetRef: { kind: 'Pod', namespace: 'default', name: 'a', uid: 'uid-a' },
      },
    ]);
    assert.equal(create[0]?.metadata?.generateName, 'web-');
    assert.deepEqual(create[0]?.metadata?.labels, {
      'kubernetes.io/service-name': 'web',
      'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
    });
  });

  it('a terminating pod is not ready from that moment on, but still serves', () => {
    const { create } = decideSlices(service(), [pod('a', { ready: true, terminating: true })], []);
    assert.deepEqual(create[0]?.endpoints?.[0]?.conditions, {
      ready: false,
      serving: true,
      terminating: true,
    });
  });

  it('publishNotReadyAddresses makes every pod ready', () => {
    const { create } = decideSlices(service({ publishNotReadyAddresses: true }), [pod('a', {})], []);
    assert.deepEqual(create[0]?.endpoints?.[0]?.conditions, {
      ready: true,
      serving: false,
      terminating: false,
    });
  });

  it('pods whose named port differs go into slices apart', () => {
    const named = service({ ports: [{ name: 'http', port: 80, targetPort: 'web' }] });
    const { create } = decideSlices(named, [pod('a', { port: 1 }), pod('b', { port: 2 })], []);
    assert.deepEqual(
      create.map(({ ports, endpoints: shown }) => [ports?.[0]?.port, shown?.[0]?.targetRef?.name]),
      [
        [1, 'a'],
        [2, 'b'],
      ],
    );
  });

  it('leaves out pods that have ended or have no address yet, and keeps one empty slice', () => {
    const { create } = decideSlices(service(), [pod('a', { phase: 'Succeeded' }), pod('b', { ip: '' })], []);
    assert.deepEqual(
      create.map((slice) => slice.endpoints),
      [[]],
    );
  });

  it('does nothing when the slices already show the pods', () => {
    const all = [pod('a', { ready: true }), pod('b', {})];
    const { create } = decideSlices(service(), all, []);
    assert.deepEqual(decideSlices(service(), all, create), { create: [], update: [], remove: [] });
  });

  it('splits at 100 endpoints, fills the slice that has room, and drops the one that is left empty', () => {
    const all = Array.from({ length: 150 }, (_, i) => pod(`p${String(i).padStart(3, '0')}`, { ready: true }));
    const { create } = decideSlices(service(), all, []);
    assert.deepEqual(
      create.map((slice) => slice.endpoints?.length),
      [100, 50],
    );
    const slices = create.map((slice, i) => named(slice, `web-${i}`));
    const more = decideSlices(service(), [...all, pod('z', { ready: true })], slices);
    assert.deepEqual([more.create.length, more.remove.length], [0, 0]);
    assert.deepEqual(more.update.map(countOf), [['web-1', 51]]);
    const less = decideSlices(service(), all.slice(0, 100), slices);
    assert.deepEqual([less.update, less.remove.map(countOf)], [[], [['web-1', 50]]]);
  });

  it('an ExternalName or selectorless service has no slices of ours', () => {
    assert.deepEqual(
      decideSlices(service({ type: 'ExternalName' }), [pod('a', {})], []).create[0]?.endpoints,
      [],
    );
  });

  it('headless services say so, and name hosts of their subdomain', () => {
    const headless = service({ clusterIP: 'None', ports: [] });
    const { create } = decideSlices(headless, [pod('a', { hostname: 'a', subdomain: 'web' })], []);
    assert.equal(create[0]?.metadata?.labels?.['service.kubernetes.io/headless'], '');
    assert.equal(create[0]?.endpoints?.[0]?.hostname, 'a');
    assert.deepEqual(create[0]?.ports, []);
  });
});

describe('endpoints decision', () => {
  it('separates ready from not ready, and shows no terminating pod', () => {
    const all = [
      pod('a', { ready: true, ip: '10.0.0.2' }),
      pod('b', { ip: '10.0.0.3' }),
      pod('c', { ready: true, terminating: true }),
    ];
    const wanted = decideEndpoints(service(), all, undefined);
    assert.deepEqual(
      wanted?.subsets?.map(({ addresses, notReadyAddresses, ports }) => ({
        up: addresses?.map(({ ip }) => ip),
        down: notReadyAddresses?.map(({ ip }) => ip),
        ports,
      })),
      [{ up: ['10.0.0.2'], down: ['10.0.0.3'], ports: [{ name: 'http', port: 8080, protocol: 'TCP' }] }],
    );
    assert.equal(decideEndpoints(service(), all, wanted), undefined);
  });

  it('cuts off at 1000 addresses, ready ones first, and says so', () => {
    const all = Array.from({ length: 1001 }, (_, i) => pod(`p${i}`, { ready: i === 1000 }));
    const wanted = decideEndpoints(service(), all, undefined);
    const [subset] = wanted?.subsets ?? [];
    assert.deepEqual([subset?.addresses?.length, subset?.notReadyAddresses?.length], [1, 999]);
    assert.equal(wanted?.metadata?.annotations?.['endpoints.kubernetes.io/over-capacity'], 'truncated');
  });

  it('shows nothing for pods that lack the named port', () => {
    const wanted = decideEndpoints(
      service({ ports: [{ name: 'http', port: 80, targetPort: 'nosuch' }] }),
      [pod('a', { ready: true })],
      undefined,
    );
    assert.deepEqual(wanted?.subsets, []);
  });
});

describe('endpoints of a service', () => {
  it('follow the readiness and the end of its pods', async () => {
    const { client, kubelets, run, eventually, gone } = await controllersWorld();
    kubelets.getsReady = (each) => each.metadata?.name !== 'b';
    kubelets.endsAfterMs = 20_000;
    await run(
      client.create(services, {
        metadata: { name: 'web', namespace: 'default' },
        spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }] },
      } as Service),
    );
    for (const name of ['a', 'b']) {
      await run(
        client.create(pods, {
          metadata: { name, namespace: 'default', labels: { app: 'web' } },
          spec: podSpec(),
        }),
      );
    }
    const shown = async () => {
      const { items } = await client.list(endpointSlices, {
        namespace: 'default',
        labelSelector: 'kubernetes.io/service-name=web',
      });
      return items.flatMap((slice) => slice.endpoints ?? []);
    };
    const readyOnes = async () =>
      (await shown())
        .filter(({ conditions }) => conditions?.ready)
        .map(({ targetRef }) => targetRef?.name)
        .sort();
    const text = async () => (await readyOnes()).join();
    await eventually(shown, (all) => all.length === 2);
    await eventually(text, (names) => names === 'a');
    await run(client.get(pods, 'default', 'b').then((b) => kubelets.setReady(b, true)));
    await eventually(text, (names) => names === 'a,b', 1_000);
    await eventually(
      () => client.get(endpoints, 'default', 'web'),
      (object) => object.subsets?.[0]?.addresses?.length === 2 && object.subsets[0].ports?.[0]?.port === 8080,
      1_000,
    );
    await run(client.delete(pods, 'default', 'a'));
    await eventually(text, (names) => names === 'b', 1_000);
    await eventually(
      () => client.get(endpoints, 'default', 'web'),
      (object) => object.subsets?.[0]?.addresses?.length === 1,
      1_000,
    );
    // Those that somebody else keeps stay as they are.
    const before = await run(client.list(endpoints));
    const foreign = before.items.filter((each) => each.metadata?.name !== 'web');
    assert.ok(foreign.length > 0);
    await run(client.delete(services, 'default', 'web'));
    await gone(endpoints, 'default', 'web');
    for (const { metadata } of foreign)
      await run(client.get(endpoints, metadata?.namespace, metadata?.name ?? ''));
  });
});

function service(spec: ServiceSpec = {}): Service {
  return {
    metadata: { name: 'web', namespace: 'default', uid: 'uid-web' },
    spec: {
      selector: { app: 'web' },
      ports: [{ name: 'http', port: 80, targetPort: 8080 }],
      clusterIP: '10.96.0.9',
      ipFamilies: ['IPv4'],
      ...spec,
    },
  };
}

interface PodOptions {
  readonly ready?: boolean;
  readonly terminating?: boolean;
  readonly labels?: Record<string, string>;
  readonly phase?: string;
  readonly ip?: string;
  readonly port?: number;
  readonly hostname?: string;
  readonly subdomain?: string;
}

function pod(name: string, options: PodOptions): Pod {
  const { ready = false, terminating = false, labels = { app: 'web' }, phase = 'Running' } = options;
  const { ip = '10.0.0.1', port, hostname, subdomain } = options;
  return {
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      labels,
      ...(terminating && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    },
    spec: {
      nodeName: 'node-1',
      containers: [{ name: 'c', ...(port && { ports: [{ name: 'web', containerPort: port }] }) }],
      ...(hostname !== undefined && { hostname }),
      ...(subdomain !== undefined && { subdomain }),
    },
    status: {
      phase,
      ...(ip && { podIP: ip }),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  } as Pod;
}

function named(slice: EndpointSlice, name: string): EndpointSlice {
  return { ...slice, metadata: { ...slice.metadata, name } };
}

function countOf(slice: EndpointSlice): [string | undefined, number | undefined] {
  return [slice.metadata?.name, slice.endpoints?.length];
}
