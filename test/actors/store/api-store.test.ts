import { type Revision } from 'raft-consensus';
import { realClock } from '../../../actors/runtime/index.js';
import { EtcdStore, http2Connect, etcdClientLimits } from '../../../actors/store/etcd-client/index.js';
import { waitFor } from '../../../deploy/wait.js';
import { rpc } from '../../harness/etcd-calls.js';
import { EtcdCluster } from '../../harness/etcd-cluster.js';
import { GrpcClient } from '../../harness/grpc-client.js';
import { isInstalled, startStoreAlone, type StoreAlone } from '../../harness/store-alone.js';
import { apiStoreCases, type StorePlace } from './api-store.case.js';
import { SmallGroup } from './small-group.js';

describe('the store of an apiserver', function () {
  this.timeout(60_000);

  describe('built in, on three simulated members', () => {
    apiStoreCases(() => {
      const group = new SmallGroup('api-store');
      return {
        store: group.client,
        compact: (at) => group.client.compact(at),
        do: (request) => group.do(request),
        until: async (_what, holds) => void (await group.world.run(holds, { maxVirtualMs: 30_000 })),
        wait: (ms) => group.wait(ms),
      };
    });
  });

  describe('as a client of our own etcd front', () => {
    let server: StoreAlone;
    let place: RealPlace;
    before(async () => {
      server = await startStoreAlone({ members: 3 });
      place = new RealPlace(server.ports.map((port) => `127.0.0.1:${port}`));
    });
    after(async () => {
      place?.close();
      await server?.remove();
    });
    apiStoreCases(() => place);
  });

  for (const prefix of ['', '/team-a']) {
    const where = prefix === '' ? '' : `, under the prefix ${prefix}`;
    describe(`as a client of a real etcd${where}`, () => {
      let server: EtcdCluster | undefined;
      let place: RealPlace;
      before(async function () {
        if (!isInstalled('etcd', '--version')) return this.skip();
        server = await EtcdCluster.start({ members: prefix === '' ? 3 : 1 });
        place = new RealPlace(server.endpoints, prefix);
      });
      after(async () => {
        place?.close();
        await server?.stop();
      });
      apiStoreCases(() => place);
    });
  }
});

class RealPlace implements StorePlace {
  readonly store: EtcdStore;
  readonly #operator: GrpcClient;

  constructor(endpoints: readonly string[], prefix = '') {
    this.store = new EtcdStore({
      endpoints: endpoints.map((address) => {
        const [host = '', port = ''] = address.split(':');
        return { address, host, port: Number(port) };
      }),
      connect: http2Connect({ clock: realClock, limits: etcdClientLimits }),
      clock: realClock,
      prefix,
    });
    this.#operator = new GrpcClient(`http://${endpoints[0]}`);
  }

  compact(at: Revision): Promise<unknown> {
    return this.#operator.unary(...rpc.compact, {
      revision: at,
    });
  }

  do<T>(request: Promise<T>): Promise<T> {
    return request;
  }

  until(what: string, holds: () => boolean): Promise<void> {
    return waitFor(what, 15_000, async () => holds(), 5);
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  close(): void {
    this.#operator.close();
    this.store.close();
  }
}
