/** A real etcd on a data directory: an empty one, or one that `etcdctl snapshot restore` made. */
import { freePorts } from '../../../deploy/create-cluster.js';
import { waitFor } from '../../../deploy/wait.js';
import { rpc } from '../../harness/etcd-calls.js';
import { GrpcClient } from '../../harness/grpc-client.js';
import { output, start } from '../../harness/program.js';

export interface EtcdServer {
  readonly endpoint: string;
  stop(): Promise<void>;
}

const env = { ...process.env, ETCDCTL_API: '3' };
const peer = 'http://127.0.0.1:1';

/** What it printed; it must end well. */
export function etcdctl(endpoint: string, ...args: readonly string[]): Promise<string> {
  return output('etcdctl', [`--endpoints=${endpoint}`, ...args], { env });
}

/** Makes a data directory from a snapshot, as its users do. */
export async function restoreByEtcdctl(snapshot: string, dataDir: string): Promise<void> {
  const cluster = ['--initial-cluster', `default=${peer}`, '--initial-advertise-peer-urls', peer];
  await output('etcdctl', ['snapshot', 'restore', snapshot, '--data-dir', dataDir, ...cluster], { env });
}

export async function startEtcd(dataDir: string): Promise<EtcdServer> {
  const [port, peerPort] = (await freePorts(2)) as [number, number];
  const endpoint = `http://127.0.0.1:${port}`;
  const server = start('etcd', [
    `--data-dir=${dataDir}`,
    `--listen-client-urls=${endpoint}`,
    `--advertise-client-urls=${endpoint}`,
    // A member of its own needs no others, and hears of none.
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
  ]);
  await waitFor('etcd to answer', 20_000, async () => {
    if (server.process.exitCode !== null) throw new Error(`etcd ended:\n${server.stderr}`);
    const probe = new GrpcClient(endpoint);
    try {
      await probe.unary(...rpc.range, { key: 'x' });
      return true;
    } catch (error) {
      // It may ask for rights.
      return error instanceof Error && error.message.includes('user name is empty');
    } finally {
      probe.close();
    }
  });
  return {
    endpoint,
    stop: async () => {
      server.process.kill('SIGTERM');
      await server.outcome;
    },
  };
}
