/** Defaults of services and of what stands behind them. */
import type { JsonObject } from '../typed.js';
import { child, children, ensure, fill } from './fill.js';

const affinitySecondsDefault = 10_800;

export function defaultService(object: JsonObject): void {
  const spec = ensure(object, 'spec');
  fill(spec, { sessionAffinity: 'None', type: 'ClusterIP' });
  if (spec['sessionAffinity'] === 'ClientIP') {
    fill(ensure(ensure(spec, 'sessionAffinityConfig'), 'clientIP'), {
      timeoutSeconds: affinitySecondsDefault,
    });
  } else delete spec['sessionAffinityConfig'];
  for (const port of children(spec, 'ports')) {
    fill(port, { protocol: 'TCP' });
    // The schema gives a plain int-or-string its zero; that means "the same port".
    if (port['targetPort'] === undefined || port['targetPort'] === 0 || port['targetPort'] === '') {
      port['targetPort'] = port['port'];
    }
  }
  const { type } = spec;
  if (type === 'ExternalName') return;
  fill(spec, { internalTrafficPolicy: 'Cluster' });
  if (type === 'NodePort' || type === 'LoadBalancer') fill(spec, { externalTrafficPolicy: 'Cluster' });
  if (type === 'LoadBalancer') fill(spec, { allocateLoadBalancerNodePorts: true });
  defaultIpFamilies(spec);
}

/** IPv4 alone, except for headless services without a selector, which may hold addresses of both families. */
function defaultIpFamilies(spec: JsonObject): void {
  const { clusterIP } = spec;
  if (typeof clusterIP === 'string' && clusterIP !== '') fill(spec, { clusterIPs: [clusterIP] });
  const free = clusterIP === 'None' && Object.keys(child(spec, 'selector')).length === 0;
  fill(spec, { ipFamilyPolicy: free ? 'RequireDualStack' : 'SingleStack' });
  fill(spec, { ipFamilies: free ? ['IPv4', 'IPv6'] : ['IPv4'] });
}

export function defaultEndpoints(object: JsonObject): void {
  for (const subset of children(object, 'subsets')) {
    for (const port of children(subset, 'ports')) fill(port, { protocol: 'TCP' });
  }
}

export function defaultEndpointSlice(object: JsonObject): void {
  for (const port of children(object, 'ports')) fill(port, { name: '', protocol: 'TCP' });
}

export function defaultNetworkPolicy(object: JsonObject): void {
  const spec = ensure(object, 'spec');
  for (const rule of [...children(spec, 'ingress'), ...children(spec, 'egress')]) {
    for (const port of children(rule, 'ports')) fill(port, { protocol: 'TCP' });
  }
  fill(spec, { policyTypes: children(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress'] });
}

export function defaultIngressClass(object: JsonObject): void {
  const parameters = child(child(object, 'spec'), 'parameters');
  fill(parameters, { scope: 'Cluster' });
}
