/**
 * A store of three members as three processes, as `kabuki store run` starts them, each with a disk that forgets and, where root
 * allows, in a network namespace of its own and with a small disk under the last one. What can be done to them is here; when,
 * is said by faults.ts.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { actorRef, type RunningActorSystem } from '../../../actors/runtime/index.js';
import {
  createStoreClient,
  type StoreClient,
  type StoreMessage,
  type StoreStatus,
} from '../../../actors/store/index.js';
import {
  type ClusterSpec,
  type MachineSpec,
  mainNode,
  masters,
  storeNode,
} from '../../../deploy/cluster-spec.js';
import { freePorts } from '../../../deploy/create-cluster.js';
import { DataDir } from '../../../deploy/data-dir.js';
import { MachineProcess } from '../../../deploy/machine-process.js';
import { createNodeSystem } from '../../../deploy/node-system.js';
import { prepareStore } from '../../../deploy/store-spec.js';
import { waitFor } from '../../../deploy/wait.js';
import { controlCall, type FaultRule } from '../../../transport/index.js';
import { canMount, SmallDisk } from '../../soak/small-disk.js';
import { clientName, withClient } from './client-machine.js';
import { DiskOrders, type Orders } from './disk-orders.js';
import { Namespaces } from './namespaces.js';
import type { PlantedName } from './planted.js';

export interface GroupOptions {
  readonly seed: number;
  readonly bugs: readonly PlantedName[];
}

const smallDiskMiB = 24;
const preload = new URL('./member-faults.js', import.meta.url).href;

/** However this process ends, nothing is left of the members. */
const alive = new Set<ProcessGroup>();
process.on('exit', () => {
  for (const group of alive) group.endNow();
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));

export class ProcessGroup {
  readonly dir: DataDir;
  readonly spec: ClusterSpec;
  /** Absent without root. */
  readonly namespaces: Namespaces | undefined;
  readonly system: RunningActorSystem;
  readonly #options: GroupOptions;
  readonly #processes: ReadonlyMap<string, MachineProcess>;
  /** Under the store of the last member. */
  readonly smallDisk: SmallDisk | undefined;
  /** Members that ended without having been told to, and why. */
  readonly ended: string[] = [];

  static async start(options: GroupOptions): Promise<ProcessGroup> {
    const dir = new DataDir(mkdtempSync(join(tmpdir(), 'kabuki-faults-')));
    const missing = Namespaces.missing();
    const made = await prepareStore(dir, {
      members: 3,
      listen: (await freePorts(3)).map(String),
      alone: { trace: true, progressNotifyIntervalMs: 300 },
    });
    const names = made.machines.map(({ name }) => name);
    const namespaces = missing === undefined ? Namespaces.create(names) : undefined;
    try {
      const spec = await withClient(dir, made, {
        addressOf: (name) => namespaces?.addressOf(name) ?? '127.0.0.1',
        client: namespaces?.hostAddress ?? '127.0.0.1',
      });
      const last = join(dir.machineDir(names.at(-1) as string), 'store');
      mkdirSync(last, { recursive: true, mode: 0o700 });
      const smallDisk = canMount ? await SmallDisk.over(last, smallDiskMiB) : undefined;
      const group = new ProcessGroup(dir, spec, options, namespaces, smallDisk);
      await group.#start();
      return group;
    } catch (error) {
      namespaces?.remove();
      throw error;
    }
  }

  private constructor(
    dir: DataDir,
    spec: ClusterSpec,
    options: GroupOptions,
    namespaces: Namespaces | undefined,
    smallDisk: SmallDisk | undefined,
  ) {
    this.dir = dir;
    this.spec = spec;
    this.namespaces = namespaces;
    this.smallDisk = smallDisk;
    this.#options = options;
    this.#processes = new Map(this.names.map((name) => [name, this.#process(name)]));
    const machine = spec.machines.find(({ name }) => name === clientName) as MachineSpec;
    this.system = createNodeSystem(dir, spec, machine, mainNode(machine)).system;
    alive.add(this);
  }

  get names(): readonly string[] {
    return masters(this.spec).map(({ name }) => name);
  }

  /** Of the etcd API, that of `nearest` first. */
  endpoints(nearest: number): readonly string[] {
    const all = masters(this.spec).map(({ etcdListen }) => `http://${etcdListen}`);
    return [...all.slice(nearest), ...all.slice(0, nearest)];
  }

  /** Over ZeroMQ. */
  client(nearest: number): StoreClient {
    const all = masters(this.spec).map((member) => ({
      name: member.name,
      ref: actorRef<StoreMessage>(storeNode(member), '/store'),
    }));
    return createStoreClient({
      system: this.system,
      members: [...all.slice(nearest), ...all.slice(0, nearest)],
    });
  }

  isUp(name: string): boolean {
    return this.#of(name).state === 'running';
  }

  kill(name: string): Promise<void> {
    return this.#of(name).kill();
  }

  /** SIGTERM, and it takes its leave. */
  end(name: string): Promise<void> {
    return this.#of(name).stop();
  }

  /** From whoever leads to another one. */
  async transfer(): Promise<void> {
    await this.#control(await this.leader(), 'store.transfer', {});
  }

  /** SIGSTOP. */
  pause(name: string): void {
    this.#of(name).pause();
  }

  resume(name: string): void {
    this.#of(name).resume();
  }

  start(name: string): Promise<void> {
    return this.#of(name).start();
  }

  /** What the disk of a member does from now on, its bugs and its seed apart. */
  order(name: string, orders: Pick<Orders, 'stalled' | 'broken'>): void {
    new DiskOrders(this.dir.machineDir(name)).give({ ...this.#options, ...orders });
  }

  /** The transport's policy, at the senders that are up. */
  async addRules(rules: readonly FaultRule[]): Promise<void> {
    for (const rule of rules) {
      for (const name of rule.from) await this.#control(name, 'fault.add', { rule });
    }
  }

  /** Everything that is broken is mended, and every member runs. */
  async heal(): Promise<void> {
    this.namespaces?.heal();
    this.smallDisk?.makeRoom();
    for (const name of this.names) {
      this.order(name, {});
      const process = this.#of(name);
      if (process.state === 'paused') process.resume();
    }
    await Promise.all(this.names.map((name) => this.#of(name).start()));
    for (const name of this.names) await this.#control(name, 'fault.clear', {});
  }

  async status(name: string): Promise<StoreStatus> {
    return ((await this.#control(name, 'status', {})) as { store: StoreStatus }).store;
  }

  /** Of the highest term, if several believe to lead. */
  async leader(): Promise<string> {
    let found: StoreStatus | undefined;
    await waitFor('the store to have a leader', 15_000, async () => {
      const up = this.names.filter((name) => this.isUp(name));
      const all = await Promise.all(up.map((name) => this.status(name)));
      found = all.filter(({ role }) => role === 'leader').toSorted((a, b) => b.term - a.term)[0];
      return found !== undefined;
    });
    return (found as StoreStatus).member;
  }

  /** Also takes the data away, unless it is to be looked at. */
  async stop({ keep = false } = {}): Promise<void> {
    await this.system.stop();
    await this.system.journal.close();
    // Not gently, which takes longer: a store is made for it.
    await Promise.all([...this.#processes.values()].map((process) => process.kill()));
    await this.smallDisk?.remove();
    this.namespaces?.remove();
    alive.delete(this);
    rmSync(this.dir.runDir(), { recursive: true, force: true });
    if (!keep) rmSync(this.dir.path, { recursive: true, force: true });
  }

  endNow(): void {
    for (const process of this.#processes.values()) void process.kill();
    // Lazily: the members that hold it are only just ending.
    if (this.smallDisk) spawnSync('umount', ['--lazy', this.smallDisk.folder]);
    rmSync(this.dir.runDir(), { recursive: true, force: true });
    rmSync(this.dir.path, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    for (const name of this.names) this.order(name, {});
    try {
      await this.system.started;
      await Promise.all([...this.#processes.values()].map((process) => process.start()));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  #process(name: string): MachineProcess {
    const process = new MachineProcess(name, this.dir, {
      nodeFlags: ['--import', preload],
      ...(this.namespaces && { prefix: this.namespaces.prefixOf(name) }),
    });
    process.onUnexpectedExit = (how) => this.ended.push(`${name} ended ${how}`);
    return process;
  }

  #of(name: string): MachineProcess {
    const process = this.#processes.get(name);
    if (!process) throw new TypeError(`there is no member ${name}`);
    return process;
  }

  #control(name: string, method: string, params: unknown): Promise<unknown> {
    return controlCall(this.dir.socketPath(name), method, params, 2_000);
  }
}
