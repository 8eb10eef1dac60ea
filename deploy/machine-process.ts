/**
 * One machine of the cluster as an operating-system process: started, killed, paused and resumed by signals. The process
 * ends by itself when its launcher is gone (the IPC channel closes), so nothing is left behind.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { endLeftoverContainers } from '../actors/kubelet/index.js';
import type { DataDir } from './data-dir.js';
import { semiSpaceMiB } from './heap-growth.js';
import { endLeftMachine, rememberMachine } from './left-machine.js';

export type MachineState = 'starting' | 'running' | 'paused' | 'exited';

/** What a machine tells its launcher: that its components run, and in its last moment why it ends. */
export type MachineMessage =
  | { readonly ready: true }
  | { readonly failed: string; readonly code?: string }
  /** It ends in good order, and nobody told it to. */
  | { readonly left: string };

/** For harnesses that run machines elsewhere, or with something loaded before them. */
export interface MachineProcessOptions {
  /** What starts Node, as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  /** More options of Node. */
  readonly nodeFlags?: readonly string[];
}

const stopTimeoutMs = 8_000;

export class MachineProcess {
  readonly name: string;
  readonly #dir: DataDir;
  readonly #options: MachineProcessOptions;
  #child: ChildProcess | undefined;
  #state: MachineState = 'exited';
  #exit: Promise<void> = Promise.resolve();
  /** Called when the process ends without having been told to, or only by force. */
  onUnexpectedExit: (what: string) => void = () => {};
  #left: string | undefined;
  #failure: string | undefined;
  #failureCode: string | undefined;

  constructor(name: string, dir: DataDir, options: MachineProcessOptions = {}) {
    this.name = name;
    this.#dir = dir;
    this.#options = options;
  }

  get state(): MachineState {
    return this.#state;
  }

  /** Why it ended by itself, if it could say so. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** The code of the error that it ended with, if that has one (raft-consensus: StorageError, RaftError). */
  get failureCode(): string | undefined {
    return this.#failureCode;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when the machine says that its components run; rejects when it ends before. */
  async start(): Promise<void> {
    if (this.#state !== 'exited') return;
    this.#state = 'starting';
    this.#failure = undefined;
    this.#failureCode = undefined;
    this.#left = undefined;
    try {
      await endLeftMachine(this.#dir, this.name);
    } catch (error) {
      this.#state = 'exited';
      throw error;
    }
    // Stopped meanwhile.
    if (this.state !== 'starting') throw new Error(`${this.name} was stopped while starting`);
    const log = openSync(this.#dir.logPath(this.name), 'a', 0o600);
    const main = new URL('./machine-main.js', import.meta.url).pathname;
    const { prefix = [], nodeFlags: more = [] } = this.#options;
    const node = [process.execPath, ...nodeFlags(this.#dir), ...more, main, this.#dir.path, this.name];
    const [command = process.execPath, ...args] = [...prefix, ...node];
    const child = spawn(command, args, {
      stdio: ['ignore', log, log, 'ipc'],
      env: { ...machineEnvironment, ...process.env },
      // Signals of the terminal go to the launcher alone, which stops the machines in order.
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    if (child.pid !== undefined) rememberMachine(this.#dir, this.name, child.pid);
    this.#exit = new Promise((resolve) => child.once('exit', () => resolve()));
    await this.#started(child);
  }

  #started(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      let isReady = false;
      child.on('message', (message: MachineMessage) => {
        if ('failed' in message) {
          this.#failure = message.failed;
          this.#failureCode = message.code;
          return;
        }
        if ('left' in message) {
          this.#left = message.left;
          return;
        }
        isReady = true;
        if (this.#state === 'starting') this.#state = 'running';
        resolve();
      });
      child.once('error', (error) => {
        this.#state = 'exited';
        reject(error);
      });
      child.once('exit', (code, signal) => {
        const expected = this.#state === 'exited';
        this.#state = 'exited';
        if (isReady && !expected) this.#endContainers();
        // Its last words may still be in the pipe.
        const told = () => {
          const how = `(${signal ?? code}): ${this.#failure ?? 'it did not say why'}`;
          const what = `${how}; see ${this.#dir.logPath(this.name)}`;
          if (!isReady) reject(new Error(`${this.name} ended while starting ${what}`));
          else if (!expected) this.onUnexpectedExit(this.#left ?? `${this.name} ended unexpectedly ${what}`);
        };
        if (child.connected) child.once('disconnect', told);
        else told();
      });
    });
  }

  /** SIGKILL: no goodbye, nothing flushed. */
  async kill(): Promise<void> {
    this.#state = 'exited';
    this.#child?.kill('SIGKILL');
    await this.#exit;
    this.#endContainers();
  }

  pause(): void {
    if (this.#state !== 'running')
      throw new Error(`${this.name} is ${this.#state}, only a running machine can be paused`);
    this.#child?.kill('SIGSTOP');
    this.#state = 'paused';
  }

  resume(): void {
    if (this.#state !== 'paused') throw new Error(`${this.name} is ${this.#state}, not paused`);
    this.#child?.kill('SIGCONT');
    this.#state = 'running';
  }

  /** SIGTERM, and SIGKILL when it does not end in time, which is said. */
  async stop(): Promise<void> {
    if (this.#state === 'exited') return;
    if (this.#state === 'paused') this.#child?.kill('SIGCONT');
    this.#state = 'exited';
    this.#child?.kill('SIGTERM');
    const timer = setTimeout(() => {
      this.#child?.kill('SIGKILL');
      this.onUnexpectedExit(`${this.name} did not stop within ${stopTimeoutMs / 1000} s: it was killed`);
    }, stopTimeoutMs);
    await this.#exit;
    clearTimeout(timer);
    this.#endContainers();
  }

  /** Containers are process groups of their own: when a machine's power fails, they must go with it. */
  #endContainers(): void {
    endLeftoverContainers(this.#dir.machineDir(this.name));
  }
}

/**
 * Many threads free what others have allocated: glibc with a heap for each of them keeps a multiple of what is in use, 13 MiB
 * more in an idle cluster and 10 to 20 in a store of 100,000 keys. Whoever starts the launcher may know better.
 */
export const machineEnvironment: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1' };

/**
 * Small heaps: a machine of ours fits in far less than V8 would take for itself. A store alone is there to be loaded: what its
 * calls leave behind dies young if it is given the room. How old generations grow is set later (heap-growth.ts). Bytecode
 * stays: an idle machine calls each function so seldom that V8 would throw it away and compile it again for ever.
 * (`--always-sparkplug` saves a twentieth of the idle CPU and costs 14 MiB: too much.) `KABUKI_NODE_FLAGS` adds options, for
 * example `--cpu-prof --cpu-prof-dir=DIR` to see where a machine spends its time.
 */
function nodeFlags(dir: DataDir): string[] {
  const more = (process.env['KABUKI_NODE_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');
  const { machine, storeAlone } = semiSpaceMiB;
  return [
    `--max-semi-space-size=${dir.readSpec().store ? storeAlone : machine}`,
    '--no-flush-bytecode',
    '--enable-source-maps',
    '--no-warnings',
    ...more,
  ];
}
