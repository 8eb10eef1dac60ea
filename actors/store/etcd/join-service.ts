/**
 * How a member that was added comes to be one: it says which peer URL it is, and its key; the configuration takes both down, and
 * the others let it in. Whoever may add members may say so: it is the same right. Once it has started, its key is settled.
 */
import { RaftError } from 'raft-consensus';
import { dialAddress } from '../../../transport/index.js';
import { StoreError } from '../client.js';
import { JoinRequest, JoinResponse } from './cluster-messages.js';
import type { ClusterView } from './cluster-view.js';
import { service, unary } from './method.js';
import { code, GrpcError } from './status.js';

export function joinService(view: ClusterView) {
  return service('kabuki.Store', {
    Join: unary(JoinRequest, JoinResponse, async ({ peerUrl, title, publicKey, clientUrls }, call) => {
      const { client } = await call.stores();
      const before = await client.members({ timeoutMs: call.timeoutMs() });
      const expected = before.find(
        ({ url }) => url !== undefined && dialAddress(url) === dialAddress(peerUrl),
      );
      if (!expected) {
        const why = `no member with the peer URL ${peerUrl} was added: add it first, etcdctl member add NAME --peer-urls=${peerUrl}`;
        throw new GrpcError(code.notFound, `etcdserver: ${why}`);
      }
      const { name } = expected;
      const change = { publicKey, title, clientUrls };
      const members = await client
        .memberUpdate(name, change, { timeoutMs: call.timeoutMs() })
        .catch((error: unknown) => {
          throw inItsWords(error);
        });
      view.seen(members);
      const others = members.flatMap(({ name: other, url, publicKey: key }) =>
        other === name || url === undefined || key === undefined
          ? []
          : [{ name: other, url, publicKey: key }],
      );
      return { header: view.header(), clusterId: view.options.clusterId, name, members: others };
    }),
  });
}

/** What etcd has no words for. */
function inItsWords(error: unknown): unknown {
  if (!(error instanceof StoreError && error.cause instanceof RaftError)) return error;
  return new GrpcError(code.failedPrecondition, `etcdserver: ${error.message}`, { cause: error });
}
