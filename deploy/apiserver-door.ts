/** Opens a master's HTTPS port with the certificates of the cluster. */
import { type ApiServer, openHttpsDoor } from '../actors/apiserver/index.js';
import type { ActorSystem } from '../actors/runtime/index.js';
import type { MachineSpec } from './cluster-spec.js';
import type { DataDir } from './data-dir.js';

export function openApiServerDoor(
  dir: DataDir,
  machine: MachineSpec,
  system: ActorSystem,
  server: ApiServer,
): ReturnType<typeof openHttpsDoor> {
  return openHttpsDoor({
    system,
    server,
    key: dir.readText('pki/apiserver.key'),
    certificate: dir.readText('pki/apiserver.crt'),
    clientCa: dir.readText('pki/ca.crt'),
    port: machine.httpsPort ?? 0,
    servedBy: machine.name,
  });
}
