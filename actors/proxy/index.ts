export { type ProxyLimits, proxyLimits } from './limits.js';
export { type Backend, type Listener, plan, type Plan, type PlanOptions, type PlanProblem } from './plan.js';
export { proxySpec, type ProxyOptions } from './proxy-spec.js';
export { type ListenerState, type ServiceProxy, SimulatedServiceProxy } from './service-proxy.js';
export { UserSpaceProxy, type UserSpaceProxyOptions } from './user-space-proxy.js';
