/**
 * What the demo's steps work with: a running cluster of its own, kubectl, plain HTTPS, and claims that either hold or end
 * the play. Nothing here is special to the demo's cluster: a user could type every step.
 */
import { execFile } from 'node:child_process';
import { request } from 'node:https';
import { findKubectl } from '../bundled-kubectl.js';
import type { ClusterSpec } from '../cluster-spec.js';
import type { DataDir } from '../data-dir.js';
import { waitFor } from '../wait.js';

export interface HttpResult {
  readonly status: number;
  readonly body: string;
}

export class Stage {
  readonly dir: DataDir;
  readonly spec: ClusterSpec;
  readonly kubectlPath = findKubectl();

  constructor(dir: DataDir) {
    this.dir = dir;
    this.spec = dir.readSpec();
  }

  /** Runs kubectl and resolves with what it printed; rejects with its error text. */
  kubectl(...args: readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const env = { ...process.env, KUBECONFIG: this.dir.kubeconfigPath };
      execFile(
        this.kubectlPath,
        args,
        { env, timeout: 90_000, maxBuffer: 1 << 24 },
        (error, stdout, stderr) => {
          if (error)
            reject(
              new Error(`kubectl ${args.join(' ')}: ${stderr.trim() || error.message}`, { cause: error }),
            );
          else resolve(stdout);
        },
      );
    });
  }

  async json<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.kubectl(...args, '-o', 'json')) as T;
  }

  /** Talks to one apiserver directly, or to the front address. */
  api(
    method: string,
    path: string,
    body?: unknown,
    port = this.spec.frontPort,
    timeoutMs = 4_000,
  ): Promise<HttpResult> {
    return new Promise((resolve, reject) => {
      const call = request(
        {
          host: '127.0.0.1',
          port,
          method,
          path,
          headers: { 'content-type': 'application/json' },
          ca: this.dir.readText('pki/ca.crt'),
          cert: this.dir.readText('pki/admin.crt'),
          key: this.dir.readText('pki/admin.key'),
          agent: false,
          timeout: timeoutMs,
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
          );
        },
      );
      call.on('timeout', () =>
        call.destroy(new Error(`${method} ${path}: no answer within ${timeoutMs} ms`)),
      );
      call.on('error', reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  httpsPort(machine: string): number {
    const port = this.spec.machines.find((candidate) => candidate.name === machine)?.httpsPort;
    if (port === undefined) throw new Error(`${machine} serves no HTTPS`);
    return port;
  }

  waitFor = waitFor;
}

/** A claim of the demo: what must hold, or the play ends with a failure. */
export function claim(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`this does not hold: ${what}`);
}
