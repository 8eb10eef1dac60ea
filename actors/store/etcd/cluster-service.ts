/** etcd's Cluster service: who is in the group. The group cannot be changed through it yet. */
import type { ClusterView } from './cluster-view.js';
import { service, unary } from './method.js';
import { Empty, HeaderOnly, MemberListRequest, MemberListResponse } from './rpc-messages.js';
import { code, GrpcError } from './status.js';

export function clusterService(view: ClusterView) {
  const notYet = (what: string) =>
    unary(Empty, HeaderOnly, () => {
      const text = `etcdserver: ${what} is not supported: the members of this store are fixed`;
      return Promise.reject(new GrpcError(code.unimplemented, text));
    });
  return service('etcdserverpb.Cluster', {
    MemberList: unary(MemberListRequest, MemberListResponse, async (request, call) => {
      if (request.linearizable) {
        const { client } = await call.stores();
        view.header(await client.currentRevision({ timeoutMs: call.timeoutMs() }));
      }
      const members = view.options.members.map(({ name, peerUrls, clientUrls }) => ({
        id: view.idOf(name),
        name,
        peerUrls,
        clientUrls,
        isLearner: false,
      }));
      return { header: view.header(), members };
    }),
    MemberAdd: notYet('adding a member'),
    MemberRemove: notYet('removing a member'),
    MemberUpdate: notYet('updating a member'),
    MemberPromote: notYet('promoting a member'),
  });
}
