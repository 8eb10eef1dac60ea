/** Three members of our store as three processes, and a client of them in this one. */
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { storeThreadYoungMiB } from '../../deploy/heap-growth.js';
import { machineEnvironment } from '../../deploy/machine-process.js';
import { waitFor } from '../../deploy/wait.js';
import { actorRef, createActorSystem, createNactEngine, createRealEnv } from '../../actors/runtime/index.js';
import { createStoreClient, type StoreClient, type StoreMessage } from '../../actors/store/index.js';
import { FaultPolicy, type Incarnation, nodeId, silentJournal, ZmqLink } from '../../transport/index.js';
import { freePorts } from './free-ports.js';
import { OwnProcess } from './own-process.js';
import type { PutTarget } from './put-load.js';
import type { MemberArguments } from './store-member.js';

/** As `store run` starts the thread of its store, without what only helps to read a crash. */
const nodeFlags = [`--max-semi-space-size=${storeThreadYoungMiB.storeAlone / 3}`, '--no-warnings'];

export interface StoreGroup extends PutTarget {
  readonly client: StoreClient;
  /** Stops all members and starts them again with what they have on disk; resolves when they accept writes. */
  restart(): Promise<void>;
}

export async function startStoreGroup(
  folder: string,
  journal: MemberArguments['journal'],
  flags: readonly string[] = [],
): Promise<StoreGroup> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const clusterId = randomUUID();
  const ports = await freePorts(3);
  const members = ports.map((port, i) => ({ name: `store-${i + 1}`, address: `tcp://127.0.0.1:${port}` }));
  const entry = fileURLToPath(new URL('./store-member.js', import.meta.url));
  const startMembers = () =>
    members.map(({ name }) => {
      const args: MemberArguments = {
        name,
        clusterId,
        folder,
        members,
        journal,
      };
      const command = [...nodeFlags, ...flags, entry, JSON.stringify(args)];
      return new OwnProcess(process.execPath, command, `${folder}/${name}.log`, {
        ipc: true,
        env: machineEnvironment,
      });
    });
  let processes = startMembers();
  const { client, stop } = openClient(clusterId, members);
  const acceptWrites = async () => {
    try {
      await waitFor('our store to accept writes', 180_000, async () => {
        await put(client, 'ready', Buffer.alloc(1, 1));
        return true;
      });
    } catch (error) {
      await Promise.all(processes.map((member) => member.kill()));
      throw error;
    }
  };
  await acceptWrites();
  return {
    get pids() {
      return processes.map(({ pid }) => pid);
    },
    client,
    put: (key, bytes) => put(client, key, bytes),
    get: async (key) => void (await client.range({ type: 'range', key })),
    restart: async () => {
      await Promise.all(processes.map((member) => member.stop()));
      processes = startMembers();
      await acceptWrites();
    },
    stop: async () => {
      await stop();
      await Promise.all(processes.map((member) => member.stop()));
    },
  };
}

async function put(client: StoreClient, key: string, value: Uint8Array): Promise<void> {
  await client.txn({ type: 'txn', compare: [], success: [{ type: 'put', key, value }], failure: [] });
}

function openClient(
  clusterId: string,
  members: readonly { readonly name: string; readonly address: string }[],
): { client: StoreClient; stop(): Promise<void> } {
  const node = nodeId('bench');
  const incarnation = Date.now() as Incarnation;
  const env = createRealEnv({
    disk: () => Promise.reject(new TypeError('the client of the store has no disk')),
    link: ({ policy, clock, random }) => new ZmqLink(node, incarnation, policy, { clusterId, clock, random }),
  });
  const faults = new FaultPolicy();
  const system = createActorSystem({
    node,
    incarnation,
    env,
    link: env.link(node, incarnation, faults),
    journal: silentJournal,
    faults,
    engine: createNactEngine(),
    cluster: new Map(members.map((member) => [nodeId(member.name), member.address] as const)),
  });
  const client = createStoreClient({
    system,
    members: members.map((member) => ({
      name: member.name,
      ref: actorRef<StoreMessage>(nodeId(member.name), '/store'),
    })),
  });
  return { client, stop: () => system.stop() };
}
