/** The members of the store as a machine knows them before it has read the group's own configuration. */
import { actorRef } from '../actors/runtime/index.js';
import type { StoreMessage, StorePeer } from '../actors/store/index.js';
import { type ClusterSpec, type MachineSpec, storeMachines, ownFirst, storeNode } from './cluster-spec.js';

/** Those that the group is made with; for a member that joined it later, those that it met then, without itself. */
export function storePeers(spec: ClusterSpec): StorePeer[] {
  const { joined } = spec.store ?? {};
  if (joined) return joined.map(({ name }) => ({ name, ref: storeRef(name) }));
  return storeMachines(spec).map((machine) => ({
    name: machine.name,
    ref: storeRef(machine.name),
    address: addressOf(spec, machine),
  }));
}

/** Those that a client on this machine asks, the nearest first. */
export function askedMembers(spec: ClusterSpec, machine: MachineSpec): StorePeer[] {
  const own = ownFirst(spec, machine).map(({ name }) => name);
  const others = (spec.store?.joined ?? []).map(({ name }) => name);
  return [...own, ...others].map((name) => ({ name, ref: storeRef(name) }));
}

/** What the configuration is to say of a machine's member. */
export function addressOf(spec: ClusterSpec, machine: MachineSpec): NonNullable<StorePeer['address']> {
  const { storeAddress, publicKey, etcdListen, title } = machine;
  return {
    url: storeAddress as string,
    publicKey,
    ...(title !== undefined && { title }),
    ...(etcdListen !== undefined && { clientUrls: [clientUrl(spec.store, etcdListen)] }),
  };
}

export function clientUrl(store: { readonly tls?: object } | undefined, etcdListen: string): string {
  return `${store?.tls ? 'https' : 'http'}://${etcdListen}`;
}

function storeRef(name: string) {
  return actorRef<StoreMessage>(storeNode({ name }), '/store');
}
