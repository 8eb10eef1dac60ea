/** Three members of Debian's etcd on loopback, with the flags that make the two stores comparable; loaded at the leader. */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { waitFor } from '../../deploy/wait.js';
import { EtcdClient } from './etcd-client.js';
import { freePorts } from './free-ports.js';
import { OwnProcess } from './own-process.js';
import type { PutTarget } from './put-load.js';

const run = promisify(execFile);
const flags = [
  '--pre-vote=true',
  '--snapshot-count=10000',
  '--heartbeat-interval=100',
  '--election-timeout=1000',
];

/** The first line of `etcd --version`, or undefined when etcd is not installed. */
export async function etcdVersion(): Promise<string | undefined> {
  try {
    const { stdout } = await run('etcd', ['--version']);
    return stdout.split('\n')[0];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}

export interface EtcdGroup extends PutTarget {
  /** Stops all members and starts them again with what they have on disk; resolves when they accept writes. */
  restart(): Promise<void>;
}

export async function startEtcdGroup(folder: string): Promise<EtcdGroup> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const ports = await freePorts(6);
  const members = [0, 1, 2].map((i) => ({
    name: `etcd-${i + 1}`,
    client: `http://127.0.0.1:${ports[i]}`,
    peer: `http://127.0.0.1:${ports[i + 3]}`,
  }));
  const initial = members.map(({ name, peer }) => `${name}=${peer}`).join(',');
  const startMembers = () =>
    members.map(
      ({ name, client, peer }) =>
        new OwnProcess(
          'etcd',
          [
            `--name=${name}`,
            `--data-dir=${folder}/${name}`,
            `--listen-client-urls=${client}`,
            `--advertise-client-urls=${client}`,
            `--listen-peer-urls=${peer}`,
            `--initial-advertise-peer-urls=${peer}`,
            `--initial-cluster=${initial}`,
            '--initial-cluster-state=new',
            ...flags,
          ],
          `${folder}/${name}.log`,
        ),
    );
  let processes = startMembers();
  const connect = async () => {
    let endpoint: string | undefined;
    try {
      await waitFor('etcd to have a leader', 60_000, async () => {
        endpoint = await leaderOf(members.map(({ client }) => client));
        return endpoint !== undefined;
      });
    } catch (error) {
      await Promise.all(processes.map((member) => member.kill()));
      throw error;
    }
    return new EtcdClient(endpoint as string);
  };
  let client = await connect();
  return {
    get pids() {
      return processes.map(({ pid }) => pid);
    },
    put: (key, value) => client.put(Buffer.from(key, 'latin1'), value),
    get: (key) => client.get(Buffer.from(key, 'latin1')),
    restart: async () => {
      client.close();
      await Promise.all(processes.map((member) => member.stop()));
      processes = startMembers();
      // Whoever listens first: etcdctl would wait for all of them, with pauses of its own.
      await waitFor('etcd to accept writes', 60_000, async () => {
        client.close();
        client = new EtcdClient(members[0]!.client);
        await client.put(Buffer.from('ready'), Buffer.alloc(1, 1));
        return true;
      });
    },
    stop: async () => {
      client.close();
      await Promise.all(processes.map((member) => member.stop()));
    },
  };
}

async function leaderOf(endpoints: readonly string[]): Promise<string | undefined> {
  const { stdout } = await run(
    'etcdctl',
    ['endpoint', 'status', '-w', 'json', '--endpoints', endpoints.join(',')],
    {
      env: { ...process.env, ETCDCTL_API: '3' },
    },
  );
  const answers = JSON.parse(stdout) as readonly {
    Endpoint: string;
    Status: { leader?: number; header: { member_id: number } };
  }[];
  return answers.find(
    ({ Status }) => Status.leader !== undefined && Status.leader === Status.header.member_id,
  )?.Endpoint;
}
