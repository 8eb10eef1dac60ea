/** `kabuki store run` as a child process on free ports, and etcdctl against it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../deploy/create-cluster.js';
import { waitFor } from '../../deploy/wait.js';
import { type Outcome, output, type Program, run, start } from './program.js';

const kabuki = fileURLToPath(new URL('../../../deploy/kabuki.mjs', import.meta.url));

export interface StoreAlone {
  readonly dataDir: string;
  readonly ports: readonly number[];
  /** Of all members, for etcdctl's --endpoints. */
  readonly endpoints: string;
  readonly program: Program;
  /** Prints of etcdctl, which must end well. */
  etcdctl(...args: readonly string[]): Promise<string>;
  /** The same with input, or where failure is wanted. */
  tryEtcdctl(args: readonly string[], input?: string): Promise<Outcome>;
  /** Goes on while the test does other things. */
  startEtcdctl(...args: readonly string[]): Program;
  /** As Ctrl-C does; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** Also takes the data away. */
  remove(): Promise<void>;
}

export interface StoreAloneOptions {
  readonly members?: number;
  readonly dataDir?: string;
  readonly ports?: readonly number[];
  readonly args?: readonly string[];
  /** Of etcdctl: certificates. */
  readonly clientArgs?: readonly string[];
}

const lifeMaxMs = 600_000;

export async function startStoreAlone(options: StoreAloneOptions = {}): Promise<StoreAlone> {
  const count = options.members ?? 3;
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'kabuki-store-'));
  const ports = options.ports ?? (await freePorts(count));
  const listen = ports.map((port) => `127.0.0.1:${port}`).join(',');
  const program = start(
    process.execPath,
    [
      kabuki,
      'store',
      'run',
      `--members=${count}`,
      `--etcd-listen=${listen}`,
      `--data-dir=${dataDir}`,
      ...(options.args ?? []),
    ],
    { timeoutMs: lifeMaxMs },
  );
  let isOver = false;
  const over = program.outcome.then((outcome) => {
    isOver = true;
    return outcome;
  });
  await waitFor('the store to be ready', 30_000, async () => {
    if (isOver) return true;
    return program.stdout.includes('member list');
  });
  if (isOver) throw new Error(`the store did not start: ${program.stdout}${program.stderr}`);
  const env = { ...process.env, ETCDCTL_API: '3' };
  const endpoints = `--endpoints=${listen}`;
  const more = options.clientArgs ?? [];
  const stop = async () => {
    if (!isOver) program.process.kill('SIGINT');
    return (await over).code;
  };
  return {
    dataDir,
    ports,
    endpoints: listen,
    program,
    etcdctl: (...args) => output('etcdctl', [endpoints, ...more, ...args], { env }),
    tryEtcdctl: (args, input) =>
      run('etcdctl', [endpoints, ...more, ...args], { env, ...(input !== undefined && { input }) }),
    startEtcdctl: (...args) => start('etcdctl', [endpoints, ...more, ...args], { env }),
    stop,
    remove: async () => {
      await stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** etcdctl is a package of Debian (etcd-client); a test that needs it skips where it is not installed. */
export function hasEtcdctl(): boolean {
  return isInstalled('etcdctl', 'version');
}

/** Says why the tests are skipped where it is not. */
export function isInstalled(program: string, argument: string): boolean {
  const found = spawnSync(program, [argument], { stdio: 'ignore' }).status === 0;
  if (!found) console.log(`    skipped: ${program} is not installed`);
  return found;
}
