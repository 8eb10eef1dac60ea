/** The address of a cluster: the load balancer with the listeners, backends and probe that a cluster specification means. */
import { createHealthProbe } from './apiserver-health.js';
import { type ClusterSpec, kubernetesServiceIp, masters } from './cluster-spec.js';
import type { DataDir } from './data-dir.js';
import { type LoadBalancer, startLoadBalancer } from './load-balancer.js';

/** Besides the port for people, the first service address is held: it marks the cluster's loopback range as taken. */
export async function startFront(dir: DataDir, spec: ClusterSpec): Promise<LoadBalancer> {
  const listen = [
    { host: '127.0.0.1', port: spec.frontPort },
    { host: kubernetesServiceIp(spec), port: 6443 },
  ];
  const backends = masters(spec).map((machine) => ({ host: '127.0.0.1', port: machine.httpsPort as number }));
  const probe = createHealthProbe(dir.readText('pki/ca.crt'));
  try {
    return await startLoadBalancer(listen, backends, probe);
  } catch (cause) {
    probe.close();
    const { code, address, port } = cause as NodeJS.ErrnoException & { address?: string; port?: number };
    if (code !== 'EADDRINUSE') throw cause;
    const message =
      address === '127.0.0.1'
        ? `port ${port} of this cluster is in use by another program: free it, or remove the data directory and choose another with --port`
        : `the loopback addresses of this cluster (${spec.serviceCidr}) are in use, by another cluster that was started ` +
          'while this one was down: stop that one, or remove the data directory to begin anew';
    throw new Error(message, { cause });
  }
}
