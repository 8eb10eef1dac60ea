/**
 * What a machine's control socket answers to the operators of the store: `kabuki store`. Any machine with a member serves it;
 * whatever needs the leader finds it by the store's client.
 */
import type { ActorSystem } from '../actors/runtime/index.js';
import {
  claimMember,
  createStoreClient,
  isUrl,
  type MemberClaim,
  type StoreClient,
  StoreError,
  type StoreMemberInfo,
  wrongTitle,
} from '../actors/store/index.js';
import { revision } from 'raft-consensus';
import type { ClusterSpec, MachineSpec } from './cluster-spec.js';
import { calledBy } from './member-name.js';
import type { ControlHandlers } from './node-control.js';
import { askedMembers } from './store-peers.js';

export interface StoreControlOptions {
  readonly clusterId: string;
  /** Nearest member first. */
  readonly client: StoreClient;
  /** Of this machine's member only. */
  readonly local: StoreClient;
  uuid(): string;
}

export function storeControl({ clusterId, client, local, uuid }: StoreControlOptions): ControlHandlers {
  const named = async (params: unknown): Promise<string> =>
    nameOf(await client.members(), text(params, 'member'));
  return sayingWhoIsMissing({
    'store.members': async () => ({ members: await client.members() }),
    'store.add': async (params) => {
      const { learner } = params as { learner?: unknown };
      const title = text(params, 'title');
      const url = text(params, 'url');
      const wrong = wrongTitle(title);
      if (wrong !== undefined) throw new TypeError(wrong);
      if (!isUrl(url)) throw new TypeError(`a peer URL is tcp://host:port, not ${JSON.stringify(url)}`);
      if ((await client.members()).some((member) => calledBy(member) === title)) {
        throw new Error(`the store has a member ${title} already`);
      }
      const name = `member-${uuid().slice(0, 8)}`;
      const address = { node: `${name}.store`, url, title };
      return { name, members: await client.memberAdd(name, address, { learner: learner === true }) };
    },
    'store.remove': async (params) => ({ members: await client.memberRemove(await named(params)) }),
    'store.promote': async (params) => ({ members: await client.memberPromote(await named(params)) }),
    'store.move-leader': async (params) => {
      const name = await named(params);
      await client.transfer(name);
      return { leader: name };
    },
    'store.compact': async (params) => {
      const at = whole(params, 'revision') ?? (await client.currentRevision());
      await client.compact(revision(at));
      return { revision: at };
    },
    'store.alarms': async () => ({ alarms: await client.alarms() }),
    'store.disarm': async () => {
      const alarms = await client.alarms();
      for (const alarm of alarms) await client.alarmDisarm(alarm);
      return { alarms };
    },
    'store.hash': async (params) => {
      const timeoutMs = whole(params, 'timeoutMs');
      const options = timeoutMs === undefined ? {} : { timeoutMs };
      return local.hashKv(revision(whole(params, 'revision') ?? 0), options);
    },
    'store.revision': async () => ({ revision: await client.currentRevision() }),
    'store.join': async (params) => {
      const { clientUrls } = params as { clientUrls?: unknown };
      if (!Array.isArray(clientUrls)) throw new TypeError('clientUrls must be a list');
      const claim: MemberClaim = {
        peerUrl: text(params, 'peerUrl'),
        title: text(params, 'title'),
        publicKey: text(params, 'publicKey'),
        clientUrls: clientUrls as string[],
      };
      const { name, others } = await claimMember(client, claim);
      return { clusterId, name, members: others };
    },
  });
}

/** Who was asked last, and how, is the smaller part of the news. */
function sayingWhoIsMissing(handlers: ControlHandlers): ControlHandlers {
  const entries = Object.entries(handlers).map(([method, handle]) => {
    const saying = async (params: unknown) => {
      try {
        return await handle(params);
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== 'NoLeader') throw error;
        const why =
          'the store has no leader that can be reached: a majority of its members must run and hear each other';
        throw new Error(`${why} (${error.message})`, { cause: error });
      }
    };
    return [method, saying] as const;
  });
  return Object.fromEntries(entries);
}

export function storeClientOf(spec: ClusterSpec, machine: MachineSpec, system: ActorSystem): StoreClient {
  return createStoreClient({ system, members: askedMembers(spec, machine) });
}

/** Of a machine that has a member. */
export function storeControlOf(
  spec: ClusterSpec,
  machine: MachineSpec,
  system: ActorSystem,
): ControlHandlers {
  const [own] = askedMembers(spec, machine);
  return storeControl({
    clusterId: spec.id,
    client: storeClientOf(spec, machine, system),
    local: createStoreClient({ system, members: own ? [own] : [] }),
    uuid: () => system.env.uuid(),
  });
}

function nameOf(members: readonly StoreMemberInfo[], called: string): string {
  const exact = members.find(({ name }) => name === called);
  const found = exact ? [exact] : members.filter((member) => calledBy(member) === called);
  const [only, ...more] = found;
  if (only && more.length === 0) return only.name;
  if (only) {
    const which = found.map(({ name }) => name).join(' and ');
    throw new Error(`${which} are both called ${called}: say which by the name in the group`);
  }
  throw new Error(`the store has no member ${called}; it has ${members.map(calledBy).join(', ')}`);
}

function text(params: unknown, field: string): string {
  const value = (params as Record<string, unknown> | null)?.[field];
  if (typeof value !== 'string' || value === '') throw new TypeError(`"${field}" must be a text`);
  return value;
}

function whole(params: unknown, field: string): number | undefined {
  const value = (params as Record<string, unknown> | null)?.[field];
  if (value === undefined) return undefined;
  if (!Number.isSafeInteger(value) || (value as number) < 1) {
    throw new TypeError(`"${field}" must be a whole number above 0`);
  }
  return value as number;
}
