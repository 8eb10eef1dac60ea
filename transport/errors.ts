/** The coded errors of the transport. Losses are not errors: they go through `onDrop` (ARCHITECTURE rule 6). */

/** Every code with what to do about it; docs are generated from this table. */
export const transportErrorCodes = {
  undecodable: 'The bytes are no envelope of this version: find out who sends them.',
  'schema-version': 'The peer speaks another envelope version: upgrade the older side.',
  'too-large': 'Send less in one message, or in pages.',
  unencodable: 'A message body must be plain data: objects, arrays, strings, numbers, bigints, dates, bytes.',
  'bad-address': 'Give the address as the link prints it.',
  'bad-option': 'Correct the option that the message names.',
  'bind-failed': 'Choose a free port or an address of this machine.',
  'insecure-bind': 'Configure CURVE keys, or bind to loopback.',
  'stale-incarnation': 'Start a node with a larger incarnation than before.',
  'not-started': 'Call start first.',
  closed: 'The link or socket was closed.',
  'wrong-cluster': 'Both sides must carry the same cluster id: check the address or remove the old data.',
  'wrong-protocol': 'Both sides must speak the same link protocol: upgrade the older side.',
  'wrong-identity': 'The CURVE key does not belong to the node that the peer claims to be.',
  'socket-path': 'Use a shorter data directory, or remove what stands in its place.',
  'control-unreachable': 'The process that serves the control socket is not running.',
  'control-timeout': 'The process answers too slowly: it may be stopped or overloaded.',
  'control-method': 'Call one of the methods that the message lists.',
  'control-request': 'Send one JSON object {id, method, params} a line.',
  'control-failed': 'The method failed: read its message.',
  journal: 'Check the journal folder: space, permissions.',
} as const;

export type TransportErrorCode = keyof typeof transportErrorCodes;

export class TransportError extends Error {
  readonly code: TransportErrorCode;

  constructor(code: TransportErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'TransportError';
    this.code = code;
  }
}
