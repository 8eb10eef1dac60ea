/**
 * v3lockpb.Lock: a lock is a key of the caller's lease; Unlock deletes it. The lock ends with the lease, so it is no mutual
 * exclusion by itself: fence with the create revision of the key.
 */
import type { ClusterView } from './cluster-view.js';
import { service, unary } from './method.js';
import { leave, takeTurn, type Watches } from './queue-of-keys.js';
import { HeaderOnly, LockRequest, LockResponse, UnlockRequest } from './rpc-messages.js';

export function lockService(watches: Watches, view: ClusterView) {
  return service('v3lockpb.Lock', {
    Lock: unary(
      LockRequest,
      LockResponse,
      async ({ name, lease }, call) => {
        const { client } = await call.stores();
        const { place, at } = await takeTurn(client, watches, name, lease, undefined, call);
        return { header: view.header(at), key: place.key };
      },
      { waits: true },
    ),
    Unlock: unary(UnlockRequest, HeaderOnly, async ({ key }, call) => {
      const { client } = await call.stores();
      return { header: view.header(await leave(client, key)) };
    }),
  });
}
