/** Unary calls of gRPC, as a load makes them. */

/** How calls are made: as fast as node:http2 does it, or for a tenth of its cost. */
export const clientKinds = ['node', 'light'] as const;
export type ClientKind = (typeof clientKinds)[number];

export interface Calls {
  /** Resolves with the message of the answer; rejects when the call failed, or when the time is up. */
  call(path: string, body: Uint8Array, timeoutMs?: number): Promise<Buffer>;
  close(): void;
}

/** Before each message: a byte that says that it is not compressed, and its length. */
export const framePrefixBytes = 5;
