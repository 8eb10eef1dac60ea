/**
 * A cluster of real processes, started and stopped through the command line as a user does it. Whatever a test run leaves
 * behind when it ends badly is ended by process id.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TreeNode } from '../../actors/runtime/index.js';
import type { ClusterSpec } from '../../deploy/cluster-spec.js';
import { DataDir } from '../../deploy/data-dir.js';
import type { LauncherStatus, MachineStatus } from '../../deploy/launcher.js';
import { isAlive } from '../../deploy/process-table.js';
import { waitFor } from '../../deploy/wait.js';
import { controlCall } from '../../transport/index.js';
import { Kubectl } from './kubectl.js';
import { type Outcome, output, type Program, run, start } from './program.js';

export const kabukiPath = fileURLToPath(new URL('../../../deploy/kabuki.mjs', import.meta.url));

export interface Shape {
  readonly masters?: number;
  readonly workers?: number;
  /** Absent: a new folder, removed by `stop`. */
  readonly dataDir?: string;
  /** More of `kabuki up`. */
  readonly args?: readonly string[];
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface HttpCall {
  readonly method?: string;
  readonly path: string;
  readonly body?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Absent: the administrator's. Null: none. */
  readonly credentials?: { readonly cert: string; readonly key: string } | null;
  /** Absent: the address in front. */
  readonly port?: number;
  readonly timeoutMs?: number;
}

const alive = new Set<ProcessCluster>();
process.on('exit', () => {
  for (const cluster of alive) cluster.killNow();
});

export class ProcessCluster {
  readonly dir: DataDir;
  readonly kubectl: Kubectl;
  readonly #ownsFolder: boolean;

  constructor(folder: string, ownsFolder: boolean) {
    this.dir = new DataDir(folder);
    this.#ownsFolder = ownsFolder;
    this.kubectl = new Kubectl({ kubeconfigPath: this.dir.kubeconfigPath, home: folder });
  }

  /** `kabuki up --detach`; resolves when all nodes are Ready. */
  static async up(shape: Shape = {}): Promise<ProcessCluster> {
    const folder = shape.dataDir ?? mkdtempSync(join(tmpdir(), 'kabuki-test-'));
    const cluster = new ProcessCluster(folder, shape.dataDir === undefined);
    alive.add(cluster);
    try {
      await cluster.restart(shape);
    } catch (error) {
      cluster.killNow();
      throw error;
    }
    return cluster;
  }

  /** `kabuki up --detach` on the folder as it is. */
  async restart(shape: Shape = {}): Promise<void> {
    const count = (option: string, value: number | undefined) =>
      value === undefined ? [] : [option, String(value)];
    const port = this.dir.exists ? undefined : await freePort();
    const args = [
      ...count('--masters', shape.masters),
      ...count('--workers', shape.workers),
      ...count('--port', port),
      ...(shape.args ?? []),
    ];
    await output(process.execPath, [kabukiPath, 'up', '--detach', ...args, '--data-dir', this.dir.path], {
      timeoutMs: 120_000,
    });
  }

  get spec(): ClusterSpec {
    return this.dir.readSpec();
  }

  get url(): string {
    return `https://127.0.0.1:${this.spec.frontPort}`;
  }

  /** Resolves for any exit code. */
  kabuki(...args: readonly string[]): Promise<Outcome> {
    return run(process.execPath, [kabukiPath, ...withFolder(args, this.dir.path)]);
  }

  /** Rejects unless it ends with 0. */
  kabukiOutput(...args: readonly string[]): Promise<string> {
    return output(process.execPath, [kabukiPath, ...withFolder(args, this.dir.path)]);
  }

  startKabuki(...args: readonly string[]): Program {
    return start(process.execPath, [kabukiPath, ...withFolder(args, this.dir.path)], { timeoutMs: 120_000 });
  }

  /** Asks the launcher (`launcher`) or a machine, as `kabuki` itself does. */
  async control<T>(socket: string, method: string, params: unknown = {}): Promise<T> {
    return (await controlCall(this.dir.socketPath(socket), method, params, 10_000)) as T;
  }

  async machines(): Promise<readonly MachineStatus[]> {
    return (await this.control<LauncherStatus>('launcher', 'status')).machines;
  }

  async pidOf(machine: string): Promise<number> {
    const pid = (await this.machines()).find(({ name }) => name === machine)?.pid;
    if (pid === undefined) throw new Error(`${machine} does not run`);
    return pid;
  }

  /** The launcher and all machines. */
  async pids(): Promise<number[]> {
    const { pid, machines } = await this.control<LauncherStatus>('launcher', 'status');
    return [pid, ...machines.flatMap((machine) => (machine.pid === undefined ? [] : [machine.pid]))];
  }

  /** Name of the master whose store member leads; rejects while there is none. */
  async storeLeader(): Promise<string> {
    for (const { name, role, state } of await this.machines()) {
      if (role !== 'master' || state !== 'running') continue;
      const { store } = await this.control<{ store?: { role: string } }>(name, 'status');
      if (store?.role === 'leader') return name;
    }
    throw new Error('the store has no leader now');
  }

  /** The machine that holds the lease of a component such as `kube-scheduler`. */
  async leaseHolder(component: string): Promise<string> {
    const lease = await this.kubectl.json<{ spec: { holderIdentity?: string } }>(
      'get',
      'lease',
      component,
      '--namespace=kube-system',
      '--request-timeout=5s',
    );
    const holder = lease.spec.holderIdentity?.split('_')[0];
    if (!holder) throw new Error(`nobody holds the lease of ${component}`);
    return holder;
  }

  async tree(machine: string): Promise<TreeNode[]> {
    const { tree } = await this.control<{ tree: TreeNode[] }>(machine, 'tree');
    const flatten = (nodes: readonly TreeNode[]): TreeNode[] =>
      nodes.flatMap((node) => [node, ...flatten(node.children)]);
    return flatten(tree);
  }

  async allReady(timeoutMs = 30_000): Promise<void> {
    const want = this.spec.machines.length;
    await waitFor(`${want} nodes to be Ready`, timeoutMs, async () => {
      const text = await this.kubectl.run('get', 'nodes', '--no-headers', '--request-timeout=5s');
      return text.split('\n').filter((line) => /\sReady\s/.test(line)).length === want;
    });
  }

  /** Plain HTTPS, trusting the cluster's CA. */
  http(call: HttpCall): Promise<HttpAnswer> {
    const { method = 'GET', path, body, headers, port = this.spec.frontPort, timeoutMs = 10_000 } = call;
    const credentials = call.credentials === null ? {} : (call.credentials ?? this.credentials('admin'));
    const ca = this.dir.readText('pki/ca.crt');
    const options = { host: '127.0.0.1', port, method, path, headers, ca, ...credentials };
    return new Promise((resolve, reject) => {
      const sent = request({ ...options, agent: false, timeout: timeoutMs }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        );
      });
      sent.on('timeout', () => sent.destroy(new Error(`${method} ${path}: no answer in ${timeoutMs} ms`)));
      sent.on('error', reject);
      sent.end(body);
    });
  }

  credentials(name: 'admin'): { cert: string; key: string } {
    return { cert: this.dir.readText(`pki/${name}.crt`), key: this.dir.readText(`pki/${name}.key`) };
  }

  /** `kabuki down`, when it still runs, and removes a folder of its own. */
  async stop(): Promise<void> {
    if (this.launcherPid() !== undefined) await this.kabukiOutput('down');
    alive.delete(this);
    this.forget();
  }

  /** Of a launcher that lives. */
  launcherPid(): number | undefined {
    const path = join(this.dir.path, 'launcher.pid');
    if (!existsSync(path)) return undefined;
    const pid = Number(readFileSync(path, 'utf8'));
    return isAlive(pid) ? pid : undefined;
  }

  /** SIGKILL to the launcher; the machines end by themselves. */
  killNow(): void {
    alive.delete(this);
    const pid = this.launcherPid();
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  }

  private forget(): void {
    if (this.#ownsFolder) rmSync(this.dir.path, { recursive: true, force: true });
  }
}

export async function noneAlive(pids: readonly number[], timeoutMs = 10_000): Promise<void> {
  await waitFor(`the processes ${pids.join(', ')} to end`, timeoutMs, async () => !pids.some(isAlive));
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** `--data-dir` goes behind the command's own words: those of kubectl are passed through to it. */
function withFolder(args: readonly string[], folder: string): string[] {
  const [command = '', ...rest] = args;
  if (command === 'fault' || command === 'store') return [command, ...rest, '--data-dir', folder];
  return [command, '--data-dir', folder, ...rest];
}
