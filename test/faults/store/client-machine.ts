/** A store's cluster with one more machine, whose keys the members know: through it a test has the store's own client. */
import { curveKeyPair } from 'zeromq';
import type { ClusterSpec, MachineSpec } from '../../../deploy/cluster-spec.js';
import { freePorts } from '../../../deploy/create-cluster.js';
import type { DataDir } from '../../../deploy/data-dir.js';

export const clientName = 'client';

export interface Hosts {
  /** Where a member lives, and where the client does. */
  addressOf(name: string): string;
  readonly client: string;
}

const loopback: Hosts = { addressOf: () => '127.0.0.1', client: '127.0.0.1' };

/** To be called before the members start. */
export async function withClient(
  dir: DataDir,
  made: ClusterSpec,
  hosts: Hosts = loopback,
): Promise<ClusterSpec> {
  const [port] = await freePorts(1);
  const keys = curveKeyPair();
  dir.writeMachineKeys(clientName, { secretKey: keys.secretKey });
  const there = (name: string, address: string | undefined) =>
    address?.replace('127.0.0.1', hosts.addressOf(name)) as string;
  const members = made.machines.map((machine) => ({
    ...machine,
    address: there(machine.name, machine.address),
    storeAddress: there(machine.name, machine.storeAddress),
    etcdListen: there(machine.name, machine.etcdListen),
  }));
  const client: MachineSpec = {
    name: clientName,
    role: 'worker',
    address: `tcp://${hosts.client}:${port}`,
    publicKey: keys.publicKey,
    podCidr: '',
  };
  const spec = { ...made, machines: [...members, client] };
  dir.writeSpec(spec);
  return spec;
}
