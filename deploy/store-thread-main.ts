/** Entry of the store's thread: one actor system with one actor, the member. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ActorRef } from '../actors/runtime/index.js';
import {
  limitsOf,
  type MemberParts,
  openDiskStorage,
  storeMember,
  type StoreMessage,
  type StoreReply,
  type StoreSettings,
} from '../actors/store/index.js';
import { machineNamed, mainNode, storeNode } from './cluster-spec.js';
import { DataDir } from './data-dir.js';
import { nodeControl } from './node-control.js';
import { createNodeSystem } from './node-system.js';
import { storePeers } from './store-peers.js';
import {
  codeOf,
  stackOf,
  type StoreThreadData,
  type ThreadReply,
  type ThreadRequest,
} from './store-thread.js';

const { dataDir, machine: name, shortWay: end } = workerData as StoreThreadData;
const port = parentPort;
if (!port) throw new Error('store-thread-main runs in a thread only');

/**
 * A member whose disk failed must not go on (ARCHITECTURE rule 7). The main thread is told and ends the process; this one stands
 * still until then: if it ended by itself, ZeroMQ would abort the process before anybody could say why.
 */
const fail = (error: unknown): void => {
  port.postMessage({ failed: stackOf(error), ...codeOf(error) } satisfies ThreadReply);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
};
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

const dir = new DataDir(dataDir);
const spec = dir.readSpec();
const machine = machineNamed(spec, name);
const { system, clock, follow, stop } = createNodeSystem(dir, spec, machine, storeNode({ name }), {
  to: mainNode(machine),
  end,
});
await system.started;
let parts: MemberParts | undefined;
const self = system.spawn<StoreMessage>(
  storeMember({
    name,
    members: storePeers(spec),
    openStorage: async () => {
      const hasRunBefore = dir.storeHasRun(name);
      return openDiskStorage(await system.env.disk('store'), spec.id, name, { hasRunBefore });
    },
    inspect: (of) => {
      parts = of;
      dir.noteStoreRuns(name);
    },
    limits: limitsOf(spec.store?.settings ?? {}),
    onFatal: fail,
    onMembers: (members) => {
      follow(members);
      port.postMessage({ members } satisfies ThreadReply);
    },
  }),
);
void system.whenFailed.then(fail);

const ask = (request: (replyTo: ActorRef<StoreReply>) => StoreMessage) =>
  system.ask<StoreMessage, StoreReply>(self, (replyTo) => request(replyTo), { timeoutMs: 5_000 });

const handlers = {
  ...nodeControl(system, clock),
  status: async () => {
    const reply = await ask((replyTo) => ({ type: 'StoreStatus', replyTo }));
    if (reply.type !== 'StoreStatusIs') throw new Error(`the member answered ${reply.type}`);
    return reply.status;
  },
  transfer: async (params: unknown) => {
    const to = (params as { to?: unknown }).to;
    if (to !== undefined && typeof to !== 'string') throw new TypeError('"to" must name a master');
    const reply = await ask((replyTo) => ({
      type: 'StoreTransfer',
      ...(to !== undefined && { to }),
      replyTo,
    }));
    if (reply.type === 'StoreFailed') throw new Error(reply.message);
    return {};
  },
  tune: async (settings: unknown) => {
    if (!parts) throw new Error('the member has not started yet');
    return parts.tune(settings as StoreSettings);
  },
  stop: async () => {
    await stop();
    return {};
  },
} as Record<string, (params: unknown) => Promise<unknown>>;

port.on('message', async ({ id, method, params }: ThreadRequest) => {
  let reply: ThreadReply;
  try {
    const handler = handlers[method];
    if (!handler) throw new Error(`the store's thread knows no method ${method}`);
    reply = { id, result: await handler(params) };
  } catch (error) {
    reply = { id, error: error instanceof Error ? error.message : String(error) };
  }
  port.postMessage(reply);
  if (method === 'stop') port.close();
});
port.postMessage({ ready: true } satisfies ThreadReply);
