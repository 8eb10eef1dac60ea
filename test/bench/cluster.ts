/** A cluster as a user starts it, `kabuki up` as a process of this benchmark's own, and an HTTPS client of its front. */
import { readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { fileURLToPath } from 'node:url';
import type { ClusterSpec } from '../../deploy/cluster-spec.js';
import { DataDir } from '../../deploy/data-dir.js';
import type { LauncherStatus } from '../../deploy/launcher.js';
import { waitFor } from '../../deploy/wait.js';
import { controlCall } from '../../transport/index.js';
import { OwnProcess } from './own-process.js';

const kabuki = fileURLToPath(new URL('../../../deploy/kabuki.mjs', import.meta.url));
const upTimeoutMs = 90_000;

export class BenchCluster {
  readonly dir: DataDir;
  readonly spec: ClusterSpec;
  readonly #launcher: OwnProcess;
  readonly #logPath: string;

  private constructor(dir: DataDir, launcher: OwnProcess, logPath: string) {
    this.dir = dir;
    this.spec = dir.readSpec();
    this.#launcher = launcher;
    this.#logPath = logPath;
  }

  /** Resolves when five nodes are Ready. */
  static async up(folder: string): Promise<BenchCluster> {
    const logPath = `${folder}.log`;
    rmSync(logPath, { force: true });
    const launcher = new OwnProcess(process.execPath, [kabuki, 'up', '--data-dir', folder], logPath);
    try {
      await waitFor(
        'five nodes to be Ready',
        upTimeoutMs,
        async () => {
          const log = readFileSync(logPath, 'utf8');
          return !launcher.running || log.includes('is ready at') || log.includes('kabuki: ');
        },
        10,
      );
      if (!readFileSync(logPath, 'utf8').includes('is ready at'))
        throw new Error(`kabuki up ended:\n${readFileSync(logPath, 'utf8')}`);
    } catch (error) {
      await launcher.stop();
      throw error;
    }
    return new BenchCluster(new DataDir(folder), launcher, logPath);
  }

  get launcherPid(): number {
    return this.#launcher.pid;
  }

  /** Seconds after its start at which `kabuki up` first printed a line with this text. */
  printedAt(text: string): number {
    const line = readFileSync(this.#logPath, 'utf8')
      .split('\n')
      .find((each) => each.includes(text));
    const seconds = line && /^\s*([\d.]+)s/.exec(line)?.[1];
    if (!seconds) throw new Error(`kabuki up never printed ${JSON.stringify(text)}`);
    return Number(seconds);
  }

  status(): Promise<LauncherStatus> {
    return controlCall(this.dir.socketPath('launcher'), 'status', {}, 5_000) as Promise<LauncherStatus>;
  }

  async pids(): Promise<number[]> {
    return (await this.status()).machines.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  /** SIGKILL of a machine, or its start. */
  async order(method: 'kill' | 'start', machine: string): Promise<void> {
    await controlCall(this.dir.socketPath('launcher'), method, { machine }, 30_000);
  }

  async storeOf(machine: string): Promise<StoreFacts> {
    const status = await controlCall(this.dir.socketPath(machine), 'status', {}, 5_000);
    return (status as { store: StoreFacts }).store;
  }

  down(): Promise<void> {
    return this.#launcher.stop();
  }

  /** As the administrator, with connections kept alive. */
  client(connectionsMax: number): HttpsClient {
    return new HttpsClient(this, connectionsMax);
  }
}

export interface StoreFacts {
  readonly role: string;
  readonly leader: string | null;
  readonly appliedIndex: number;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export class HttpsClient {
  readonly #port: number;
  readonly #agent: Agent;

  constructor({ spec, dir }: Pick<BenchCluster, 'spec' | 'dir'>, connectionsMax: number) {
    this.#port = spec.frontPort;
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: connectionsMax,
      scheduling: 'fifo',
      ca: dir.readText('pki/ca.crt'),
      cert: dir.readText('pki/admin.crt'),
      key: dir.readText('pki/admin.key'),
    });
  }

  /** Rejects when no whole answer comes within `timeoutMs`. */
  call(method: string, path: string, body?: string, timeoutMs = 10_000): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      const call = this.#open(method, path, body, (status, chunk) => {
        if (chunk) chunks.push(chunk);
        else resolve({ status, body: Buffer.concat(chunks).toString() });
      });
      call.on('error', reject);
      call.setTimeout(timeoutMs, () => call.destroy(new Error(`${method} ${path}: no answer`)));
    });
  }

  async expect(status: number, method: string, path: string, body?: string): Promise<string> {
    const answer = await this.call(method, path, body);
    if (answer.status !== status)
      throw new Error(`${method} ${path}: ${answer.status} ${answer.body.slice(0, 300)}`);
    return answer.body;
  }

  /** Calls back for every event of a watch; the returned function ends it. */
  watch(path: string, onLine: (line: string) => void, onError: (error: Error) => void): () => void {
    let rest = '';
    let ended = false;
    const call = this.#open('GET', path, undefined, (_status, chunk) => {
      if (!chunk) return;
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line);
    });
    call.on('error', (error) => {
      if (!ended) onError(error);
    });
    return () => {
      ended = true;
      call.destroy();
    };
  }

  close(): void {
    this.#agent.destroy();
  }

  /** `data` is called without a chunk at the end. */
  #open(
    method: string,
    path: string,
    body: string | undefined,
    data: (status: number, chunk?: Buffer) => void,
  ): ReturnType<typeof request> {
    const call = request(
      {
        host: '127.0.0.1',
        port: this.#port,
        method,
        path,
        agent: this.#agent,
        headers: body === undefined ? {} : { 'content-type': 'application/json' },
      },
      (response) => {
        const status = response.statusCode ?? 0;
        response.on('data', (chunk: Buffer) => data(status, chunk));
        response.on('end', () => data(status));
        response.on('error', (error) => call.destroy(error));
      },
    );
    call.end(body);
    return call;
  }
}
