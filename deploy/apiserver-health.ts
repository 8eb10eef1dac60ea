/** Asks an apiserver's /readyz over one kept connection per backend, as a load balancer's health probe does. */
import { Agent, request } from 'node:https';
import type { Backend, HealthProbe } from './load-balancer.js';

const timeoutMs = 1_500;

export function createHealthProbe(ca: string): HealthProbe {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = ({ host, port }: Backend): Promise<boolean> =>
    new Promise((resolve) => {
      const call = request({ host, port, path: '/readyz', ca, agent, timeout: timeoutMs }, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      call.on('timeout', () => {
        resolve(false);
        call.destroy();
      });
      // A kept connection may have ended while it was idle; else why it cannot be asked does not matter to the balancer.
      call.on('error', () => resolve(call.reusedSocket ? ask({ host, port }) : false));
      call.end();
    });
  return { ask, close: () => agent.destroy() };
}
