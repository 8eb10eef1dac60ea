/**
 * A store of three members as `kabuki store run` starts them, and clients of both kinds: over gRPC, and the store's own. Its
 * members can be asked how well their heartbeats came.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { actorRef, type RunningActorSystem } from '../../../actors/runtime/index.js';
import {
  createStoreClient,
  type StoreClient,
  type StoreMessage,
  type StoreStatus,
} from '../../../actors/store/index.js';
import { type ClusterSpec, mainNode, masters, storeNode } from '../../../deploy/cluster-spec.js';
import { freePorts } from '../../../deploy/create-cluster.js';
import { DataDir } from '../../../deploy/data-dir.js';
import { MachineProcess } from '../../../deploy/machine-process.js';
import { createNodeSystem } from '../../../deploy/node-system.js';
import { prepareStore } from '../../../deploy/store-spec.js';
import { waitFor } from '../../../deploy/wait.js';
import { controlCall } from '../../../transport/index.js';
import { scrape } from '../../harness/metrics.js';
import { clientName, withClient } from '../store/client-machine.js';

export class CalmGroup {
  readonly system: RunningActorSystem;
  readonly #dir: DataDir;
  readonly #spec: ClusterSpec;
  readonly #processes: ReadonlyMap<string, MachineProcess>;
  /** Members that ended without having been told to, and why. */
  readonly ended: string[] = [];

  /** `preload`: a module that each member loads before anything else. */
  static async start(preload?: string): Promise<CalmGroup> {
    const dir = new DataDir(mkdtempSync(join(tmpdir(), 'kabuki-calm-')));
    const listen = (await freePorts(3)).map(String);
    const made = await prepareStore(dir, { members: 3, listen, alone: { trace: false } });
    const group = new CalmGroup(dir, await withClient(dir, made), preload);
    try {
      await group.system.started;
      await Promise.all([...group.#processes.values()].map((process) => process.start()));
    } catch (error) {
      await group.stop();
      throw error;
    }
    return group;
  }

  private constructor(dir: DataDir, spec: ClusterSpec, preload: string | undefined) {
    this.#dir = dir;
    this.#spec = spec;
    const nodeFlags = preload === undefined ? [] : ['--import', preload];
    this.#processes = new Map(
      masters(spec).map(({ name }) => [name, new MachineProcess(name, dir, { nodeFlags })]),
    );
    for (const [name, process] of this.#processes) {
      process.onUnexpectedExit = (how) => this.ended.push(`${name} ended ${how}`);
    }
    const machine = spec.machines.find(({ name }) => name === clientName)!;
    this.system = createNodeSystem(dir, spec, machine, mainNode(machine)).system;
  }

  get names(): readonly string[] {
    return [...this.#processes.keys()];
  }

  endpointOf(name: string): string {
    return `http://${masters(this.#spec).find((machine) => machine.name === name)?.etcdListen}`;
  }

  /** Over ZeroMQ; reads and watches are served by `nearest`. */
  client(nearest: string): StoreClient {
    const members = masters(this.#spec)
      .toSorted((a, b) => Number(b.name === nearest) - Number(a.name === nearest))
      .map((member) => ({
        name: member.name,
        ref: actorRef<StoreMessage>(storeNode(member), '/store'),
      }));
    return createStoreClient({ system: this.system, members });
  }

  kill(name: string): Promise<void> {
    return this.#processes.get(name)!.kill();
  }

  start(name: string): Promise<void> {
    return this.#processes.get(name)!.start();
  }

  async status(name: string): Promise<StoreStatus> {
    const status = await controlCall(this.#dir.socketPath(name), 'status', {}, 10_000);
    return (status as { readonly store: StoreStatus }).store;
  }

  metrics(name: string): Promise<ReadonlyMap<string, number>> {
    return scrape(this.endpointOf(name));
  }

  async leader(): Promise<string> {
    let leader: string | null = null;
    await waitFor('the members to agree on a leader', 15_000, async () => {
      const all = await Promise.all(this.names.map((name) => this.status(name)));
      leader = all[0]!.leader;
      return leader !== null && all.every((status) => status.leader === leader);
    });
    return leader!;
  }

  async stop(): Promise<void> {
    await this.system.stop();
    await this.system.journal.close();
    await Promise.all([...this.#processes.values()].map((process) => process.kill()));
    rmSync(this.#dir.runDir(), { recursive: true, force: true });
    rmSync(this.#dir.path, { recursive: true, force: true });
  }
}
