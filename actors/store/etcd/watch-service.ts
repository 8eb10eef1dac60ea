/** etcd's Watch service: watch streams, and the progress that is sent to quiet watchers now and then. */
import type { Clock } from '../../../transport/index.js';
import type { StoreClient } from '../client.js';
import type { ClusterView } from './cluster-view.js';
import type { EtcdLimits } from './limits.js';
import { service, streaming } from './method.js';
import { WatchRequest, WatchResponse } from './rpc-messages.js';
import { WatchStream } from './watch-stream.js';

export interface WatchServiceOptions {
  readonly client: StoreClient;
  readonly view: ClusterView;
  readonly clock: Clock;
  readonly limits: EtcdLimits;
}

export function watchService(options: WatchServiceOptions) {
  const { clock, limits } = options;
  const streams = new Set<WatchStream>();
  const intervalMs = Math.max(50, limits.progressNotifyIntervalMs / 10);
  // Runs only while somebody watches.
  const tick = () => {
    if (streams.size === 0) return;
    const nowMs = clock.monotonicMs();
    for (const stream of streams) stream.notifyProgress(nowMs);
    clock.setTimer(intervalMs, tick);
  };
  return service('etcdserverpb.Watch', {
    Watch: streaming(WatchRequest, WatchResponse, (call) => {
      const stream = new WatchStream(call, options);
      streams.add(stream);
      if (streams.size === 1) clock.setTimer(intervalMs, tick);
      call.onGone(() => {
        streams.delete(stream);
        stream.close();
      });
      return stream;
    }),
  });
}
