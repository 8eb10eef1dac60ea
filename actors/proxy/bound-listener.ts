/** What TCP and UDP listeners of the user-space proxy have in common, and what they share. */
import type { Clock } from '../../transport/index.js';
import type { ProxyLimits } from './limits.js';
import type { Listener } from './plan.js';

/** A socket on one address; made new for each try. */
export interface BoundListener {
  /** New endpoints; the address is the same. */
  update(listener: Listener): void;
  /** Takes no new clients; connections that stand go on. */
  stop(): void;
  /** Ends everything. */
  destroy(): void;
}

/** What listeners of one proxy share. */
export interface ProxyResources {
  readonly clock: Clock;
  readonly limits: ProxyLimits;
  connections: number;
  udpFlows: number;
}

export interface ListenerEvents {
  bound(): void;
  failed(error: NodeJS.ErrnoException): void;
  empty(): void;
}
