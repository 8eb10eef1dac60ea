/** What is answered to a method that there is not: of etcd's own ones why, of all others what gRPC for Go would say. */
import { code, GrpcError } from './status.js';

const notSupported: Readonly<Record<string, string>> = {
  // etcd 3.7.
  '/etcdserverpb.KV/RangeStream': 'RangeStream is not supported: use Range with a limit',
};

export function unserved(path: string): GrpcError {
  const known = notSupported[path];
  if (known !== undefined) return new GrpcError(code.unimplemented, `etcdserver: ${known}`);
  const [, service, method] = /^\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  const what =
    service === undefined
      ? `malformed method name: ${JSON.stringify(path)}`
      : `unknown method ${method} for service ${service}`;
  return new GrpcError(code.unimplemented, what);
}
