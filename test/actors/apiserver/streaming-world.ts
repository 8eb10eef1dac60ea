/**
 * A cluster for a file of tests of streams, with pods that are programs of this machine, and what those tests talk to
 * it with: kubectl, and connections of their own.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { parse } from 'yaml';
import { pods } from '../../../actors/client/index.js';
import { bundledKubectl } from '../../../deploy/bundled-kubectl.js';
import { type Cluster, startCluster } from '../../../deploy/index.js';
import { waitFor } from '../../../deploy/wait.js';
import { Kubectl } from '../../harness/kubectl.js';
import { type Outcome, type Program, run, start } from '../../harness/program.js';

export interface StreamingWorld {
  readonly cluster: Cluster;
  readonly kubectl: Kubectl;
  /** kubectl with input and environment of one's own. */
  run(
    args: readonly string[],
    options?: { readonly input?: Buffer; readonly env?: NodeJS.ProcessEnv },
  ): Promise<Outcome>;
  start(args: readonly string[], env?: NodeJS.ProcessEnv): Program;
  /** Resolves when the pod is Ready. */
  pod(name: string, command: readonly string[], more?: PodOptions): Promise<void>;
  /** As administrator; for `https` and `tls`. */
  readonly tls: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };
  call(
    path: string,
    options?: https.RequestOptions & { readonly body?: string },
  ): Promise<{ status: number; headers: Record<string, unknown>; text: string }>;
}

export interface PodOptions {
  readonly stdin?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly restartPolicy?: 'Always' | 'Never';
}

/** For kubectl: SPDY all the way, as before WebSockets. */
export const withoutWebSockets = {
  KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false',
  KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false',
};

/** A file stops it when it ends: the simulator of other tests allows no real clock beside it. */
export async function streamingWorld(): Promise<StreamingWorld> {
  const cluster = await startCluster({ masters: 1, workers: 1, storage: 'memory', runtime: 'process' });
  const { kubeconfigPath, dataDir } = cluster;
  const tls = credentials(readFileSync(kubeconfigPath, 'utf8'));
  const environment = (env: NodeJS.ProcessEnv) => ({
    env: { ...process.env, KUBECONFIG: kubeconfigPath, HOME: dataDir, ...env },
  });
  return {
    cluster,
    kubectl: new Kubectl({ kubeconfigPath, home: dataDir }),
    run: (args, { input, env = {} } = {}) =>
      run(bundledKubectl(), args, { ...environment(env), ...(input && { input }) }),
    start: (args, env = {}) => start(bundledKubectl(), args, environment(env)),
    pod: (name, command, more = {}) => createPod(cluster, name, command, more),
    tls,
    call: (path, { body, ...options } = {}) =>
      new Promise((resolve, reject) => {
        const request = https.request(new URL(path, cluster.url), { ...tls, agent: false, ...options });
        request.on('error', reject);
        request.on('response', (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
          });
        });
        request.end(body);
      }),
  };
}

async function createPod(
  cluster: Cluster,
  name: string,
  command: readonly string[],
  { stdin = false, labels = {}, restartPolicy = 'Always' }: PodOptions,
): Promise<void> {
  await cluster.client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels },
    spec: {
      restartPolicy,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: 'busybox', command: [...command], stdin }],
    },
  });
  await waitFor(`pod ${name} to be Ready`, 20_000, async () => {
    const { status } = await cluster.client.get(pods, 'default', name);
    return status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;
  });
}

function credentials(kubeconfig: string): StreamingWorld['tls'] {
  const { clusters, users } = parse(kubeconfig) as {
    clusters: { cluster: Record<string, string> }[];
    users: { user: Record<string, string> }[];
  };
  const bytes = (text: string | undefined) => {
    assert(text);
    return Buffer.from(text, 'base64');
  };
  return {
    ca: bytes(clusters[0]?.cluster['certificate-authority-data']),
    cert: bytes(users[0]?.user['client-certificate-data']),
    key: bytes(users[0]?.user['client-key-data']),
  };
}
