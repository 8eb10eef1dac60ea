/**
 * Two stores of three members behind the same API: ours as `kabuki store run` starts it, and Debian's etcd. Both are spoken
 * to over gRPC by the same client, at the member that leads.
 */
import { HashKvRequest, StatusResponse } from '../../actors/store/etcd/rpc-messages.js';
import { masters } from '../../deploy/cluster-spec.js';
import { freePorts } from '../../deploy/create-cluster.js';
import { DataDir } from '../../deploy/data-dir.js';
import { MachineProcess } from '../../deploy/machine-process.js';
import { prepareStore } from '../../deploy/store-spec.js';
import { waitFor } from '../../deploy/wait.js';
import { EtcdCluster } from '../harness/etcd-cluster.js';
import type { ClientKind } from './calls.js';
import { EtcdClient } from './etcd-client.js';

export interface GrpcGroup {
  /** What it is loaded with. */
  readonly client: ClientKind;
  /** `http://host:port`, one for each member. */
  readonly endpoints: readonly string[];
  /** Of the members that run. */
  pids(): readonly number[];
  /** SIGKILL of the member behind this endpoint. */
  kill(endpoint: string): Promise<void>;
  start(endpoint: string): Promise<void>;
  stop(): Promise<void>;
}

export async function startOurs(
  folder: string,
  nodeFlags: readonly string[],
  client: ClientKind = 'node',
): Promise<GrpcGroup> {
  const dir = new DataDir(folder);
  const listen = (await freePorts(3)).map(String);
  const spec = await prepareStore(dir, { members: 3, listen, alone: { trace: false } });
  const members = new Map<string, MachineProcess>(
    masters(spec).map(
      ({ name, etcdListen }) =>
        [`http://${etcdListen}`, new MachineProcess(name, dir, { nodeFlags })] as const,
    ),
  );
  const all = [...members.values()];
  // However this process ends: a machine ends with its launcher.
  const stop = async () => void (await Promise.all(all.map((member) => member.stop())));
  try {
    await Promise.all(all.map((member) => member.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    client,
    endpoints: [...members.keys()],
    pids: () => all.flatMap(({ pid, state }) => (state === 'running' && pid !== undefined ? [pid] : [])),
    kill: async (endpoint) => members.get(endpoint)?.kill(),
    start: async (endpoint) => members.get(endpoint)?.start(),
    stop,
  };
}

const etcdFlags = ['--snapshot-count=10000', '--heartbeat-interval=100', '--election-timeout=1000'];

export async function startEtcd(folder: string, client: ClientKind = 'node'): Promise<GrpcGroup> {
  const cluster = await EtcdCluster.start({ members: 3, args: etcdFlags, folder });
  const nameOf = (endpoint: string) =>
    cluster.names.find((name) => `http://${cluster.endpointOf(name)}` === endpoint) ?? '';
  return {
    client,
    endpoints: cluster.endpoints.map((address) => `http://${address}`),
    pids: () => cluster.pids,
    kill: (endpoint) => cluster.kill(nameOf(endpoint)),
    start: async (endpoint) => cluster.startMember(nameOf(endpoint)),
    stop: () => cluster.stop(),
  };
}

/** The endpoint of the member that leads. */
export async function leaderOf(group: GrpcGroup): Promise<string> {
  let found: string | undefined;
  await waitFor('the store to have a leader', 20_000, async () => {
    const leads = await Promise.all(group.endpoints.map(isLeader));
    found = group.endpoints[leads.indexOf(true)];
    return found !== undefined;
  });
  return found as string;
}

async function isLeader(endpoint: string): Promise<boolean> {
  const client = new EtcdClient(endpoint);
  try {
    // A StatusRequest is empty, as this one is.
    const answer = await client.call('/etcdserverpb.Maintenance/Status', HashKvRequest.encode({}), 2_000);
    const { leader, header } = StatusResponse.decode(answer);
    return leader !== 0 && leader === header?.memberId;
  } catch {
    // It does not run, or not yet.
    return false;
  } finally {
    client.close();
  }
}
