/** Keys under leases of all sorts of ids, which etcdctl cannot choose, at any server of etcd's API. */
import { rpc } from '../../harness/etcd-calls.js';
import { GrpcClient } from '../../harness/grpc-client.js';

/** Two that are one as numbers among them. */
const ids = [7n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -5n];

export async function putLeasedKeys(endpoint: string): Promise<void> {
  const client = new GrpcClient(endpoint);
  try {
    for (const id of ids) {
      await client.unary(...rpc.leaseGrant, { id, ttl: 900 });
      const request = { key: `leased/by/${id}`, value: Buffer.from('x'), lease: id };
      await client.unary(...rpc.put, request);
    }
  } finally {
    client.close();
  }
}
