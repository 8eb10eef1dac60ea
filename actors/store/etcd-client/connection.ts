/**
 * What the client needs of a connection to one endpoint: gRPC calls, and to know whether one that failed had left. The real
 * one is http2-connection.ts; tests play it.
 */
export interface Endpoint {
  /** `host:port`, as people wrote it. */
  readonly address: string;
  readonly host: string;
  readonly port: number;
}

/** The call has no answer because of the connection. An answer that says no is a GrpcError. */
export class ConnectionError extends Error {
  /** Whether the other side may have seen the call. */
  readonly sent: boolean;

  constructor(message: string, sent: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ConnectionError';
    this.sent = sent;
  }
}

/**
 * The other side let the handshake of TLS end and hung up, before it said anything. Node's servers, ours too, do that to whom they
 * do not trust (others send an alert).
 */
export class HungUpAfterHandshake extends ConnectionError {
  constructor(options?: ErrorOptions) {
    super('TLS: it hung up after the handshake, it may not take our certificate', false, options);
    this.name = 'HungUpAfterHandshake';
  }
}

export interface StreamHandler {
  /** One message, a view of what arrived. */
  message(bytes: Buffer): void;
  /** Once: a ConnectionError, or the GrpcError that ended it; `ok` is an end too. */
  ended(error: Error): void;
}

export interface CallStream {
  /** A frame whose prefix is sealed. */
  send(frame: Buffer): void;
  /** `ended` is not called any more. */
  cancel(): void;
}

export interface Connection {
  readonly isOpen: boolean;
  /**
   * The answer's message. Rejects with a ConnectionError or a GrpcError; DEADLINE_EXCEEDED after `timeoutMs`. `token`: says
   * who calls, as Authenticate gave it.
   */
  unary(path: string, frame: Buffer, timeoutMs: number, token?: string): Promise<Buffer>;
  stream(path: string, handler: StreamHandler, token?: string): CallStream;
  /** Once, when it can take no more calls. */
  onClose(listener: (why: string) => void): void;
  close(): void;
}

/** Rejects within the limit, with a message that names the cause (`connect ECONNREFUSED`). */
export type Connect = (endpoint: Endpoint) => Promise<Connection>;
