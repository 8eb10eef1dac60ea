/** Debian's etcd as a cluster on loopback, whose members can be killed, frozen and started again. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePorts } from '../../deploy/create-cluster.js';
import { waitFor } from '../../deploy/wait.js';
import { OwnProcess } from '../bench/own-process.js';

const run = promisify(execFile);

export interface EtcdClusterOptions {
  readonly members?: number;
  readonly args?: readonly string[];
  /** Begins with what is in this snapshot. */
  readonly snapshot?: string;
  /** For its data, which stays; default: a temporary one, which goes. */
  readonly folder?: string;
  /** PEM files; clients must bring a certificate of the authority. */
  readonly tls?: {
    readonly ca: string;
    readonly certificate: string;
    readonly key: string;
    readonly clientCertificate: string;
    readonly clientKey: string;
  };
}

interface Member {
  readonly name: string;
  readonly client: string;
  readonly peer: string;
  process: OwnProcess | undefined;
}

export class EtcdCluster {
  readonly #folder: string;
  readonly #options: EtcdClusterOptions;
  #members: readonly Member[] = [];

  private constructor(options: EtcdClusterOptions) {
    this.#options = options;
    this.#folder = options.folder ?? mkdtempSync(join(tmpdir(), 'kabuki-etcd-'));
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
  }

  /** Resolves when all members know a leader. */
  static async start(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
    const cluster = new EtcdCluster(options);
    const count = options.members ?? 1;
    const ports = await freePorts(2 * count);
    const scheme = options.tls ? 'https' : 'http';
    cluster.#members = Array.from({ length: count }, (_, i) => ({
      name: `etcd-${i + 1}`,
      client: `${scheme}://127.0.0.1:${ports[i]}`,
      peer: `http://127.0.0.1:${ports[count + i]}`,
      process: undefined,
    }));
    if (options.snapshot !== undefined) await cluster.#restore(options.snapshot);
    for (const { name } of cluster.#members) cluster.startMember(name);
    try {
      await waitFor('all members of etcd to know a leader', 30_000, async () => {
        const all = await Promise.all(cluster.#members.map(({ client }) => cluster.#statusOf(client)));
        return all.every((answer) => answer?.leader !== undefined);
      });
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** `host:port` of each member. */
  get endpoints(): readonly string[] {
    return this.#members.map(({ client }) => client.replace(/^https?:\/\//, ''));
  }

  endpointOf(name: string): string {
    return this.#named(name).client.replace(/^https?:\/\//, '');
  }

  get names(): readonly string[] {
    return this.#members.map(({ name }) => name);
  }

  /** Of the members that run. */
  get pids(): readonly number[] {
    return this.#members.flatMap(({ process: own }) => (own?.running ? [own.pid] : []));
  }

  startMember(name: string): void {
    const member = this.#named(name);
    const { tls, args = [] } = this.#options;
    member.process = new OwnProcess(
      'etcd',
      [
        `--name=${name}`,
        `--data-dir=${this.#folder}/${name}`,
        `--listen-client-urls=${member.client}`,
        `--advertise-client-urls=${member.client}`,
        `--listen-peer-urls=${member.peer}`,
        `--initial-advertise-peer-urls=${member.peer}`,
        `--initial-cluster=${this.#initial}`,
        '--pre-vote=true',
        ...(tls
          ? [
              '--client-cert-auth',
              `--trusted-ca-file=${tls.ca}`,
              `--cert-file=${tls.certificate}`,
              `--key-file=${tls.key}`,
            ]
          : []),
        ...args,
      ],
      `${this.#folder}/${name}.log`,
    );
  }

  /** SIGKILL. */
  async kill(name: string): Promise<void> {
    const member = this.#named(name);
    await member.process?.kill();
    member.process = undefined;
  }

  /** SIGSTOP, until `thaw`: it holds its connections and says nothing. */
  freeze(name: string): void {
    const pid = this.#named(name).process?.pid;
    if (pid !== undefined) process.kill(pid, 'SIGSTOP');
  }

  thaw(name: string): void {
    const pid = this.#named(name).process?.pid;
    if (pid !== undefined) process.kill(pid, 'SIGCONT');
  }

  /** Name of the member that leads; undefined while none does. */
  async leader(): Promise<string | undefined> {
    for (const { name, client, process: own } of this.#members) {
      if (!own?.running) continue;
      const answer = await this.#statusOf(client);
      if (answer !== undefined && answer.leader !== undefined && answer.leader === answer.header.member_id) {
        return name;
      }
    }
    return undefined;
  }

  /** Prints of etcdctl, which must end well. */
  async etcdctl(...args: readonly string[]): Promise<string> {
    const { stdout } = await run(
      'etcdctl',
      [`--endpoints=${this.#members.map(({ client }) => client).join(',')}`, ...this.#clientFlags(), ...args],
      { env: { ...process.env, ETCDCTL_API: '3' } },
    );
    return stdout;
  }

  get #initial(): string {
    return this.#members.map(({ name, peer }) => `${name}=${peer}`).join(',');
  }

  async #restore(snapshot: string): Promise<void> {
    for (const { name, peer } of this.#members) {
      await run(
        'etcdctl',
        [
          'snapshot',
          'restore',
          snapshot,
          `--name=${name}`,
          `--data-dir=${this.#folder}/${name}`,
          `--initial-advertise-peer-urls=${peer}`,
          `--initial-cluster=${this.#initial}`,
        ],
        { env: { ...process.env, ETCDCTL_API: '3' } },
      );
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#members.map(({ process: own }) => own?.kill()));
    if (this.#options.folder === undefined) rmSync(this.#folder, { recursive: true, force: true });
  }

  async #statusOf(client: string) {
    try {
      const { stdout } = await run(
        'etcdctl',
        ['endpoint', 'status', '-w', 'json', `--endpoints=${client}`, ...this.#clientFlags()],
        { env: { ...process.env, ETCDCTL_API: '3' } },
      );
      const [answer] = JSON.parse(stdout) as readonly {
        Status: { leader?: number; header: { member_id: number } };
      }[];
      return answer?.Status;
    } catch {
      // Not up yet, or not any more.
      return undefined;
    }
  }

  #clientFlags(): string[] {
    const { tls } = this.#options;
    return tls ? [`--cacert=${tls.ca}`, `--cert=${tls.clientCertificate}`, `--key=${tls.clientKey}`] : [];
  }

  #named(name: string): Member {
    const member = this.#members.find((one) => one.name === name);
    if (!member) throw new TypeError(`etcd has no member ${name}`);
    return member;
  }
}
