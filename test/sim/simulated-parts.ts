/** What a simulated machine has in place of the outside world. */
import type { ActorSystem } from '../../actors/runtime/index.js';
import type { MachineSpec } from '../../deploy/cluster-spec.js';

export function simulatedParts(_system: ActorSystem, _machine: MachineSpec): object {
  return {};
}
