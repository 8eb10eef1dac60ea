/**
 * exec, attach and port-forward over WebSocket channels. A message's first byte is its channel: 0 stdin, 1 stdout,
 * 2 stderr, 3 the Status at the end, 4 terminal size, and in v5 255 closes the channel that follows (KEP-4006).
 * The base64 protocol, for browsers, has the channel as a digit and the rest in base64, as text.
 */
import { WebSocket } from 'ws';
import { toStatusError } from './core.js';
import { InputThrottle } from './input-throttle.js';
import { KubeletSession, type SessionRequest } from './kubelet-session.js';
import { jsonBytes } from './object-bytes.js';
import type { ServerContext } from './server-context.js';
import { type StatusError, success } from './status.js';

export const channelProtocols = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
] as const;
export type ChannelProtocol = (typeof channelProtocols)[number];

const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

export interface SessionOpening {
  readonly server: ServerContext;
  readonly node: string;
  readonly request: SessionRequest;
}

/** exec and attach. */
export function runSession(opening: SessionOpening, webSocket: WebSocket, protocol: ChannelProtocol): void {
  const send = (channel: number, bytes: Uint8Array) => sendOn(webSocket, protocol, channel, bytes);
  const end = (exitCode: number | undefined, error: StatusError | undefined) => {
    send(channels.error, jsonBytes(endStatus(exitCode, error)));
    webSocket.close(1000);
  };
  const session = new KubeletSession(opening.server, opening.node, opening.request, {
    output: (stream, bytes) => send(channels[stream], bytes),
    ended: end,
    bufferedBytes: () => webSocket.bufferedAmount,
  });
  session.opened.catch((error: unknown) => end(undefined, toStatusError(error)));
  const throttle = throttleOf(opening.server, webSocket, () => session.inputBacklog());
  webSocket.on('message', (data: Buffer) => {
    const { channel, bytes } = received(protocol, data);
    switch (channel) {
      case channels.stdin:
        // Clients open with empty frames on their channels.
        if (bytes.length > 0) session.input(bytes);
        throttle.check();
        break;
      case channels.resize:
        resize(session, bytes);
        break;
      case channels.close:
        if (protocol === 'v5.channel.k8s.io' && bytes[0] === channels.stdin) session.inputEnd();
        break;
      default:
        break;
    }
  });
  webSocket.on('close', () => session.cancel());
}

/** One port: channels 2n (data) and 2n+1 (errors); each begins with the port, little-endian. */
export function forwardPort(
  opening: SessionOpening,
  webSocket: WebSocket,
  protocol: ChannelProtocol,
  { index, port }: { readonly index: number; readonly port: number },
): void {
  const data = index * 2;
  const errors = data + 1;
  const send = (channel: number, bytes: Uint8Array) => sendOn(webSocket, protocol, channel, bytes);
  const number = Buffer.alloc(2);
  number.writeUInt16LE(port);
  send(data, number);
  send(errors, number);
  const end = (error: StatusError | undefined) => {
    if (error) send(errors, Buffer.from(error.message));
    webSocket.close(1000);
  };
  const session = new KubeletSession(opening.server, opening.node, opening.request, {
    output: (_stream, bytes) => send(data, bytes),
    ended: (_exitCode, error) => end(error),
    bufferedBytes: () => webSocket.bufferedAmount,
  });
  session.opened.catch((error: unknown) => end(toStatusError(error)));
  const throttle = throttleOf(opening.server, webSocket, () => session.inputBacklog());
  webSocket.on('message', (message: Buffer) => {
    const { channel, bytes } = received(protocol, message);
    if (channel !== data || bytes.length === 0) return;
    session.input(bytes);
    throttle.check();
  });
  webSocket.on('close', () => session.cancel());
}

/** kubectl takes the exit code of the command from here. */
export function endStatus(exitCode: number | undefined, error: StatusError | undefined): unknown {
  if (error) return error.toStatus();
  if (exitCode === undefined || exitCode === 0) return success();
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

export function resize(session: KubeletSession, bytes: Buffer): void {
  let size: { Width?: unknown; Height?: unknown };
  try {
    size = JSON.parse(bytes.toString()) as typeof size;
  } catch {
    return; // A client's half-written size says nothing about its terminal; the next one will.
  }
  if (Number.isInteger(size.Width) && Number.isInteger(size.Height)) {
    session.resize(size.Width as number, size.Height as number);
  }
}

function throttleOf({ system }: ServerContext, webSocket: WebSocket, backlog: () => number): InputThrottle {
  const input = {
    pause: () => webSocket.pause(),
    resume: () => webSocket.resume(),
    ping: () => {
      if (webSocket.readyState === WebSocket.OPEN) webSocket.ping();
    },
  };
  return new InputThrottle(system.env.clock, input, backlog);
}

function sendOn(webSocket: WebSocket, protocol: ChannelProtocol, channel: number, bytes: Uint8Array): void {
  if (webSocket.readyState !== WebSocket.OPEN) return;
  if (protocol === 'v4.base64.channel.k8s.io') {
    webSocket.send(`${channel}${Buffer.from(bytes).toString('base64')}`);
  } else webSocket.send(Buffer.concat([Buffer.from([channel]), bytes]));
}

function received(protocol: ChannelProtocol, data: Buffer): { channel: number | undefined; bytes: Buffer } {
  if (protocol !== 'v4.base64.channel.k8s.io') return { channel: data[0], bytes: data.subarray(1) };
  const text = data.toString('latin1');
  return { channel: Number(text.slice(0, 1)), bytes: Buffer.from(text.slice(1), 'base64') };
}
