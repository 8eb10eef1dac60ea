import { strict as assert } from 'node:assert';
import { code } from '../../../../actors/store/etcd/status.js';
import { rpc } from '../../../harness/etcd-calls.js';
import { GrpcClient } from '../../../harness/grpc-client.js';
import { startStoreAlone } from '../../../harness/store-alone.js';

describe('a server of etcd’s API that stops', function () {
  this.timeout(60_000);

  it('says so to those who watch, renew, listen or wait, so that they go on elsewhere at once', async () => {
    const store = await startStoreAlone({ members: 1 });
    const client = new GrpcClient(`http://127.0.0.1:${store.ports[0]}`);
    try {
      const watch = client.stream(...rpc.watch);
      watch.send({ create: { key: 'a' } });
      await watch.until('the watch to stand', (received) => received.length > 0);
      const renewals = client.stream(...rpc.leaseKeepAlive);
      renewals.send({ id: 1 });
      await renewals.until('the lease to be looked for', (received) => received.length > 0);
      await client.unary(...rpc.lock, { name: 'l' });
      const waiting = client.stream(...rpc.lock);
      waiting.send({ name: 'l' });
      waiting.finish();
      const listening = client.stream(...rpc.observe);
      listening.send({ name: 'e' });
      listening.finish();
      await client.unary(...rpc.put, { key: 'a' });
      await watch.until('the event', (received) => received.length > 1);
      const stopped = store.stop();
      const wanted = { code: code.unavailable, message: 'etcdserver: server stopped' };
      for (const call of [watch, renewals, waiting, listening]) assert.deepEqual(await call.status, wanted);
      assert.equal(await stopped, 0);
    } finally {
      client.close();
      await store.remove();
    }
  });
});
