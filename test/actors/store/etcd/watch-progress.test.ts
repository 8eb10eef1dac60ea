/** What a stream of watchers says of its progress, whichever of them is told first how far the store is. */
import { strict as assert } from 'node:assert';
import { type Revision, revision } from 'raft-consensus';
import { etcdLimits } from '../../../../actors/store/etcd/limits.js';
import type { StreamCall } from '../../../../actors/store/etcd/method.js';
import { WatchRequest, type WatchResponse } from '../../../../actors/store/etcd/rpc-messages.js';
import type { WatchServiceOptions } from '../../../../actors/store/etcd/watch-service.js';
import { WatchStream } from '../../../../actors/store/etcd/watch-stream.js';
import type { WatchHandler } from '../../../../actors/store/index.js';
import { ManualClock } from '../../client/manual-env.js';

/** A store at a revision, whose watches hear what the test says. */
class Stream {
  readonly sent: Partial<WatchResponse>[] = [];
  readonly #clock = new ManualClock();
  readonly #watches: WatchHandler[] = [];
  readonly #stream: WatchStream;
  at = revision(10);

  constructor() {
    const watch = (_request: object, handler: WatchHandler) => {
      this.#watches.push(handler);
      return { close: () => {}, requestProgress: () => {} };
    };
    const view = {
      status: async () => ({ revision: this.at, authEnabled: false }),
      header: (at: Revision = this.at) => ({ revision: at }),
    };
    const options = { client: { watch }, view, clock: this.#clock, limits: etcdLimits };
    const call = { send: (response: Partial<WatchResponse>) => this.sent.push(response) > 0 };
    this.#stream = new WatchStream(
      call as unknown as StreamCall<WatchResponse>,
      options as unknown as WatchServiceOptions,
    );
  }

  async say(request: Parameters<typeof WatchRequest.encode>[0]): Promise<void> {
    this.#stream.message(WatchRequest.decode(Buffer.from(WatchRequest.encode(request, 0))));
    await this.#clock.advance(1);
  }

  /** A watcher is told that it has had everything up to there. */
  reach(watcher: number, at: number): void {
    this.#watches[watcher]!.onBatch({ revision: revision(at), events: [] });
  }

  get progress(): readonly (number | undefined)[] {
    return this.sent.filter(({ watchId }) => watchId === -1).map(({ header }) => header?.revision);
  }
}

describe('the progress of a stream of watchers', () => {
  it('is that of the one that is furthest behind', async () => {
    const stream = new Stream();
    await stream.say({ create: { key: 'a' } });
    await stream.say({ create: { key: 'b' } });
    stream.at = revision(15);
    await stream.say({ progress: {} });
    assert.deepEqual(stream.progress, []);
    stream.reach(0, 17);
    assert.deepEqual(stream.progress, []);
    stream.reach(1, 16);
    assert.deepEqual(stream.progress, [16]);
  });

  it('is never older than where one of them begins, though another has not heard of that yet (etcd #20221)', async () => {
    const stream = new Stream();
    await stream.say({ create: { key: 'a' } });
    await stream.say({ create: { key: 'b', startRevision: 14 } });
    await stream.say({ progress: {} });
    stream.reach(0, 11);
    assert.deepEqual(stream.progress, [], 'nobody knows of the second one');
    stream.reach(1, 14);
    assert.deepEqual(stream.progress, [], 'the first is behind where the second begins');
    stream.reach(0, 15);
    assert.deepEqual(stream.progress, [14]);
  });
});
