/** Every bound and period of the service proxy in one place. */
export interface ProxyLimits {
  /** Changes within this time are applied together. */
  readonly gatherMs: number;
  /** How often the apiservers are asked for a sign of life. */
  readonly contactIntervalMs: number;
  /** Without a sign for so long, listeners are closed, so that the proxy of a connected node takes over. */
  readonly staleAfterMs: number;
  /** How often a listener whose address somebody else holds tries again. */
  readonly standbyRetryMs: number;
  /** The same after a refusal that will hardly go away by itself (no right to the port). */
  readonly refusedRetryMs: number;
  readonly connectTimeoutMs: number;
  /** Connections and UDP flows of one node's proxy at a time; more are refused. */
  readonly connectionsMax: number;
  readonly udpFlowsMax: number;
  readonly udpIdleMs: number;
  /** Clients that session affinity remembers per listener; the longest unseen is forgotten first. */
  readonly affinityClientsMax: number;
}

export const proxyLimits: ProxyLimits = {
  gatherMs: 20,
  contactIntervalMs: 5_000,
  staleAfterMs: 15_000,
  standbyRetryMs: 1_000,
  refusedRetryMs: 60_000,
  connectTimeoutMs: 3_000,
  connectionsMax: 4_096,
  udpFlowsMax: 4_096,
  udpIdleMs: 30_000,
  affinityClientsMax: 10_000,
};
