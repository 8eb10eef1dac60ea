/**
 * The real sides of the seams: the only places outside deploy/ and test/ that may touch clock, chance, files, sockets or
 * processes (ARCHITECTURE rule 2). A name that ends in `/` is a folder.
 */
export const edges: readonly string[] = [
  // Env itself, and the guards that name what they forbid.
  'actors/runtime/env-real.ts',
  'actors/runtime/sim-guards.ts',
  // Disk.
  'raft/disk/real-disk.ts',
  'raft/disk/read-only-file.ts',
  // Links, journals and control sockets of real nodes.
  'transport/zmq-link.ts',
  'transport/zmq/short-way.ts',
  'transport/zmq/handshake.ts',
  'transport/trace/file-journal.ts',
  'transport/trace/reader.ts',
  'transport/trace/tail.ts',
  'transport/faults/control.ts',
  // HTTPS; the core behind it answers messages.
  'actors/apiserver/https-door.ts',
  'actors/apiserver/websocket-door.ts',
  'actors/apiserver/spdy-door.ts',
  'actors/apiserver/spdy/header-blocks.ts',
  'actors/apiserver/http-proxy.ts',
  'actors/apiserver/jose-tokens.ts',
  // gRPC and HTTP of etcd's API; the services behind it know of neither.
  'actors/store/etcd/door.ts',
  'actors/store/etcd/http2-call.ts',
  // A real etcd cluster as the store.
  'actors/store/etcd-client/http2-connection.ts',
  // Passwords and tokens of its users.
  'actors/store/etcd/passwords.ts',
  'actors/store/etcd/password-thread.ts',
  'actors/store/etcd/tokens.ts',
  'actors/store/etcd/process-figures.ts',
  // The machine as a kubelet sees it, and the process runtime.
  'actors/kubelet/machine-facts.ts',
  'actors/kubelet/mount-views.ts',
  'actors/kubelet/socket-pod-network.ts',
  'actors/kubelet/static-pod-folder.ts',
  'actors/kubelet/container-log.ts',
  'actors/kubelet/container-programs.ts',
  'actors/kubelet/process-container.ts',
  'actors/kubelet/process-group.ts',
  'actors/kubelet/process-runtime.ts',
  'actors/kubelet/process-streams.ts',
  'actors/kubelet/volume-files.ts',
  'actors/kubelet/stand-ins/',
  // Sockets of services.
  'actors/proxy/tcp-listener.ts',
  'actors/proxy/udp-listener.ts',
  // Reads the schema that ships with the package, once.
  'actors/objects/schema-table.ts',
];

export function isEdge(path: string): boolean {
  return edges.some((edge) => (edge.endsWith('/') ? path.startsWith(edge) : path === edge));
}
