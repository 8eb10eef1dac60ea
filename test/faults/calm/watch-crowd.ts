/**
 * Very many watchers of one member over gRPC: many on a stream, as etcd's clients have them, and several streams. Each counts
 * the events that it gets; all of them watch the same keys, so every write is as many events as there are watchers.
 */
import { waitFor } from '../../../deploy/wait.js';
import { rpc } from '../../harness/etcd-calls.js';
import { GrpcClient } from '../../harness/grpc-client.js';

export interface CrowdOptions {
  readonly endpoint: string;
  readonly connections: number;
  /** Of each connection. */
  readonly streams: number;
  /** Of all streams together. */
  readonly watchers: number;
  readonly prefix: string;
}

export class WatchCrowd {
  readonly #clients: readonly GrpcClient[];
  readonly #size: number;
  #created = 0;
  /** By watcher, how many events it got; and of which revision the last one was. */
  readonly #counts: Uint32Array;
  readonly #reached: Float64Array;
  readonly wrongs: string[] = [];

  /** Resolves when all of them stand. */
  static async open(options: CrowdOptions): Promise<WatchCrowd> {
    const crowd = new WatchCrowd(options);
    await waitFor(
      `${options.watchers} watches to stand`,
      60_000,
      async () => crowd.#created === options.watchers,
    );
    return crowd;
  }

  private constructor({ endpoint, connections, streams, watchers, prefix }: CrowdOptions) {
    this.#size = watchers;
    this.#counts = new Uint32Array(watchers);
    this.#reached = new Float64Array(watchers);
    this.#clients = Array.from({ length: connections }, () => new GrpcClient(endpoint));
    const streamsInAll = connections * streams;
    for (let i = 0; i < streamsInAll; i++) {
      const first = Math.floor((i * watchers) / streamsInAll);
      const end = Math.floor(((i + 1) * watchers) / streamsInAll);
      this.#openStream(this.#clients[i % connections]!, prefix, first, end - first);
    }
  }

  /** Every one has got as many events. */
  haveAll(events: number): boolean {
    return this.#counts.every((count) => count === events);
  }

  get size(): number {
    return this.#size;
  }

  /** Of all of them together. */
  get events(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  #openStream(client: GrpcClient, prefix: string, first: number, count: number): void {
    const stream = client.stream(...rpc.watch);
    stream.onMessage = (message) => {
      // Nothing is kept of them.
      stream.received.length = 0;
      if (message.canceled) this.wrongs.push(`watch ${message.watchId} ended: ${message.cancelReason}`);
      else if (message.created) this.#created += 1;
      for (const { kv } of message.events) this.#note(first + message.watchId, kv?.modRevision ?? 0);
    };
    void stream.status.then(({ message }) => this.wrongs.push(`a stream of watches ended: ${message}`));
    const rangeEnd = `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
    for (let i = 0; i < count; i++) stream.send({ create: { key: prefix, rangeEnd } });
  }

  #note(watcher: number, revision: number): void {
    if (revision <= this.#reached[watcher]!)
      this.wrongs.push(`watcher ${watcher} went back to ${revision} from ${this.#reached[watcher]}`);
    this.#reached[watcher] = revision;
    this.#counts[watcher]! += 1;
  }
}
