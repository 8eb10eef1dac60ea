/**
 * A link joins one node to all others. ZeroMQ, in-process and simulated links pass one shared suite
 * (test/transport/link.case.ts). A link is lossy by contract: `send` never throws for an absent peer and
 * never blocks; what cannot be delivered is dropped and reported (ARCHITECTURE rule 6).
 */
import type { Envelope, Incarnation, NodeId } from './envelope.js';

export type DropReason =
  | 'unreachable' // no such peer, or not connected
  | 'queue-full' // our own bounded outbound queue
  | 'too-large'
  | 'expired'
  | 'stale-incarnation'
  | 'fault' // the fault policy said so
  | 'undecodable'
  | 'closed';

export interface LinkEvents {
  /** A message for this node, in order per sender. */
  onEnvelope(envelope: Envelope): void;
  /** The envelope did not leave or did not arrive, as far as this side can know. */
  onDrop(envelope: Envelope, reason: DropReason): void;
  /** A peer answered the handshake: a new one, or one that restarted. */
  onPeerUp(peer: NodeId, incarnation: Incarnation): void;
  /** A peer has been silent for `peerTimeoutMs`, closed, or was replaced by a newer incarnation. */
  onPeerDown(peer: NodeId, incarnation: Incarnation, reason: 'timeout' | 'closed' | 'restarted'): void;
}

export interface Link {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  /** Starts delivering to `events`. Resolves when the link can receive. */
  start(events: LinkEvents): Promise<void>;
  /** Tells the link where a peer listens (ZeroMQ: `tcp://127.0.0.1:port`); idempotent, a new address replaces the old. */
  addPeer(peer: NodeId, address: string): void;
  removePeer(peer: NodeId): void;
  /** Queues the envelope; never throws for a network reason. Losses are told through `onDrop`. */
  send(envelope: Envelope): void;
  /** Where peers reach this node. */
  address(): string;
  close(): Promise<void>;
}
