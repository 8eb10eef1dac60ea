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
  try {
    return await startLoadBalancer(listen, backends, createHealthProbe(dir.readText('pki/ca.crt')));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
    const port = spec.frontPort;
    throw new Error(
      `port ${port} of this cluster is in use by another program: free it, or remove the data directory and choose another with --port`,
      { cause },
    );
  }
}
