/**
 * Edge: containers as process groups of this machine. A container has a folder of its own as `KABUKI_ROOT`
 * and current directory, its volumes at `$KABUKI_ROOT<mountPath>` and, where the machine allows mount
 * namespaces, at their mount paths (mount-views.ts), and its output in a CRI log file; there is no other
 * isolation. Records on disk name every process that was started, so that what a killed kubelet left behind
 * is found and ended, and nothing else ever is.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Random } from '../../transport/index.js';
import { ContainerBook } from './container-book.js';
import { ContainerLog } from './container-log.js';
import {
  type ContainerConfig,
  type ContainerRecord,
  type ContainerRuntime,
  type ContainerStreams,
  type ExecRequest,
  type ImageRequest,
  type ResolvedImage,
  RuntimeError,
  type VolumeContent,
} from './container-runtime.js';
import { resolveFromCatalogue } from './image-catalogue.js';
import { type RuntimeLimits, runtimeLimits } from './limits.js';
import type { LogOptions } from './messages.js';
import { findByContainerId, killProcess, signalGroup, startMark } from './process-group.js';
import { MountViews } from './mount-views.js';
import { ProcessContainer, type StoredRecord } from './process-container.js';
import { linkMounts, writeVolumeFiles } from './volume-files.js';

export interface ProcessRuntimeOptions {
  /** Everything on disk is below this folder. */
  readonly dataDir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: RuntimeLimits;
  /** `links` makes no use of mount namespaces, though the machine may allow them; `real` if it does. */
  readonly mounts?: 'real' | 'links';
}

export class ProcessRuntime implements ContainerRuntime {
  readonly name = 'process';
  readonly version = process.versions.node;
  readonly #podsDir: string;
  readonly #options: ProcessRuntimeOptions;
  readonly #limits: RuntimeLimits;
  readonly #containers: ContainerBook<ProcessContainer>;
  #closing = false;
  #started = false;
  /** A text says why there are none. */
  #views: MountViews | string = 'the runtime has not been started';

  constructor(options: ProcessRuntimeOptions) {
    this.#options = options;
    this.#containers = new ContainerBook(options);
    this.#limits = options.limits ?? runtimeLimits;
    this.#podsDir = join(options.dataDir, 'pods');
  }

  get isolation(): string {
    const views = this.#views;
    if (typeof views !== 'string') return `mounts: ${views.way} per container; otherwise host processes`;
    return `none: host processes with a folder of their own, no mounts (${views})`;
  }

  get mountPlacement(): 'mountPath' | 'belowRoot' {
    return typeof this.#views === 'string' ? 'belowRoot' : 'mountPath';
  }

  async start(): Promise<void> {
    this.#closing = false;
    if (this.#started) return;
    this.#started = true;
    await mkdir(this.#podsDir, { recursive: true, mode: 0o700 });
    const { mounts = 'real', dataDir } = this.#options;
    this.#views = mounts === 'links' ? 'as configured' : await MountViews.find(dataDir, this.#limits);
    const leftovers = readRecords(this.#podsDir);
    endLeftovers(leftovers.map(({ stored }) => stored));
    for (const { stored, folder } of leftovers) {
      const { record } = stored;
      const ended: ContainerRecord =
        record.state === 'exited'
          ? record
          : {
              ...record,
              state: 'exited',
              finishedAtMs: this.#options.clock.nowMs(),
              exitCode: 137,
              reason: 'ContainerStatusUnknown',
              message: 'The kubelet of the node ended while the container was running',
            };
      const container = this.#container(ended, folder, undefined);
      this.#containers.add(container);
      await container.store();
    }
  }

  onChange(listener: (podUid: string) => void): () => void {
    return this.#containers.onChange(listener);
  }

  async resolveImage(request: ImageRequest): Promise<ResolvedImage> {
    return resolveFromCatalogue(request);
  }

  async create(config: ContainerConfig): Promise<string> {
    if (this.#closing) throw new RuntimeError('Limit', 'the process runtime is closing');
    const record = this.#containers.newRecord(config);
    const folder = join(this.#podDir(config.podUid), 'containers', config.name);
    const container = this.#container(record, folder, config);
    // Listed before the first wait, so that two calls cannot both make it.
    this.#containers.add(container);
    try {
      await rm(container.root, { recursive: true, force: true });
      await mkdir(container.root, { recursive: true, mode: 0o700 });
      const links = this.mountPlacement === 'mountPath' ? 'besideMounts' : 'all';
      await linkMounts(container.root, this.#volumesDir(config.podUid), config.mounts, links);
      await container.store();
    } catch (error) {
      this.#containers.remove(record.id);
      await rm(container.root, { recursive: true, force: true });
      if (error instanceof RuntimeError) throw error;
      throw new RuntimeError('Io', `cannot prepare container ${config.name}: ${(error as Error).message}`, {
        cause: error,
      });
    }
    return record.id;
  }

  async startContainer(id: string): Promise<void> {
    const container = this.#containers.find(id);
    if (this.#closing) throw new RuntimeError('Limit', 'the process runtime is closing');
    await container.start();
    // What came to life while the others were being ended goes too.
    if (this.#closing && container.record.state === 'running')
      await container.stop(this.#limits.closeGraceMs);
  }

  async stop(id: string, graceMs: number): Promise<void> {
    await this.#containers.find(id).stop(graceMs);
  }

  async remove(id: string): Promise<void> {
    await this.#containers.remove(id)?.removeFiles();
  }

  list(podUid?: string): readonly ContainerRecord[] {
    return this.#containers.records(podUid);
  }

  get(id: string): ContainerRecord | undefined {
    return this.#containers.get(id)?.record;
  }

  async exec(id: string, request: ExecRequest): Promise<ContainerStreams> {
    return this.#containers.find(id).exec(request);
  }

  async attach(id: string): Promise<ContainerStreams> {
    return this.#containers.find(id).attach();
  }

  logs(id: string, options: LogOptions): AsyncIterable<Uint8Array> {
    return this.#containers.find(id).log.read(options);
  }

  async writeVolume(podUid: string, volume: VolumeContent): Promise<void> {
    await writeVolumeFiles(this.#volumesDir(podUid), volume);
  }

  async removePod(podUid: string): Promise<void> {
    for (const { id } of this.list(podUid)) await this.remove(id);
    await rm(this.#podDir(podUid), { recursive: true, force: true });
  }

  podUids(): readonly string[] {
    return readFolders(this.#podsDir);
  }

  async close(): Promise<void> {
    this.#closing = true;
    const running = this.#containers.all.filter(({ record }) => record.state === 'running');
    await Promise.all(running.map((container) => container.stop(this.#limits.closeGraceMs)));
  }

  #container(record: ContainerRecord, folder: string, config: ContainerConfig | undefined): ProcessContainer {
    const path = join(folder, String(record.attempt));
    const { clock } = this.#options;
    return new ProcessContainer({
      record,
      config,
      path,
      clock,
      limits: this.#limits,
      views: typeof this.#views === 'string' ? undefined : this.#views,
      volumesDir: this.#volumesDir(record.podUid),
      log: new ContainerLog(`${path}.log`, clock, this.#limits, record.state === 'exited'),
      store: (stored) => storeRecord(`${path}.json`, stored),
      changed: () => this.#containers.changed({ record }),
    });
  }

  #podDir(podUid: string): string {
    return join(this.#podsDir, podUid);
  }

  #volumesDir(podUid: string): string {
    return join(this.#podDir(podUid), 'volumes');
  }
}

/**
 * Ends the containers of a kubelet that is gone (killed, or not to be started again). Returns how many
 * processes.
 */
export function endLeftoverContainers(dataDir: string): number {
  return endLeftovers(readRecords(join(dataDir, 'pods')).map(({ stored }) => stored));
}

function endLeftovers(records: readonly StoredRecord[]): number {
  const running = records.filter(({ record }) => record.state !== 'exited');
  if (running.length === 0) return 0;
  let ended = 0;
  for (const stored of running) {
    if (stored.groupId === undefined || stored.startMark === undefined) continue;
    if (startMark(stored.groupId) === stored.startMark && signalGroup(stored.groupId, 'SIGKILL')) ended += 1;
  }
  // The leader may be gone while others of its group live on, or the kubelet died before it wrote the pid
  // down.
  for (const pid of findByContainerId(new Set(running.map(({ record }) => record.id)))) {
    killProcess(pid);
    ended += 1;
  }
  return ended;
}

async function storeRecord(path: string, stored: StoredRecord): Promise<void> {
  await writeFile(`${path}.new`, JSON.stringify(stored), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

function readRecords(podsDir: string): { readonly stored: StoredRecord; readonly folder: string }[] {
  const found: { stored: StoredRecord; folder: string }[] = [];
  for (const uid of readFolders(podsDir)) {
    const containersDir = join(podsDir, uid, 'containers');
    for (const name of readFolders(containersDir)) {
      const folder = join(containersDir, name);
      for (const file of readdirSync(folder)) {
        if (file.endsWith('.json')) {
          found.push({ stored: JSON.parse(readFileSync(join(folder, file), 'utf8')), folder });
        }
      }
    }
  }
  return found.sort((a, b) => a.stored.record.createdAtMs - b.stored.record.createdAtMs);
}

function readFolders(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
