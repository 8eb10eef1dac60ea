/**
 * Makes the files of a new cluster: specification, certificates, keys, kubeconfig. Nothing runs yet.
 */
import { generateKeyPairSync, randomBytes, randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { curveKeyPair } from 'zeromq';
import { createAuthority } from './certificates.js';
import {
  addressRanges,
  type ClusterSpec,
  clustersPerMachineMax,
  kubernetesServiceIp,
  type MachineSpec,
  nodePodCidr,
} from './cluster-spec.js';
import { checkShape, type ClusterShape, machineNames, ShapeError } from './cluster-shape.js';
import type { DataDir } from './data-dir.js';
import { kubeconfig } from './kubeconfig.js';

export async function createCluster(dir: DataDir, shape: ClusterShape): Promise<ClusterSpec> {
  checkShape(shape);
  dir.create();
  const frontPort = await chooseFrontPort(shape.port);
  const ranges = await freeRanges(frontPort);
  const machines = await machineSpecs(dir, shape, ranges.podCidr, frontPort);
  const spec: ClusterSpec = {
    name: shape.name,
    id: randomBytes(16).toString('hex'),
    machines,
    frontPort,
    ...ranges,
    ...(shape.externalStore && { externalStore: shape.externalStore }),
    kubernetesServicePort: (await portIsFree(443, kubernetesServiceIp(ranges))) ? 443 : 6443,
  };
  await writeCredentials(dir, spec);
  dir.writeSpec(spec);
  return spec;
}

async function machineSpecs(
  dir: DataDir,
  shape: ClusterShape,
  podCidr: string,
  frontPort: number,
): Promise<MachineSpec[]> {
  const names = machineNames(shape);
  // The front port is free too until the balancer listens, so it may be among them.
  const free = await freePorts(names.length + 2 * shape.masters + 1);
  const ports = free.filter((port) => port !== frontPort);
  const take = () => ports.shift() as number;
  return names.map(({ name, role }, ordinal) => {
    const keys = curveKeyPair();
    dir.writeMachineKeys(name, { secretKey: keys.secretKey });
    return {
      name,
      role,
      address: `tcp://127.0.0.1:${take()}`,
      publicKey: keys.publicKey,
      podCidr: nodePodCidr(podCidr, ordinal + 1),
      ...(role === 'master' && { httpsPort: take() }),
      ...(role === 'master' && !shape.externalStore && { storeAddress: `tcp://127.0.0.1:${take()}` }),
    };
  });
}

async function writeCredentials(dir: DataDir, spec: ClusterSpec): Promise<void> {
  const authority = await createAuthority('kabuki-ca');
  const serviceIp = kubernetesServiceIp(spec);
  const hosts = ['localhost', '127.0.0.1', serviceIp, 'kubernetes', 'kubernetes.default'];
  const server = await authority.issueServer('kube-apiserver', [
    ...hosts,
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
  ]);
  const admin = await authority.issueClient('kubernetes-admin', ['system:masters']);
  dir.writeSecret('pki/ca.crt', authority.cert);
  dir.writeSecret('pki/ca.key', authority.key);
  dir.writeSecret('pki/apiserver.crt', server.cert);
  dir.writeSecret('pki/apiserver.key', server.key);
  dir.writeSecret('pki/admin.crt', admin.cert);
  dir.writeSecret('pki/admin.key', admin.key);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  dir.writeSecret('pki/service-account.key', String(privateKey.export({ type: 'pkcs8', format: 'pem' })));
  const address = `https://127.0.0.1:${spec.frontPort}`;
  dir.writeSecret('kubeconfig', kubeconfig(spec.name, address, authority.cert, 'kubernetes-admin', admin));
}

async function chooseFrontPort(wanted: number | undefined): Promise<number> {
  if (wanted !== undefined) {
    if (await portIsFree(wanted)) return wanted;
    throw new ShapeError(`port ${wanted} on 127.0.0.1 is in use: free it, or give another one with --port`);
  }
  return (await portIsFree(6443)) ? 6443 : ((await freePorts(1))[0] as number);
}

/** Loopback ranges whose service address nobody serves: clusters side by side never share a range. */
async function freeRanges(frontPort: number): Promise<{ podCidr: string; serviceCidr: string }> {
  // Not always from the first one: a cluster that is stopped for a while should find its range free when it starts again.
  const first = randomInt(clustersPerMachineMax);
  for (let offset = 0; offset < clustersPerMachineMax; offset += 1) {
    const ranges = addressRanges((first + offset) % clustersPerMachineMax);
    // The load balancer of a running cluster holds port 6443 of its first service address.
    if (await portIsFree(6443, kubernetesServiceIp(ranges))) return ranges;
  }
  throw new ShapeError(
    `all ${clustersPerMachineMax} loopback ranges are in use by running clusters (wanted port ${frontPort})`,
  );
}

export function portIsFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/** Ports that were free at the same moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
  return ports;
}
