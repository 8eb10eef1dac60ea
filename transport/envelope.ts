/**
 * What crosses a link: one message with everything that tracing, faults and expiry need to know about it
 * (ARCHITECTURE rule 5). The body is opaque to the transport.
 */
export type NodeId = string & { readonly __brand: 'NodeId' };

/** A node is one event loop with a link of its own: `master-1`, `master-1.store`, `worker-2`, `cli.4711`. */
export function isNodeId(name: string): name is NodeId {
  return /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/.test(name);
}

/** Throws TypeError. */
export function nodeId(name: string): NodeId {
  if (!isNodeId(name)) {
    throw new TypeError(
      `node id ${JSON.stringify(name)} must be a lower-case DNS subdomain of at most 63 characters`,
    );
  }
  return name as NodeId;
}

/** The machine (fault domain) of a node: the part before the first dot. `master-1.store` lives on `master-1`. */
export function machineOf(node: NodeId): string {
  const dot = node.indexOf('.');
  return dot === -1 ? node : node.slice(0, dot);
}

/** Monotonic per process start of one node; a restarted node has a larger one, so old letters to it die. */
export type Incarnation = number & { readonly __brand: 'Incarnation' };

/** `node/incarnation/seq`: unique in a cluster's life. */
export type EnvelopeId = string & { readonly __brand: 'EnvelopeId' };

/** W3C traceparent, `00-<32 hex>-<16 hex>-01`. */
export type TraceParent = string & { readonly __brand: 'TraceParent' };

export interface Envelope {
  readonly id: EnvelopeId;
  /** The envelope that was being handled when this one was sent; absent for a timer, a start or the outside world. */
  readonly cause?: EnvelopeId;
  readonly trace: TraceParent;
  readonly lamport: number;
  readonly from: NodeId;
  readonly fromPath: string;
  readonly incarnation: Incarnation;
  readonly to: NodeId;
  readonly toPath: string;
  /** Message type for people and for fault rules: the body's `type`, such as `AppendEntries` or `ApiRequest`. */
  readonly kind: string;
  /** Expired work is dropped before it is handled. Wall-clock milliseconds since the epoch; 0 means none. */
  readonly deadlineMs: number;
  /** A structured-cloneable value; refs inside travel by the codec's extension. */
  readonly body: unknown;
}
