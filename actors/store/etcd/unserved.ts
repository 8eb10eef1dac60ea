/** What is answered to a method that there is not: what gRPC for Go would say. */
import { code, GrpcError } from './status.js';

export function unserved(path: string): GrpcError {
  const [, service, method] = /^\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  const what =
    service === undefined
      ? `malformed method name: ${JSON.stringify(path)}`
      : `unknown method ${method} for service ${service}`;
  return new GrpcError(code.unimplemented, what);
}
