/** `kabuki store run`: the store alone, with etcd's API, in the foreground until Ctrl-C; or one member of a store elsewhere. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { connect } from 'node:net';
import { type AuthToken, parseAuthToken, readTokenKeys } from '../auth-token.js';
import type { ClusterSpec, StoreAlone } from '../cluster-spec.js';
import { DataDir } from '../data-dir.js';
import { lockDataDir } from '../data-lock.js';
import type { Launcher } from '../launcher.js';
import { launchStore } from '../store-launcher.js';
import { parseListen, prepareStore } from '../store-spec.js';
import { waitFor } from '../wait.js';
import { commaSeparated, newMemberName, newStoreOptions } from './options.js';
import { askStore } from './store-asked.js';
import { settingOptions, type SettingOptions, settingsOf } from './store-tune.js';
import { refuseSecondLauncher } from './up.js';

interface RunOptions extends SettingOptions {
  readonly members?: number;
  readonly etcdListen?: readonly string[];
  readonly dataDir: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly trustedCaFile?: string;
  readonly clientCrlFile?: string;
  readonly clientCertAllowedHostname?: string;
  readonly tlsMinVersion?: 'TLS1.2' | 'TLS1.3';
  readonly clientCertAuth?: boolean;
  readonly trace?: boolean;
  readonly watchProgressNotifyInterval?: number;
  readonly authTokenTtl?: number;
  readonly authToken?: string;
  readonly peerListen?: readonly string[];
  readonly join?: readonly string[];
  readonly member?: string;
  readonly joinCacert?: string;
  readonly joinCert?: string;
  readonly joinKey?: string;
  readonly user?: string;
}

export function storeRunCommand(): Command {
  const command = runCommand();
  for (const option of settingOptions()) command.addOption(option);
  return command.action((options: RunOptions) => runForeground(options));
}

function runCommand(): Command {
  const [members, etcdListen] = newStoreOptions();
  return new Command('run')
    .description('run the store without a control plane, with the API of etcd v3, until Ctrl-C')
    .addOption(members)
    .addOption(etcdListen)
    .addOption(
      new Option(
        '--peer-listen <addresses>',
        'host:port at which each member hears the others, separated by commas (default: loopback, free ports)',
      ).argParser(commaSeparated),
    )
    .addOption(
      new Option(
        '--join <endpoints>',
        'start one member that was added to a running store: where that serves etcd clients, or its folder on this machine',
      ).argParser(commaSeparated),
    )
    .option('--member <name>', 'with --join: what the member is called, a DNS label', newMemberName)
    .option('--join-cacert <file>', 'PEM authority to trust where --join says https')
    .option('--join-cert <file>', 'PEM certificate of a client, for --join https://...')
    .option('--join-key <file>', 'PEM key of that certificate')
    .option(
      '--user <name:password>',
      'with --join at a store that asks for rights: one with the role root (or KABUKI_STORE_USER)',
    )
    .addOption(
      new Option('--data-dir <dir>', 'folder of the store')
        .default('.kabuki-store')
        .env('KABUKI_STORE_DATA_DIR'),
    )
    .option('--cert-file <file>', 'PEM certificate: the API is served over TLS')
    .option('--key-file <file>', 'PEM key of the certificate')
    .option('--trusted-ca-file <file>', 'PEM authority: clients must bring a certificate that it signed')
    .option('--client-crl-file <file>', 'PEM list of certificates that its authority has revoked')
    .option('--client-cert-allowed-hostname <name>', 'a name that the certificate of a client must be for')
    .addOption(
      new Option('--tls-min-version <version>', 'the oldest TLS that is spoken (default TLS1.2)').choices([
        'TLS1.2',
        'TLS1.3',
      ]),
    )
    .option('--client-cert-auth', 'the common name of that certificate is the name of a user')
    .addOption(
      new Option(
        '--watch-progress-notify-interval <duration>',
        'how often quiet watchers hear of progress, as 10m, 30s, 100ms',
      ).argParser(duration),
    )
    .addOption(
      new Option(
        '--auth-token-ttl <seconds>',
        'how long the token of a user counts, who gives name and password again then (default 300)',
      ).argParser(wholeSeconds),
    )
    .option(
      '--auth-token <jwt,...>',
      'keys of these tokens, if not those of the store: jwt,sign-method=RS256,pub-key=FILE,priv-key=FILE,ttl=5m',
    )
    .option('--trace', 'write journals, for "kabuki trace"');
}

async function runForeground(options: RunOptions): Promise<void> {
  const dir = new DataDir(options.dataDir);
  await checkSettings(options);
  await refuseSecondLauncher(dir);
  // Before anything in it is written; a folder that there is not yet is locked by its launcher.
  if (dir.exists) lockDataDir(dir);
  const spec = options.join ? await joined(dir, options) : await founded(dir, options);
  let interrupt: () => void = () => {};
  const interrupted = new Promise<void>((resolvePromise) => (interrupt = resolvePromise));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  const launcher = await launchStore(dir, spec, (line) => console.log(line), interrupted);
  try {
    await Promise.race([announceReady(dir, spec, launcher), launcher.stopRequested, interrupted]);
    await Promise.race([launcher.stopRequested, interrupted]);
  } finally {
    console.log('stopping');
    await launcher.stop();
  }
}

/** What cannot be is refused before anything is written. */
async function checkSettings(options: RunOptions): Promise<void> {
  const settings = settingsOf(options);
  if (Object.keys(settings).length === 0) return;
  // Members are not loaded by other commands.
  const { checkReload, defaultRaftLimits } = await import('raft-consensus');
  const { limitsOf } = await import('../../actors/store/index.js');
  const { raft } = limitsOf(settings);
  const { heartbeatTicks, electionTicks, tickMs } = { ...defaultRaftLimits, ...raft };
  if (heartbeatTicks >= electionTicks) {
    throw new Error(
      `--heartbeat-interval (${heartbeatTicks * tickMs}) must be below --election-timeout (${electionTicks * tickMs})`,
    );
  }
  checkReload(defaultRaftLimits, raft);
}

function founded(dir: DataDir, options: RunOptions): Promise<ClusterSpec> {
  if (options.member !== undefined) throw new Error('--member belongs to --join');
  refuseIdentity(options, 'belongs to --join');
  return prepareStore(dir, {
    ...(options.members !== undefined && { members: options.members }),
    ...(options.etcdListen && { listen: options.etcdListen }),
    ...(options.peerListen && { peerListen: options.peerListen }),
    alone: aloneOf(options),
  });
}

async function joined(dir: DataDir, options: RunOptions): Promise<ClusterSpec> {
  const { member, peerListen, etcdListen, join = [] } = options;
  if (options.members !== undefined) throw new Error('--join starts one member: leave --members out');
  if (member === undefined || peerListen?.length !== 1) {
    throw new Error('--join needs --member NAME, and --peer-listen HOST:PORT as the member was added with');
  }
  if (etcdListen && etcdListen.length !== 1)
    throw new Error('--join starts one member: give one --etcd-listen');
  const { joinAtApi, joinRunningStore } = await import('../store-join.js');
  const alone = aloneOf(options);
  const folder = folderOf(join);
  if (folder) refuseIdentity(options, 'is for --join with addresses, not with a folder');
  const report = (line: string) => console.error(line);
  return joinRunningStore(dir, {
    ask: folder
      ? (claim) => askStore(folder, 'store.join', claim)
      : joinAtApi(join, identityOf(options), { report }),
    title: member,
    peerListen: peerListen[0] as string,
    listen: etcdListen?.[0] ?? '127.0.0.1:2379',
    alone,
  });
}

function refuseIdentity(options: RunOptions, why: string): void {
  const { joinCacert, joinCert, joinKey, user } = options;
  const given = {
    '--join-cacert': joinCacert,
    '--join-cert': joinCert,
    '--join-key': joinKey,
    '--user': user,
  };
  for (const [option, value] of Object.entries(given)) {
    if (value !== undefined) throw new Error(`${option} ${why}`);
  }
}

function identityOf({ joinCacert, joinCert, joinKey, user: told }: RunOptions) {
  const user = told ?? process.env['KABUKI_STORE_USER'];
  return {
    ...(joinCacert !== undefined && { caFile: joinCacert }),
    ...(joinCert !== undefined && { certFile: joinCert }),
    ...(joinKey !== undefined && { keyFile: joinKey }),
    ...(user !== undefined && { user }),
  };
}

/** Of a store on this machine, whose socket may be asked. */
function folderOf([only = '', ...more]: readonly string[]): DataDir | undefined {
  if (only === '' || more.length > 0) return undefined;
  const dir = new DataDir(only);
  if (!dir.exists && existsSync(dir.path))
    throw new Error(`--join ${only}: there is no store in that folder`);
  return dir.exists ? dir : undefined;
}

function aloneOf(options: RunOptions): StoreAlone {
  const { watchProgressNotifyInterval, authTokenTtl } = options;
  const authToken = authTokenOf(options);
  const settings = settingsOf(options);
  return {
    trace: options.trace === true,
    ...(Object.keys(settings).length > 0 && { settings }),
    ...(watchProgressNotifyInterval !== undefined && {
      progressNotifyIntervalMs: watchProgressNotifyInterval,
    }),
    ...(authTokenTtl !== undefined && { tokenTtlMs: authTokenTtl * 1_000 }),
    ...(authToken && { authToken }),
    ...(authToken?.ttlMs !== undefined && { tokenTtlMs: authToken.ttlMs }),
    ...tlsOf(options),
  };
}

function authTokenOf({ authToken: text, authTokenTtl }: RunOptions): AuthToken | undefined {
  if (text === undefined) return undefined;
  const token = parseAuthToken(text);
  if (token.ttlMs !== undefined && authTokenTtl !== undefined) {
    throw new Error('--auth-token-ttl and ttl= of --auth-token say the same: give one');
  }
  // What cannot be used is said before anything is written.
  readTokenKeys(token);
  return token;
}

function tlsOf(options: RunOptions): Pick<StoreAlone, 'tls'> {
  const { certFile, keyFile, trustedCaFile, clientCrlFile, clientCertAllowedHostname } = options;
  const { clientCertAuth, tlsMinVersion } = options;
  const needs = (option: string, isGiven: boolean, other: string, isThere: boolean) => {
    if (isGiven && !isThere) throw new Error(`${option} needs ${other}`);
  };
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new Error('--cert-file and --key-file belong together');
  }
  const hasCa = trustedCaFile !== undefined;
  needs('--trusted-ca-file', hasCa, '--cert-file and --key-file', certFile !== undefined);
  needs('--client-cert-auth', clientCertAuth === true, '--trusted-ca-file', hasCa);
  needs('--client-crl-file', clientCrlFile !== undefined, '--trusted-ca-file', hasCa);
  needs(
    '--client-cert-allowed-hostname',
    clientCertAllowedHostname !== undefined,
    '--trusted-ca-file',
    hasCa,
  );
  needs('--tls-min-version', tlsMinVersion !== undefined, '--cert-file', certFile !== undefined);
  if (certFile === undefined || keyFile === undefined) return {};
  const tls = {
    certFile: resolve(certFile),
    keyFile: resolve(keyFile),
    ...(hasCa && { clientCaFile: resolve(trustedCaFile) }),
    ...(clientCrlFile !== undefined && { clientCrlFile: resolve(clientCrlFile) }),
    ...(clientCertAllowedHostname !== undefined && { clientHostname: clientCertAllowedHostname }),
    ...(clientCertAuth === true && { clientCertAuth }),
    ...(tlsMinVersion !== undefined && { minVersion: tlsVersions[tlsMinVersion] }),
  };
  return { tls };
}

const tlsVersions = { 'TLS1.2': 'TLSv1.2', 'TLS1.3': 'TLSv1.3' } as const;

async function announceReady(dir: DataDir, spec: ClusterSpec, launcher: Launcher): Promise<void> {
  // One whose data are damaged does not run.
  const running = launcher
    .status()
    .machines.flatMap(({ name, state }) => (state === 'running' ? [name] : []));
  const machines = spec.machines.filter(({ name }) => running.includes(name));
  const listen = machines.map(({ etcdListen }) => etcdListen as string);
  for (const address of listen) {
    await waitFor(`${address} to accept connections`, 30_000, () => accepts(address));
  }
  const scheme = spec.store?.tls ? 'https' : 'http';
  const which = spec.store?.joined
    ? `member ${spec.machines[0]?.title} of a store`
    : `store of ${listen.length} member${listen.length === 1 ? '' : 's'}`;
  console.log(`${which} in ${dir.path}
  ETCDCTL_API=3 etcdctl --endpoints=${listen.map((address) => `${scheme}://${address}`).join(',')} member list`);
}

function accepts(address: string): Promise<boolean> {
  const { host, port } = parseListen(address);
  return new Promise((resolvePromise) => {
    const socket = connect(port, host);
    const answer = (isOpen: boolean) => {
      socket.destroy();
      resolvePromise(isOpen);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** As etcd takes it. */
function wholeSeconds(text: string): number {
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (seconds < 1) throw new InvalidArgumentError('it must be a number of whole seconds, 1 or more');
  return seconds;
}

function duration(text: string): number {
  const match = /^(\d+)(ms|s|m|h)$/.exec(text);
  const ms = match ? Number(match[1]) * unitsMs[match[2] as string]! : 0;
  if (ms < 100) throw new InvalidArgumentError('it must be a duration of at least 100ms, as 10m, 30s, 100ms');
  return ms;
}
