/**
 * Edge: the life of one container as a process group: spawn in a session of its own, output to the log and
 * to whoever is attached, stop signal, SIGKILL after the grace period, and what is run by exec beside it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { Clock, Timer } from '../../transport/index.js';
import type { ContainerLog } from './container-log.js';
import {
  type ContainerConfig,
  type ContainerRecord,
  type ContainerStreams,
  type ExecRequest,
  RuntimeError,
} from './container-runtime.js';
import type { RuntimeLimits } from './limits.js';
import { type MountViews, readyWord, type ViewCommand, type ViewProgram } from './mount-views.js';
import { containerIdVariable, signalGroup, startMark } from './process-group.js';
import { attachedStreams, type Ending, endingOf, processStreams } from './process-streams.js';
import type { ViewMount } from './view-plan.js';
import { holds, viewMounts } from './volume-files.js';

/** What stands in `<attempt>.json` beside the log of a container. */
export interface StoredRecord {
  readonly record: ContainerRecord;
  readonly groupId?: number;
  /** See process-group.ts: proves that the group's leader is still the process that we started. */
  readonly startMark?: string;
}

interface Setting {
  readonly record: ContainerRecord;
  /** Absent for a container of an earlier life, which has ended. */
  readonly config: ContainerConfig | undefined;
  /** Folder and attempt: `.log`, `.json`, `.root` and `.view` follow. */
  readonly path: string;
  readonly clock: Clock;
  readonly limits: RuntimeLimits;
  /** Undefined where the machine does not allow mount namespaces. */
  readonly views: MountViews | undefined;
  readonly volumesDir: string;
  readonly log: ContainerLog;
  store(stored: StoredRecord): Promise<void>;
  changed(): void;
}

type OutputListener = (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void;

const logTailLines = 80;
const logTailBytesMax = 2048;
const messageBytesMax = 4096;

export class ProcessContainer {
  readonly #setting: Setting;
  #record: ContainerRecord;
  #child: ChildProcess | undefined;
  #groupId: number | undefined;
  #startMark: string | undefined;
  #killTimer: Timer | undefined;
  #killAtMs = Number.POSITIVE_INFINITY;
  #storing: Promise<void> = Promise.resolve();
  readonly #execs = new Set<ChildProcess>();
  readonly #listeners = new Set<OutputListener>();
  readonly #ended: Promise<void>;
  #end!: () => void;

  constructor(setting: Setting) {
    this.#setting = setting;
    this.#record = setting.record;
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    if (setting.record.state === 'exited') this.#end();
  }

  get record(): ContainerRecord {
    return this.#record;
  }

  get log(): ContainerLog {
    return this.#setting.log;
  }

  get root(): string {
    return `${this.#setting.path}.root`;
  }

  /** One write at a time, in the order of the calls. */
  store(record = this.#record): Promise<void> {
    const stored: StoredRecord = {
      record,
      ...(this.#groupId === undefined ? {} : { groupId: this.#groupId }),
      ...(this.#startMark === undefined ? {} : { startMark: this.#startMark }),
    };
    const turn = this.#storing.then(() => this.#setting.store(stored));
    this.#storing = turn.catch(() => {});
    return turn;
  }

  async start(): Promise<void> {
    const { config, clock } = this.#setting;
    if (config === undefined || this.#record.state !== 'created') {
      throw new RuntimeError('Running', `container ${this.#record.name} was started before`);
    }
    await mkdir(join(this.root, parentOf(config.terminationMessagePath)), { recursive: true });
    const cwd = await this.#workingDir(config);
    if (config.user !== undefined && process.getuid?.() === 0) {
      await chown(this.root, config.user, config.group ?? config.user);
    }
    const launch = await this.#launch(config, cwd, (child) => this.#wire(child));
    if ('refusal' in launch) return this.#failedToStart(launch.refusal);
    const { child, ending } = launch;
    if (this.#record.state !== 'created') {
      // Stopped while its mounts were being made.
      signalGroup(child.pid!, 'SIGKILL');
      return;
    }
    this.#child = child;
    this.#groupId = child.pid!;
    this.#startMark = startMark(child.pid!);
    this.#record = { ...this.#record, state: 'running', startedAtMs: clock.nowMs() };
    void ending.exit.then((exitCode) => this.#exited(child, ending.closed, exitCode));
    this.#setting.changed();
    await this.store();
  }

  /** Resolves when the container's own program runs, in its view of the file system if it has mounts. */
  async #launch(config: ContainerConfig, cwd: string, wire: Wiring): Promise<Launched | Refused> {
    const { views, volumesDir, path } = this.#setting;
    const stdin = config.stdin ? 'pipe' : 'ignore';
    if (program(config) === '') return { refusal: 'no command specified' };
    if (views === undefined || !this.#inView) {
      const refusal = programRefusal(config, cwd, this.#environment(config));
      if (refusal !== undefined) return { refusal };
      const child = spawn(program(config), config.argv.slice(1), {
        ...this.#spawnOptions(config, cwd),
        stdio: [stdin, 'pipe', 'pipe'],
      });
      const ending = endingOf(child);
      if (child.pid !== undefined) wire(child, ending);
      const failure = await spawned(child);
      return failure === undefined ? { child, ending } : { refusal: failure.message };
    }
    let command: ViewCommand;
    try {
      const store = `${path}.view`;
      await mkdir(store, { recursive: true });
      const mounts = viewMounts(volumesDir, config.mounts);
      const message = await this.#messageMount(config);
      const all = message === undefined ? mounts : [...mounts, message];
      command = views.run(realpathSync(store), all, this.#viewProgram(config, config.argv, cwd));
    } catch (error) {
      if (!isExpected(error)) throw error;
      return { refusal: error.message };
    }
    return this.#spawnInView(config, command, stdin, wire);
  }

  async #spawnInView(
    config: ContainerConfig,
    command: ViewCommand,
    stdin: 'pipe' | 'ignore',
    wire: Wiring,
  ): Promise<Launched | Refused> {
    const child = spawn(command.file, command.args, {
      cwd: '/',
      detached: true,
      env: this.#environment(config),
      stdio: [stdin, 'pipe', 'pipe', 'pipe'],
    });
    const ending = endingOf(child);
    if (child.pid !== undefined) wire(child, ending);
    const failure = await refusalOf(child, ending);
    return failure === undefined ? { child, ending } : { refusal: failure };
  }

  /** The file for the termination message, to be put where the container writes it; none if that is in a volume. */
  async #messageMount(config: ContainerConfig): Promise<ViewMount | undefined> {
    const mountPath = config.terminationMessagePath;
    if (config.mounts.some((mount) => mount.mountPath === mountPath || holds(mount.mountPath, mountPath))) {
      return undefined;
    }
    const path = join(this.root, mountPath);
    await writeFile(path, '');
    await chmod(path, 0o666);
    return { source: realpathSync(path), mountPath, readOnly: false, kind: 'file' };
  }

  #viewProgram(config: ContainerConfig, argv: readonly string[], cwd: string): ViewProgram {
    const { workingDir, user, group } = config;
    return { argv, folders: workingDir === undefined ? [cwd] : [workingDir, cwd], user, group };
  }

  async stop(graceMs: number): Promise<void> {
    if (this.#record.state === 'created') {
      await this.#setting.log.close();
      const finishedAtMs = this.#setting.clock.nowMs();
      await this.#finish({ ...this.#record, state: 'exited', exitCode: 137, reason: 'Error', finishedAtMs });
    }
    if (this.#record.state === 'running') this.#signal(graceMs);
    await this.#ended;
  }

  async exec(request: ExecRequest): Promise<ContainerStreams> {
    const { config, limits } = this.#setting;
    if (config === undefined || this.#record.state !== 'running') {
      throw new RuntimeError('NotRunning', `container ${this.#record.name} is not running`);
    }
    if (this.#execs.size >= limits.execsPerContainerMax) {
      throw new RuntimeError(
        'Limit',
        `${limits.execsPerContainerMax} programs run in ${config.name} already`,
      );
    }
    const argv = replaceProgram(config, request.command);
    const cwd = await this.#workingDir(config);
    const stdin = request.stdin ? 'pipe' : 'ignore';
    let streams: ContainerStreams | undefined;
    const wire = (child: ChildProcess, ending: Ending) => {
      streams = processStreams(child, ending, limits, this.#setting.clock);
    };
    if (this.#inView) {
      const command = this.#setting.views!.enter(this.#groupId!, this.#viewProgram(config, argv, cwd));
      const launched = await this.#spawnInView(config, command, stdin, wire);
      if ('refusal' in launched) throw new RuntimeError('NotFound', launched.refusal);
      this.#keepExec(launched);
      return streams!;
    }
    const child = spawn(argv[0] ?? '', argv.slice(1), {
      ...this.#spawnOptions(config, cwd),
      stdio: [stdin, 'pipe', 'pipe'],
    });
    const ending = endingOf(child);
    if (child.pid !== undefined) wire(child, ending);
    const failure = await spawned(child);
    if (failure !== undefined) {
      throw new RuntimeError('NotFound', `exec: ${JSON.stringify(argv[0])}: ${failure.message}`);
    }
    this.#keepExec({ child, ending });
    return streams!;
  }

  #keepExec({ child, ending }: Launched): void {
    this.#execs.add(child);
    void ending.exit.then(() => {
      this.#execs.delete(child);
      signalGroup(child.pid!, 'SIGKILL');
    });
  }

  get #inView(): boolean {
    return this.#setting.views !== undefined && (this.#setting.config?.mounts.length ?? 0) > 0;
  }

  attach(): ContainerStreams {
    const { config, limits } = this.#setting;
    if (config === undefined || this.#child === undefined || this.#record.state !== 'running') {
      throw new RuntimeError('NotRunning', `container ${this.#record.name} is not running`);
    }
    return attachedStreams({
      stdin: this.#child.stdin,
      closeStdin: config.stdinOnce,
      limits,
      ended: this.#ended.then(() => this.#record.exitCode ?? 137),
      listen: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    });
  }

  async removeFiles(): Promise<void> {
    await this.#setting.log.remove();
    await rm(this.root, { recursive: true, force: true });
    await rm(`${this.#setting.path}.view`, { recursive: true, force: true });
    await rm(`${this.#setting.path}.json`, { force: true });
  }

  /** At once after the spawn: Node discards what a process that has ended wrote if nobody listens. */
  #wire(child: ChildProcess): void {
    const { log } = this.#setting;
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream]!.on('data', (bytes: Buffer) => {
        log.write(stream, bytes);
        for (const listener of this.#listeners) listener(stream, bytes);
      });
      // A pipe that breaks ends with the process; the exit code says what there is to say.
      child[stream]!.on('error', () => {});
    }
    child.stdin?.on('error', () => {});
    log.onPressure = (paused) => {
      for (const pipe of [child.stdout!, child.stderr!]) {
        if (paused) pipe.pause();
        else pipe.resume();
      }
    };
  }

  async #exited(child: ChildProcess, closed: Promise<void>, exitCode: number): Promise<void> {
    const { clock, limits, log, config } = this.#setting;
    this.#killTimer?.cancel();
    // A container ends with its first process: what it left in the group goes too.
    signalGroup(child.pid!, 'SIGKILL');
    for (const exec of this.#execs) signalGroup(exec.pid!, 'SIGKILL');
    // Somebody who left the group may hold the pipes open for ever.
    let timer: Timer | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = clock.setTimer(limits.drainAfterExitMs, resolve);
    });
    await Promise.race([closed, patience]);
    timer?.cancel();
    child.stdout?.destroy();
    child.stderr?.destroy();
    const logFailure = await log.close().then(
      () => undefined,
      (error: Error) => `the log could not be written: ${error.message}`,
    );
    const written = await readMessage(join(this.root, config!.terminationMessagePath));
    const message = written ?? logFailure;
    await this.#finish({
      ...this.#record,
      state: 'exited',
      finishedAtMs: clock.nowMs(),
      exitCode,
      ...(message === undefined ? {} : { message }),
      ...(exitCode === 0 ? {} : { logTail: await log.tail(logTailLines, logTailBytesMax) }),
    });
  }

  #signal(graceMs: number): void {
    const { clock, config } = this.#setting;
    const killAtMs = clock.monotonicMs() + graceMs;
    if (this.#killAtMs === Number.POSITIVE_INFINITY && graceMs > 0) {
      signalGroup(this.#groupId!, (config?.stopSignal ?? 'SIGTERM') as NodeJS.Signals);
    }
    if (killAtMs >= this.#killAtMs) return;
    this.#killAtMs = killAtMs;
    this.#killTimer?.cancel();
    this.#killTimer = clock.setTimer(graceMs, () => {
      if (this.#record.state === 'running') signalGroup(this.#groupId!, 'SIGKILL');
    });
  }

  async #failedToStart(why: string): Promise<void> {
    const { clock, log } = this.#setting;
    await log.close();
    const nowMs = clock.nowMs();
    await this.#finish({
      ...this.#record,
      state: 'exited',
      startedAtMs: nowMs,
      finishedAtMs: nowMs,
      exitCode: 128,
      reason: 'StartError',
      message: `failed to start container ${JSON.stringify(this.#record.name)}: ${why}`,
    });
  }

  /** On disk first, then seen and told in one step. */
  async #finish(ended: ContainerRecord): Promise<void> {
    const failure = await this.store(ended).then(
      () => undefined,
      (error: Error) => `its record could not be written: ${error.message}`,
    );
    this.#record = failure === undefined ? ended : { ...ended, message: ended.message ?? failure };
    this.#end();
    this.#setting.changed();
  }

  /** A folder of this machine if there is one of that name, else one below the container's root. */
  async #workingDir(config: ContainerConfig): Promise<string> {
    if (config.workingDir === undefined) return this.root;
    if (statSync(config.workingDir, { throwIfNoEntry: false })?.isDirectory()) return config.workingDir;
    const inRoot = join(this.root, config.workingDir);
    await mkdir(inRoot, { recursive: true });
    return inRoot;
  }

  #spawnOptions(config: ContainerConfig, cwd: string): SpawnBasics {
    const asRoot = process.getuid?.() === 0;
    return {
      cwd,
      detached: true,
      env: this.#environment(config),
      ...(asRoot && config.user !== undefined ? { uid: config.user } : {}),
      ...(asRoot && config.group !== undefined ? { gid: config.group } : {}),
    };
  }

  /** Nothing of the kubelet's own environment but PATH: it may hold secrets. */
  #environment(config: ContainerConfig): Record<string, string> {
    const volumes = config.mounts.map(
      ({ volume, mountPath }) =>
        [
          `KABUKI_VOLUME_${volume.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`,
          join(this.root, mountPath),
        ] as const,
    );
    return {
      PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
      HOME: this.root,
      ...config.image.env,
      ...Object.fromEntries(volumes),
      ...Object.fromEntries(config.env),
      KABUKI_NODE: config.nodeName,
      KABUKI_ROOT: this.root,
      [containerIdVariable]: this.#record.id,
    };
  }
}

interface Launched {
  readonly child: ChildProcess;
  readonly ending: Ending;
}

interface Refused {
  readonly refusal: string;
}

/** Takes hold of a process's pipes. */
type Wiring = (child: ChildProcess, ending: Ending) => void;

interface SpawnBasics {
  readonly cwd: string;
  readonly detached: true;
  readonly env: Record<string, string>;
  readonly uid?: number;
  readonly gid?: number;
}

function program(config: ContainerConfig): string {
  return config.argv[0] ?? '';
}

/** Node reports ENOENT alike for a missing program and a missing folder; look first, to say which. */
function programRefusal(
  config: ContainerConfig,
  cwd: string,
  env: Readonly<Record<string, string>>,
): string | undefined {
  const name = program(config);
  if (name === '') return 'no command specified';
  if (name.includes('/')) {
    const path = isAbsolute(name) ? name : join(cwd, name);
    return executable(path) ? undefined : `exec: ${JSON.stringify(name)}: no such file on this machine`;
  }
  const folders = (env['PATH'] ?? '').split(':');
  if (folders.some((folder) => executable(join(folder, name)))) return undefined;
  return `exec: ${JSON.stringify(name)}: executable file not found in $PATH`;
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function replaceProgram(config: ContainerConfig, command: readonly string[]): readonly string[] {
  const [name = '', ...rest] = command;
  return [...(config.image.programs[name] ?? [name]), ...rest];
}

/** Undefined once the process runs; the error if it could not be started. */
function spawned(child: ChildProcess): Promise<Error | undefined> {
  return new Promise((resolve) => {
    child.once('spawn', () => resolve(undefined));
    child.once('error', resolve);
  });
}

/** What keeps the program from running; undefined when it runs. Until then descriptor 3 speaks for the container. */
async function refusalOf(child: ChildProcess, ending: Ending): Promise<string | undefined> {
  if (child.pid === undefined) return (await spawned(child))?.message;
  let said = '';
  let complaint = '';
  const pipe = child.stdio[3] as Readable;
  const piped = new Promise<void>((resolve) => {
    pipe.on('data', (bytes: Buffer) => (said += bytes.toString('utf8')));
    pipe.once('error', () => resolve());
    pipe.once('close', () => resolve());
  });
  const listen = (bytes: Buffer) => {
    complaint = (complaint + bytes.toString('utf8')).slice(0, messageBytesMax);
  };
  child.stderr!.on('data', listen);
  await piped;
  child.stderr!.off('data', listen);
  if (said.trimEnd().split('\n').at(-1) === readyWord) return undefined;
  child.stderr!.on('data', listen);
  const exitCode = await ending.exit;
  await ending.closed;
  const why = (said + complaint).trim().slice(0, messageBytesMax);
  return why || `it ended with code ${exitCode} while its mounts were made`;
}

/** Errors of the pod's volumes, or of the machine's file system. */
function isExpected(error: unknown): error is Error {
  return error instanceof RuntimeError || (error as NodeJS.ErrnoException).syscall !== undefined;
}

async function readMessage(path: string): Promise<string | undefined> {
  try {
    const bytes = await readFile(path);
    return bytes.length === 0 ? undefined : bytes.subarray(0, messageBytesMax).toString('utf8');
  } catch {
    // Not written, or not a file: there is no message.
    return undefined;
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')));
}
