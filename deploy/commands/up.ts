/** `kabuki up`: makes or restarts the cluster of a data directory and keeps it running until Ctrl-C. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { parse } from 'yaml';
import { controlCall } from '../../transport/index.js';
import { type ClusterSpec, type ExternalStore, masters } from '../cluster-spec.js';
import { type ClusterShape, checkShape } from '../cluster-shape.js';
import type { DataDir } from '../data-dir.js';
import { lockDataDir } from '../data-lock.js';
import { parseStore, storeUrl } from '../external-store.js';
import { launch, type LauncherStatus } from '../launcher.js';
import { readyNodes } from '../readiness.js';
import { createWithStore, enterStore } from '../store-entry.js';
import { waitFor } from '../wait.js';
import { dataDirOption, openDataDir, wholeNumber } from './options.js';

interface UpOptions {
  readonly masters?: number;
  readonly workers?: number;
  readonly port?: number;
  readonly name?: string;
  readonly detach?: boolean;
  readonly dataDir: string;
  readonly cluster?: string;
  readonly store?: string;
  readonly storePrefix?: string;
  readonly storeCacert?: string;
  readonly storeCert?: string;
  readonly storeKey?: string;
  readonly storeUser?: string;
  readonly storePasswordFile?: string;
}

const readyTimeoutMs = 60_000;

export function upCommand(): Command {
  return new Command('up')
    .description('start a cluster and keep it running until Ctrl-C')
    .addOption(new Option('--masters <n>', '1, 3 or 5 (default 3)').argParser(wholeNumber))
    .addOption(
      new Option('--workers <n>', 'machines without a control plane (default 2)').argParser(wholeNumber),
    )
    .addOption(
      new Option('--port <port>', 'of the address in front (default 6443, or a free one)').argParser(
        wholeNumber,
      ),
    )
    .option('--name <name>', 'of the cluster in the kubeconfig (default kabuki)')
    .option('--cluster <file>', 'YAML file with masters, workers, port, name')
    .option(
      '--store <url>',
      'use an etcd cluster as the store: etcd://host:port,host:port (etcds:// for TLS)',
    )
    .option('--store-prefix <prefix>', 'of all keys in it, as /team-a, when others use it too')
    .option('--store-cacert <file>', 'PEM authority of its servers')
    .option('--store-cert <file>', 'PEM certificate to show to them')
    .option('--store-key <file>', 'PEM key of the certificate')
    .option('--store-user <name>', 'who we are to an etcd with authentication')
    .option('--store-password-file <file>', 'that holds the password of the user and nothing else')
    .option('--detach', 'return when the cluster is ready and leave it running')
    .addOption(dataDirOption())
    .action(async (options: UpOptions) => {
      const dir = openDataDir(options);
      await refuseSecondLauncher(dir);
      if (!options.detach && dir.exists) lockDataDir(dir);
      if (options.detach) await detach(dir, options);
      else await runForeground(dir, options);
    });
}

async function runForeground(dir: DataDir, options: UpOptions): Promise<void> {
  const begun = Date.now();
  const say = (line: string) =>
    console.log(`${((Date.now() - begun) / 1000).toFixed(1).padStart(5)}s  ${line}`);
  const spec = await prepare(dir, options, say);
  let stopping = false;
  let interrupt: () => void = () => {};
  const interrupted = new Promise<void>((resolve) => (interrupt = resolve));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);

  const report = (line: string) => {
    if (!stopping) say(line);
  };
  const launcher = await launch(dir, spec, say, interrupted);
  try {
    const ready = announceReady(dir, spec, report, () => stopping);
    await Promise.race([ready, launcher.stopRequested, interrupted]);
    await Promise.race([launcher.stopRequested, interrupted]);
  } finally {
    stopping = true;
    say('stopping');
    await launcher.stop();
  }
}

async function announceReady(
  dir: DataDir,
  spec: ClusterSpec,
  say: (line: string) => void,
  isStopping: () => boolean,
): Promise<void> {
  let seen = -1;
  say(`${spec.machines.length} processes run`);
  await waitFor(`${spec.machines.length} nodes to be Ready`, readyTimeoutMs, async () => {
    // Or the process would live on until time is up.
    if (isStopping()) return true;
    const ready = await readyNodes(dir, spec);
    if (ready !== seen) say(`${ready} of ${spec.machines.length} nodes are Ready`);
    seen = ready;
    return ready >= spec.machines.length;
  });
  if (isStopping()) return;
  say(`cluster "${spec.name}" is ready at https://127.0.0.1:${spec.frontPort}`);
  console.log(`
  export KUBECONFIG=${dir.kubeconfigPath}
  npx kabuki kubectl get nodes
`);
}

/** The specification of this run: what the folder holds, or a new cluster. */
async function prepare(dir: DataDir, options: UpOptions, say: (line: string) => void): Promise<ClusterSpec> {
  const store = storeOf(options);
  const wanted = shapeOf(options, store);
  if (!dir.exists) {
    const spec = await createWithStore(dir, wanted, store, say);
    const where = store ? `, store ${storeUrl(store)}` : '';
    say(
      `new cluster "${spec.name}" in ${dir.path}: ${wanted.masters} masters, ${wanted.workers} workers${where}`,
    );
    return spec;
  }
  const spec = dir.readSpec();
  if (spec.store) {
    throw new Error(`${dir.path} holds a store that runs alone: "kabuki store run" starts it again`);
  }
  const count = { masters: masters(spec).length, workers: spec.machines.length - masters(spec).length };
  const asked = { masters: options.masters ?? count.masters, workers: options.workers ?? count.workers };
  if (asked.masters !== count.masters || asked.workers !== count.workers) {
    throw new Error(
      `${dir.path} holds a cluster of ${count.masters} masters and ${count.workers} workers, not ${asked.masters} and ${asked.workers}: ` +
        'leave the options out to start it again, or remove the folder to begin anew',
    );
  }
  const { externalStore } = spec;
  say(
    `starting cluster "${spec.name}" again with the data in ${externalStore ? storeUrl(store ?? externalStore) : dir.path}`,
  );
  return enterStore(dir, spec, store, say);
}

function storeOf(options: UpOptions): ExternalStore | undefined {
  const {
    store: url,
    storePrefix: prefix,
    storeCacert: caFile,
    storeCert: certFile,
    storeKey: keyFile,
    storeUser: user,
    storePasswordFile: passwordFile,
  } = options;
  if (url !== undefined) {
    return parseStore({
      url,
      ...(prefix !== undefined && { prefix }),
      ...(caFile !== undefined && { caFile }),
      ...(certFile !== undefined && { certFile }),
      ...(keyFile !== undefined && { keyFile }),
      ...(user !== undefined && { user }),
      ...(passwordFile !== undefined && { passwordFile }),
    });
  }
  if ([prefix, caFile, certFile, keyFile, user, passwordFile].some((option) => option !== undefined)) {
    throw new Error('the other options that begin with --store- belong to --store');
  }
  return undefined;
}

function shapeOf(options: UpOptions, externalStore: ExternalStore | undefined): ClusterShape {
  const file = options.cluster === undefined ? {} : readShapeFile(options.cluster);
  const port = options.port ?? file.port;
  return checkShape({
    name: options.name ?? file.name ?? 'kabuki',
    masters: options.masters ?? file.masters ?? 3,
    workers: options.workers ?? file.workers ?? 2,
    ...(port !== undefined && { port }),
    ...(externalStore && { externalStore }),
  });
}

function readShapeFile(path: string): Partial<ClusterShape> {
  let value: unknown;
  try {
    value = parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new Error(`the cluster file ${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`the cluster file ${path} must hold a mapping of masters, workers, port, name`);
  }
  const allowed: Record<string, string> = {
    name: 'string',
    masters: 'number',
    workers: 'number',
    port: 'number',
  };
  for (const [field, content] of Object.entries(value)) {
    const type = allowed[field];
    if (!type)
      throw new Error(
        `the cluster file ${path} has an unknown field "${field}"; known: ${Object.keys(allowed).join(', ')}`,
      );
    if (typeof content !== type) throw new Error(`the cluster file ${path}: "${field}" must be a ${type}`);
  }
  return value as Partial<ClusterShape>;
}

export async function refuseSecondLauncher(dir: DataDir): Promise<void> {
  if (!dir.exists) return;
  let status: LauncherStatus;
  try {
    status = (await controlCall(dir.socketPath('launcher'), 'status', {}, 2_000)) as LauncherStatus;
  } catch {
    // Nobody answers: the folder belongs to a cluster that is stopped.
    return;
  }
  throw new Error(
    `the ${dir.readSpec().store ? 'store' : 'cluster'} in ${dir.path} is already running (process ${status.pid}): ` +
      `"kabuki down --data-dir ${dir.path}" stops it`,
  );
}

/** Runs `up` again as a background process and waits until it is ready. */
async function detach(dir: DataDir, options: UpOptions): Promise<void> {
  dir.create();
  const path = `${dir.path}/launcher.log`;
  const log = openSync(path, 'w', 0o600);
  const args = process.argv.slice(1).filter((arg) => arg !== '--detach');
  const child = spawn(process.execPath, args, { detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  let ended = false;
  child.once('exit', () => (ended = true));
  // Whoever gives up waiting does not want the cluster.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => child.kill('SIGTERM'));
  child.unref();
  try {
    await waitFor('the cluster to be ready', readyTimeoutMs + 10_000, async () => {
      if (ended) return true;
      return readFileSync(path, 'utf8').includes('is ready at');
    });
  } catch (error) {
    child.kill('SIGTERM');
    throw error;
  }
  const output = readFileSync(path, 'utf8');
  if (ended) throw new Error(`the cluster did not start:\n${output.trim()}`);
  process.stdout.write(output);
  console.log(
    `running in the background (process ${child.pid}); "kabuki down --data-dir ${options.dataDir}" stops it`,
  );
}
