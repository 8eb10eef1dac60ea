import { strict as assert } from 'node:assert';
import { plan } from '../../../actors/proxy/index.js';
import type { Service } from '../../../actors/objects/types/core.js';
import type { Endpoint, EndpointSlice } from '../../../actors/objects/types/discovery.js';

const node = { nodeName: 'worker-1', nodeIP: '127.0.0.1' };

export function service(spec: Partial<NonNullable<Service['spec']>> = {}, name = 'web'): Service {
  return {
    metadata: { name, namespace: 'default', uid: `uid-${name}` },
    spec: {
      type: 'ClusterIP',
      clusterIP: '127.96.0.10',
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
      ...spec,
    },
  };
}

export function slice(
  endpoints: Endpoint[],
  parts: Partial<EndpointSlice> = {},
  name = 'web',
): EndpointSlice {
  return {
    metadata: { name: `${name}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints,
    ...parts,
  };
}

const ready = (address: string, nodeName = 'worker-1'): Endpoint => ({
  addresses: [address],
  nodeName,
  conditions: { ready: true, serving: true, terminating: false },
});
const ending = (address: string): Endpoint => ({
  addresses: [address],
  conditions: { ready: false, serving: true, terminating: true },
});
const addresses = (services: Service[], slices: EndpointSlice[]) =>
  plan(services, slices, node).listeners.map(({ key, backends }) => [
    key,
    backends.map(({ address, port }) => `${address}:${port}`),
  ]);

describe('proxy plan', () => {
  const pods = [ready('127.64.1.2'), ready('127.64.1.1', 'worker-2')];

  const table: readonly [
    sentence: string,
    services: Service[],
    slices: EndpointSlice[],
    expected: unknown,
  ][] = [
    [
      'leads a virtual IP to the ready endpoints',
      [service()],
      [slice(pods)],
      [['tcp/127.96.0.10:80', ['127.64.1.1:8080', '127.64.1.2:8080']]],
    ],
    ['has no listener without endpoints', [service()], [slice([])], []],
    [
      'leaves out endpoints that are not ready',
      [service()],
      [slice([ready('127.64.1.1'), { addresses: ['127.64.1.9'], conditions: { ready: false } }])],
      [['tcp/127.96.0.10:80', ['127.64.1.1:8080']]],
    ],
    [
      'prefers ready endpoints to those that end',
      [service()],
      [slice([ready('127.64.1.1'), ending('127.64.1.2')])],
      [['tcp/127.96.0.10:80', ['127.64.1.1:8080']]],
    ],
    [
      'falls back to endpoints that end but still serve',
      [service()],
      [slice([ending('127.64.1.2')])],
      [['tcp/127.96.0.10:80', ['127.64.1.2:8080']]],
    ],
    [
      'counts an endpoint without conditions as ready',
      [service()],
      [slice([{ addresses: ['127.64.1.1'] }])],
      [['tcp/127.96.0.10:80', ['127.64.1.1:8080']]],
    ],
    [
      'joins several slices of a service',
      [service()],
      [slice([ready('127.64.1.1')]), slice([ready('127.64.1.2')])],
      [['tcp/127.96.0.10:80', ['127.64.1.1:8080', '127.64.1.2:8080']]],
    ],
    [
      'takes only slices of the same namespace',
      [service()],
      [slice(pods, { metadata: { namespace: 'other', labels: { 'kubernetes.io/service-name': 'web' } } })],
      [],
    ],
    ['has nothing for a headless service', [service({ clusterIP: 'None' })], [slice(pods)], []],
    [
      'has nothing for an ExternalName',
      [service({ type: 'ExternalName', externalName: 'example.org' })],
      [slice(pods)],
      [],
    ],
    [
      'matches ports by name',
      [
        service({
          ports: [
            { name: 'http', port: 80 },
            { name: 'metrics', port: 9090 },
          ],
        }),
      ],
      [slice([ready('127.64.1.1')], { ports: [{ name: 'metrics', port: 9100 }] })],
      [['tcp/127.96.0.10:9090', ['127.64.1.1:9100']]],
    ],
    [
      'keeps TCP and UDP of one port apart',
      [
        service({
          ports: [
            { name: 'a', port: 53, protocol: 'UDP' },
            { name: 'b', port: 53, protocol: 'TCP' },
          ],
        }),
      ],
      [
        slice([ready('127.64.1.1')], {
          ports: [
            { name: 'a', port: 5353, protocol: 'UDP' },
            { name: 'b', port: 5353 },
          ],
        }),
      ],
      [
        ['tcp/127.96.0.10:53', ['127.64.1.1:5353']],
        ['udp/127.96.0.10:53', ['127.64.1.1:5353']],
      ],
    ],
    [
      'serves a NodePort on the node',
      [service({ type: 'NodePort', ports: [{ name: 'http', port: 80, nodePort: 30080 }] })],
      [slice([ready('127.64.1.1', 'worker-2')])],
      [
        ['tcp/127.0.0.1:30080', ['127.64.1.1:8080']],
        ['tcp/127.96.0.10:80', ['127.64.1.1:8080']],
      ],
    ],
    [
      'keeps a NodePort with externalTrafficPolicy Local to endpoints of the node',
      [
        service({
          type: 'NodePort',
          externalTrafficPolicy: 'Local',
          ports: [{ name: 'http', port: 80, nodePort: 30080 }],
        }),
      ],
      [slice(pods)],
      [
        ['tcp/127.0.0.1:30080', ['127.64.1.2:8080']],
        ['tcp/127.96.0.10:80', ['127.64.1.1:8080', '127.64.1.2:8080']],
      ],
    ],
    [
      'leaves IPv6 alone',
      [service({ clusterIPs: ['127.96.0.10', 'fd00::1'] })],
      [slice(pods), slice([ready('fd00::2')], { addressType: 'IPv6' })],
      [['tcp/127.96.0.10:80', ['127.64.1.1:8080', '127.64.1.2:8080']]],
    ],
  ];
  for (const [sentence, services, slices, expected] of table) {
    it(sentence, () => assert.deepEqual(addresses(services, slices), expected));
  }

  it('carries session affinity with its time', () => {
    const withTime = service({
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
    });
    assert.equal(plan([withTime], [slice(pods)], node).listeners[0]?.affinityMs, 60_000);
    assert.equal(
      plan([service({ sessionAffinity: 'ClientIP' })], [slice(pods)], node).listeners[0]?.affinityMs,
      10_800_000,
    );
    assert.equal(plan([service()], [slice(pods)], node).listeners[0]?.affinityMs, undefined);
  });

  it('says what it cannot do', () => {
    const sctp = service({ ports: [{ name: 'http', port: 80, protocol: 'SCTP' }] });
    assert.deepEqual(
      plan([sctp], [slice(pods)], node).problems.map(({ reason }) => reason),
      ['ProtocolNotSupported'],
    );
    const local = service({ internalTrafficPolicy: 'Local' });
    assert.deepEqual(
      plan([local], [slice(pods)], node).problems.map(({ reason }) => reason),
      ['TrafficPolicyNotApplied'],
    );
  });
});
