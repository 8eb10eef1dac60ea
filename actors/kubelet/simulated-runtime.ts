/**
 * Containers that are nothing but entries in a table, on the Env clock: for the simulator and for thousands
 * of nodes. What a container does stands in annotations of its pod (`simulated.kabuki.dev/...`, see
 * `planOf`); without them it starts after a moment and runs until it is stopped.
 */
import type { Clock, Random, Timer } from '../../transport/index.js';
import { ChunkQueue } from './chunk-queue.js';
import { ContainerBook } from './container-book.js';
import {
  type ContainerConfig,
  type ContainerRecord,
  type ContainerRuntime,
  type ContainerStreams,
  type ExecRequest,
  ImageError,
  type ImageRequest,
  type OutputChunk,
  type ResolvedImage,
  RuntimeError,
  type VolumeContent,
} from './container-runtime.js';
import { LogPrinter, rfc3339Nano } from './log-format.js';
import type { LogOptions } from './messages.js';

export interface SimulatedRuntimeOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** From `startContainer` to running; default 100. */
  readonly startDelayMs?: number;
}

export interface ContainerPlan {
  readonly startDelayMs: number;
  /** Absent: runs until it is stopped. */
  readonly exitAfterMs?: number;
  readonly exitCode: number;
  /** From the stop signal to the end; more than the grace period means that SIGKILL ends it. */
  readonly stopDelayMs: number;
  /** Exit code of whatever exec runs. */
  readonly execExitCode: number;
}

interface SimulatedContainer {
  record: ContainerRecord;
  readonly plan: ContainerPlan;
  readonly lines: Buffer[];
  timer: Timer | undefined;
  killTimer: Timer | undefined;
  killAtMs: number;
  readonly ended: Promise<void>;
  readonly end: () => void;
}

const prefix = 'simulated.kabuki.dev/';
const images = /^(?!.*(does-not-exist|invalid))/;

export class SimulatedRuntime implements ContainerRuntime {
  readonly name = 'simulated';
  readonly version = '1.0';
  readonly isolation = 'simulated';
  readonly mountPlacement = 'mountPath';
  readonly #clock: Clock;
  readonly #startDelayMs: number;
  readonly #containers: ContainerBook<SimulatedContainer>;
  readonly #pods = new Set<string>();

  constructor(options: SimulatedRuntimeOptions) {
    this.#clock = options.clock;
    this.#containers = new ContainerBook(options);
    this.#startDelayMs = options.startDelayMs ?? 100;
  }

  async start(): Promise<void> {}

  onChange(listener: (podUid: string) => void): () => void {
    return this.#containers.onChange(listener);
  }

  /**
   * Every image exists, except those whose name says `does-not-exist` or `invalid`, as tests of Kubernetes
   * write them.
   */
  async resolveImage(request: ImageRequest): Promise<ResolvedImage> {
    if (!images.test(request.image)) {
      throw new ImageError('ErrImagePull', `failed to pull "${request.image}": not found (simulated)`);
    }
    const { image } = request;
    return {
      image,
      imageId: `simulated://${image}`,
      entrypoint: ['simulated'],
      cmd: [],
      programs: {},
      env: {},
    };
  }

  async create(config: ContainerConfig): Promise<string> {
    const record = this.#containers.newRecord(config);
    let end!: () => void;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#pods.add(record.podUid);
    this.#containers.add({
      record,
      plan: planOf(config, this.#startDelayMs),
      lines: [],
      timer: undefined,
      killTimer: undefined,
      killAtMs: Number.POSITIVE_INFINITY,
      ended,
      end,
    });
    return record.id;
  }

  async startContainer(id: string): Promise<void> {
    const container = this.#containers.find(id);
    if (container.record.state !== 'created') {
      throw new RuntimeError('Running', `container ${container.record.name} was started before`);
    }
    const { plan } = container;
    await new Promise<void>((resolve) => {
      container.timer = this.#clock.setTimer(plan.startDelayMs, resolve);
    });
    if (container.record.state !== 'created') return;
    container.record = { ...container.record, state: 'running', startedAtMs: this.#clock.nowMs() };
    this.#log(container, 'simulated container started');
    if (plan.exitAfterMs !== undefined) {
      container.timer = this.#clock.setTimer(plan.exitAfterMs, () => this.#exit(container, plan.exitCode));
    }
    this.#containers.changed(container);
  }

  async stop(id: string, graceMs: number): Promise<void> {
    const container = this.#containers.find(id);
    if (container.record.state === 'exited') return;
    const killAtMs = this.#clock.monotonicMs() + graceMs;
    if (container.record.state === 'created') this.#exit(container, 137);
    else {
      if (container.killAtMs === Number.POSITIVE_INFINITY) {
        container.timer?.cancel();
        container.timer = this.#clock.setTimer(container.plan.stopDelayMs, () => this.#exit(container, 0));
      }
      if (killAtMs < container.killAtMs) {
        container.killAtMs = killAtMs;
        container.killTimer?.cancel();
        container.killTimer = this.#clock.setTimer(graceMs, () => this.#exit(container, 137));
      }
    }
    await container.ended;
  }

  async remove(id: string): Promise<void> {
    this.#containers.remove(id);
  }

  list(podUid?: string): readonly ContainerRecord[] {
    return this.#containers.records(podUid);
  }

  get(id: string): ContainerRecord | undefined {
    return this.#containers.get(id)?.record;
  }

  async exec(id: string, request: ExecRequest): Promise<ContainerStreams> {
    const container = this.#running(id);
    const said = `simulated: ${request.command.join(' ')}\n`;
    return streamsOf([{ stream: 'stdout', bytes: Buffer.from(said) }], container.plan.execExitCode);
  }

  async attach(id: string): Promise<ContainerStreams> {
    const container = this.#running(id);
    const { ended } = container;
    // A simulated container says nothing after its start.
    const silence = new ChunkQueue<OutputChunk>(
      1,
      () => 1,
      () => {},
    );
    void ended.then(() => silence.end());
    return {
      output: silence,
      write: async () => {},
      endInput: () => {},
      exit: ended.then(() => container.record.exitCode ?? 137),
      cancel: () => silence.end(),
    };
  }

  async *logs(id: string, options: LogOptions): AsyncGenerator<Uint8Array, void, void> {
    const container = this.#containers.find(id);
    const printer = new LogPrinter(options, this.#clock.nowMs());
    const from = Math.max(0, container.lines.length - (options.tailLines ?? Number.POSITIVE_INFINITY));
    let at = from;
    for (;;) {
      for (; at < container.lines.length; at += 1) {
        const printed = printer.print(container.lines[at]!);
        if (printed !== undefined) yield printed;
      }
      if (options.follow !== true || container.record.state === 'exited') return;
      await container.ended;
    }
  }

  async writeVolume(podUid: string, _volume: VolumeContent): Promise<void> {
    this.#pods.add(podUid);
  }

  async removePod(podUid: string): Promise<void> {
    for (const { id } of this.list(podUid)) await this.remove(id);
    this.#pods.delete(podUid);
  }

  podUids(): readonly string[] {
    return [...this.#pods].sort();
  }

  async close(): Promise<void> {
    for (const container of this.#containers.all) {
      if (container.record.state !== 'exited') this.#exit(container, 137);
    }
  }

  #exit(container: SimulatedContainer, exitCode: number): void {
    if (container.record.state === 'exited') return;
    container.timer?.cancel();
    container.killTimer?.cancel();
    this.#log(container, `simulated container ended with ${exitCode}`);
    container.record = {
      ...container.record,
      state: 'exited',
      finishedAtMs: this.#clock.nowMs(),
      exitCode,
      ...(exitCode === 0 ? {} : { logTail: `simulated container ended with ${exitCode}\n` }),
    };
    container.end();
    this.#containers.changed(container);
  }

  #log(container: SimulatedContainer, text: string): void {
    container.lines.push(Buffer.from(`${rfc3339Nano(this.#clock.nowMs())} stdout F ${text}`));
  }

  #running(id: string): SimulatedContainer {
    const container = this.#containers.find(id);
    if (container.record.state !== 'running') {
      throw new RuntimeError('NotRunning', `container ${container.record.name} is not running`);
    }
    return container;
  }
}

/**
 * `<prefix>start-delay-ms`, `exit-after-ms`, `exit-code`, `stop-delay-ms`, `exec-exit-code`, each also as
 * `<key>.<container>`.
 */
function planOf(config: ContainerConfig, startDelayMs: number): ContainerPlan {
  const read = (key: string): number | undefined => {
    const text =
      config.podAnnotations[`${prefix}${key}.${config.name}`] ?? config.podAnnotations[`${prefix}${key}`];
    const value = Number(text);
    return text === undefined || !Number.isFinite(value) ? undefined : value;
  };
  const exitAfterMs = read('exit-after-ms');
  return {
    startDelayMs: read('start-delay-ms') ?? startDelayMs,
    ...(exitAfterMs === undefined ? {} : { exitAfterMs }),
    exitCode: read('exit-code') ?? 0,
    stopDelayMs: read('stop-delay-ms') ?? 10,
    execExitCode: read('exec-exit-code') ?? 0,
  };
}

function streamsOf(chunks: readonly OutputChunk[], exitCode: number): ContainerStreams {
  return {
    output: (async function* output() {
      yield* chunks;
    })(),
    write: async () => {},
    endInput: () => {},
    exit: Promise.resolve(exitCode),
    cancel: () => {},
  };
}
