/**
 * Edge: the life of one container as a process group: its start, output to the log and to whoever is attached, stop signal,
 * SIGKILL after the grace period, and what is run by exec beside it. How its programs are started: container-programs.ts.
 */
import type { ChildProcess } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../../transport/index.js';
import type { ContainerLog } from './container-log.js';
import { ContainerPrograms, type Launched } from './container-programs.js';
import {
  type ContainerConfig,
  type ContainerRecord,
  type ContainerStreams,
  type ExecRequest,
  RuntimeError,
} from './container-runtime.js';
import type { RuntimeLimits } from './limits.js';
import type { MountViews } from './mount-views.js';
import { signalGroup, startMark } from './process-group.js';
import { attachedStreams, processStreams } from './process-streams.js';

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

export class ProcessContainer {
  readonly #setting: Setting;
  /** Undefined for a container of an earlier life. */
  readonly #programs: ContainerPrograms | undefined;
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
    const { config, limits, views, volumesDir } = setting;
    this.#programs =
      config &&
      new ContainerPrograms({
        containerId: setting.record.id,
        config,
        root: this.root,
        viewDir: this.#viewDir,
        volumesDir,
        limits,
        views,
      });
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

  get #viewDir(): string {
    return `${this.#setting.path}.view`;
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
    if (this.#programs === undefined || this.#record.state !== 'created') {
      throw new RuntimeError('Running', `container ${this.#record.name} was started before`);
    }
    const launched = await this.#programs.start((child) => this.#wire(child));
    if ('refusal' in launched) return this.#failedToStart(launched.refusal);
    const { child, ending } = launched;
    if (this.#record.state !== 'created') {
      // Stopped while its mounts were being made.
      signalGroup(child.pid!, 'SIGKILL');
      return;
    }
    this.#child = child;
    this.#groupId = child.pid!;
    this.#startMark = startMark(child.pid!);
    this.#record = { ...this.#record, state: 'running', startedAtMs: this.#setting.clock.nowMs() };
    void ending.exit.then((exitCode) => this.#exited(child, ending.closed, exitCode));
    this.#setting.changed();
    await this.store();
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
    const { limits, clock } = this.#setting;
    if (this.#programs === undefined || this.#record.state !== 'running') {
      throw new RuntimeError('NotRunning', `container ${this.#record.name} is not running`);
    }
    if (this.#execs.size >= limits.execsPerContainerMax) {
      throw new RuntimeError(
        'Limit',
        `${limits.execsPerContainerMax} programs run in ${this.#record.name} already`,
      );
    }
    let streams: ContainerStreams | undefined;
    const launched = await this.#programs.exec(request, this.#groupId!, (child, ending) => {
      streams = processStreams(child, ending, limits, clock);
    });
    if ('refusal' in launched) throw new RuntimeError('NotFound', launched.refusal);
    this.#keepExec(launched);
    return streams!;
  }

  #keepExec({ child, ending }: Launched): void {
    this.#execs.add(child);
    void ending.exit.then(() => {
      this.#execs.delete(child);
      signalGroup(child.pid!, 'SIGKILL');
    });
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
    await rm(this.#viewDir, { recursive: true, force: true });
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
    const written = await readMessage(
      join(this.root, config!.terminationMessagePath),
      limits.messageBytesMax,
    );
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
}

async function readMessage(path: string, bytesMax: number): Promise<string | undefined> {
  try {
    const bytes = await readFile(path);
    return bytes.length === 0 ? undefined : bytes.subarray(0, bytesMax).toString('utf8');
  } catch {
    // Not written, or not a file: there is no message.
    return undefined;
  }
}
