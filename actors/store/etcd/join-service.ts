/** The one call that etcd has not: a member that was added says that it runs, and who it is (member-claim.ts). */
import { RaftError } from 'raft-consensus';
import { StoreError } from '../client.js';
import { claimMember } from '../member-claim.js';
import { JoinRequest, JoinResponse } from './cluster-messages.js';
import type { ClusterView } from './cluster-view.js';
import { service, unary } from './method.js';
import { code, GrpcError } from './status.js';

export function joinService(view: ClusterView) {
  return service('kabuki.Store', {
    Join: unary(JoinRequest, JoinResponse, async (request, call) => {
      const { client } = await call.stores();
      const claim = claimMember(client, request, { timeoutMs: call.timeoutMs() });
      const { name, others, members } = await claim.catch((error: unknown) => {
        throw inItsWords(error);
      });
      view.seen(members);
      return { header: view.header(), clusterId: view.options.clusterId, name, members: others };
    }),
  });
}

/** What etcd has no words for. */
function inItsWords(error: unknown): unknown {
  const isRefusal = error instanceof StoreError && error.code === 'Refused';
  if (!isRefusal || !(error.cause === undefined || error.cause instanceof RaftError)) return error;
  return new GrpcError(code.failedPrecondition, `etcdserver: ${error.message}`, { cause: error });
}
