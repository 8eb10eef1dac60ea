/** Asks an apiserver's /readyz over one kept connection per backend, as a load balancer's health probe does. */
import { Agent, request } from 'node:https';
import type { Backend, Health, HealthProbe } from './load-balancer.js';

const timeoutMs = 1_500;

export function createHealthProbe(ca: string): HealthProbe {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = ({ host, port }: Backend) =>
    new Promise<Health>((resolve) => {
      const call = request({ host, port, path: '/readyz', ca, agent, timeout: timeoutMs }, (response) => {
        response.resume();
        resolve(response.statusCode === 200 ? 'ready' : 'unready');
      });
      call.on('timeout', () => {
        resolve('silent');
        call.destroy();
      });
      // A backend that cannot be asked is not ready; why does not matter to the balancer.
      call.on('error', () => resolve('unready'));
      call.end();
    });
  return { ask, close: () => agent.destroy() };
}
