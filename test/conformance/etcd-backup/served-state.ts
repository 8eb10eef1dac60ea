/** All that a server of etcd's API tells of its keys: at its newest revision, at every older one that it has, and by a watch. */
import type { Event } from '../../../actors/store/etcd/rpc-messages.js';
import { waitFor } from '../../../deploy/wait.js';
import { rpc } from '../../harness/etcd-calls.js';
import { GrpcClient } from '../../harness/grpc-client.js';

export interface ServedState {
  readonly revision: number;
  readonly keys: unknown;
  /** By revision, from `fromRevision` on. */
  readonly history: unknown;
  readonly events: unknown;
}

/** `fromRevision`: of the oldest state to look at; it must not be compacted away. Absent: nothing but the newest. */
export async function servedState(endpoint: string, fromRevision?: number): Promise<ServedState> {
  const client = new GrpcClient(endpoint);
  try {
    const at = async (revision: number) =>
      await client.unary(...rpc.range, {
        ...everything,
        revision,
      });
    const newest = await at(0);
    const { revision = 0 } = newest.header ?? {};
    const keys = plain(newest.kvs);
    const history: Record<number, unknown> = {};
    if (fromRevision === undefined) return { revision, keys, history, events: [] };
    for (let old = fromRevision; old <= revision; old++) history[old] = plain((await at(old)).kvs);
    const watch = client.stream(...rpc.watch);
    watch.send({ create: { ...everything, startRevision: fromRevision } });
    const events: Partial<Event>[] = [];
    await waitFor('the watch to come to the end', 10_000, async () => {
      events.splice(0, events.length, ...watch.received.flatMap((one) => one.events));
      return (events.at(-1)?.kv?.modRevision ?? 0) >= revision;
    });
    return { revision, keys, history, events: plain(events) };
  } finally {
    client.close();
  }
}

const everything = { key: '\0', rangeEnd: '\0' };

/** Byte fields that are equal, whatever class they have. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('latin1')}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}
