/**
 * gRPC's own health service (grpc.io, "Health Checking"), as etcd has it: the server as a whole, named by the empty text, serves
 * while it answers. Whether its member has a leader, and whether its data are whole, /readyz says.
 */
import { enumeration, message, text } from './message.js';
import { service, streaming, type StreamHandler, unary } from './method.js';
import { code, GrpcError } from './status.js';

export const HealthCheckRequest = message('HealthCheckRequest', { service: text(1) });
export const HealthCheckResponse = message('HealthCheckResponse', { status: enumeration(1) });

const serving = 1;
const serviceUnknown = 3;

export function healthService() {
  return service('grpc.health.v1.Health', {
    Check: unary(HealthCheckRequest, HealthCheckResponse, async ({ service: name }) => {
      if (name !== '') throw new GrpcError(code.notFound, 'unknown service');
      return { status: serving };
    }),
    // It stays as it is for as long as there is anybody to tell of it.
    Watch: streaming(HealthCheckRequest, HealthCheckResponse, (call): StreamHandler<{ service: string }> => ({
      message: ({ service: name }) => call.send({ status: name === '' ? serving : serviceUnknown }),
      finished: () => undefined,
    })),
  });
}
