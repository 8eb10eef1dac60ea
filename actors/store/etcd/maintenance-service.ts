/** etcd's Maintenance service. */
import type { ClusterView } from './cluster-view.js';
import { service, unary } from './method.js';
import { Empty, HeaderOnly, StatusResponse } from './rpc-messages.js';
import { etcdVersion, storageVersion } from './version.js';

export function maintenanceService(view: ClusterView) {
  return service('etcdserverpb.Maintenance', {
    Status: unary(Empty, StatusResponse, async () => {
      const status = await view.status();
      return {
        header: view.header(status.revision),
        version: etcdVersion,
        storageVersion,
        leader: status.leader === null ? 0 : view.idOf(status.leader),
        raftIndex: status.commitIndex,
        raftTerm: status.term,
        raftAppliedIndex: status.appliedIndex,
        errors: status.leader === null ? ['etcdserver: no leader'] : [],
      };
    }),
    // Nothing is ever fragmented: space is used again as it becomes free.
    Defragment: unary(Empty, HeaderOnly, async () => ({ header: view.header() })),
  });
}
