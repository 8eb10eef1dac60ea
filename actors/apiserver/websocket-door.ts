/**
 * Sessions over WebSocket, an edge: exec and attach (`v5.channel.k8s.io`, `v4`), port-forward by pairs of channels
 * (`v4.channel.k8s.io`), logs (`binary.k8s.io`). A frame's first byte is its channel: 0 stdin, 1 stdout, 2 stderr,
 * 3 the Status at the end, 4 terminal size, and in v5 255 closes the channel that follows (KEP-4006).
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { type ApiServer, toStatusError } from './core.js';
import { KubeletSession } from './kubelet-session.js';
import { limits } from './limits.js';
import { jsonBytes } from './object-bytes.js';
import type { ApiStream, Identity } from './request.js';
import type { RequestContext } from './server-context.js';
import { badRequest, notImplemented, StatusError, success } from './status.js';
import { sessionOf } from './subresources/session.js';

export interface UpgradeOptions {
  readonly server: ApiServer;
  identify(
    incoming: IncomingMessage,
  ): Promise<{ readonly identity: Identity; readonly request: UpgradeRequest }>;
  remark(what: string, error: Error): void;
}

export type UpgradeRequest = Parameters<ApiServer['authorizeRequest']>[0];

const protocols: Readonly<Record<string, readonly string[]>> = {
  exec: ['v5.channel.k8s.io', 'v4.channel.k8s.io'],
  attach: ['v5.channel.k8s.io', 'v4.channel.k8s.io'],
  portforward: ['v4.channel.k8s.io'],
  log: ['binary.k8s.io'],
};

const stdinChannel = 0;
const stdoutChannel = 1;
const stderrChannel = 2;
const errorChannel = 3;
const resizeChannel = 4;
const closeChannel = 255;

export async function upgrade(
  options: UpgradeOptions,
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  try {
    const { identity, request } = await options.identify(incoming);
    const context = await options.server.authorizeRequest(request, identity);
    // What is wrong with the request is said first: kubectl tries SPDY after any refusal and shows the last one.
    const open = await opening(options, context, request, identity);
    const protocol = chooseProtocol(incoming, context.info.subresource);
    const server = new WebSocketServer({
      noServer: true,
      handleProtocols: () => protocol,
      maxPayload: limits.requestBodyBytesMax,
      perMessageDeflate: false,
    });
    server.handleUpgrade(incoming, socket, head, (webSocket) => {
      webSocket.on('error', (error) => options.remark('websocket failed', error));
      open(webSocket);
    });
  } catch (error) {
    refuse(socket, toStatusError(error));
  }
}

function chooseProtocol({ headers }: IncomingMessage, subresource: string): string {
  const asked = headers['upgrade'] ?? '';
  if (asked.toLowerCase() !== 'websocket') throw notImplemented(`an upgrade to ${asked} (use WebSocket)`);
  const spoken = protocols[subresource] ?? [];
  const offered = String(headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((each) => each.trim());
  const protocol = offered.find((each) => spoken.includes(each));
  if (protocol !== undefined) return protocol;
  throw badRequest(
    `unable to upgrade: none of the protocols ${offered.join(', ')} is one of ${spoken.join(', ')}`,
  );
}

/** Everything that can be refused is, before the connection changes its language. */
async function opening(
  options: UpgradeOptions,
  context: RequestContext,
  request: UpgradeRequest,
  identity: Identity,
): Promise<(webSocket: WebSocket) => void> {
  const { subresource } = context.info;
  if (!protocols[subresource]) throw badRequest(`${context.info.path} does not upgrade`);
  switch (subresource) {
    case 'log': {
      const { body, status } = await options.server.handle(request, identity);
      if (body instanceof Uint8Array) {
        if (status !== 200) throw statusIn(body);
        return (webSocket) => {
          webSocket.send(body);
          webSocket.close(1000);
        };
      }
      return (webSocket) => pourLog(webSocket, body);
    }
    case 'portforward': {
      const ports = context.info.query.getAll('ports').flatMap((text) => text.split(',').map(Number));
      const valid =
        ports.length > 0 && ports.every((port) => Number.isInteger(port) && port > 0 && port < 65_536);
      if (!valid) throw badRequest('query parameter "ports" must name ports between 1 and 65535');
      const sessions = await Promise.all(ports.map((port) => sessionOf(context, port)));
      return (webSocket) => {
        for (const [index, { node, request: first }] of sessions.entries()) {
          forwardPort(context, webSocket, index, ports[index]!, node, first);
        }
      };
    }
    default: {
      const { node, request: first } = await sessionOf(context);
      return (webSocket) => runSession(context, webSocket, node, first);
    }
  }
}

function statusIn(body: Uint8Array): StatusError {
  const { code, reason, message } = JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>;
  return new StatusError(Number(code), String(reason), String(message));
}

type FirstLetter = Awaited<ReturnType<typeof sessionOf>>['request'];

function runSession(context: RequestContext, webSocket: WebSocket, node: string, request: FirstLetter): void {
  const send = (channel: number, bytes: Uint8Array) => {
    if (webSocket.readyState === WebSocket.OPEN) webSocket.send(framed(channel, bytes));
  };
  const end = (exitCode: number | undefined, error: StatusError | undefined) => {
    send(errorChannel, jsonBytes(endStatus(exitCode, error)));
    webSocket.close(1000);
  };
  const session = new KubeletSession(context.server, node, request, {
    output: (stream, bytes) => send(stream === 'stdout' ? stdoutChannel : stderrChannel, bytes),
    ended: end,
    bufferedBytes: () => webSocket.bufferedAmount,
  });
  session.opened.catch((error: unknown) => end(undefined, toStatusError(error)));
  webSocket.on('message', (data: Buffer) => {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.from(data);
    if (bytes.length === 0) return;
    const rest = bytes.subarray(1);
    switch (bytes[0]) {
      case stdinChannel:
        session.input(rest);
        throttle(context, webSocket, session);
        break;
      case resizeChannel:
        resize(session, rest);
        break;
      case closeChannel:
        if (rest[0] === stdinChannel) session.inputEnd();
        break;
      default:
        // Clients open with empty frames on the channels that they only read.
        break;
    }
  });
  webSocket.on('close', () => session.cancel());
}

/** Stops reading while the kubelet has not taken what came. */
function throttle({ server }: RequestContext, webSocket: WebSocket, session: KubeletSession): void {
  if (session.inputBacklog() < limits.watcherBufferedBytesMax || webSocket.isPaused) return;
  webSocket.pause();
  const poll = () => {
    if (session.inputBacklog() < limits.watcherBufferedBytesMax / 2) webSocket.resume();
    else server.system.env.clock.setTimer(limits.watcherDrainPollMs, poll);
  };
  server.system.env.clock.setTimer(limits.watcherDrainPollMs, poll);
}

function resize(session: KubeletSession, bytes: Buffer): void {
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

/** kubectl takes the exit code of the command from here. */
function endStatus(exitCode: number | undefined, error: StatusError | undefined): unknown {
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

/** Channels 2n (data) and 2n+1 (errors); each begins with the port, little-endian. */
function forwardPort(
  context: RequestContext,
  webSocket: WebSocket,
  index: number,
  port: number,
  node: string,
  request: FirstLetter,
): void {
  const data = index * 2;
  const errors = data + 1;
  const send = (channel: number, bytes: Uint8Array) => {
    if (webSocket.readyState === WebSocket.OPEN) webSocket.send(framed(channel, bytes));
  };
  const number = Buffer.alloc(2);
  number.writeUInt16LE(port);
  send(data, number);
  send(errors, number);
  const session = new KubeletSession(context.server, node, request, {
    output: (_stream, bytes) => send(data, bytes),
    ended: (_exitCode, error) => {
      if (error) send(errors, Buffer.from(error.message));
      webSocket.close(1000);
    },
    bufferedBytes: () => webSocket.bufferedAmount,
  });
  session.opened.catch((error: unknown) => {
    send(errors, Buffer.from(toStatusError(error).message));
    webSocket.close(1000);
  });
  webSocket.on('message', (message: Buffer) => {
    if (message[0] === data && message.length > 1) {
      session.input(message.subarray(1));
      throttle(context, webSocket, session);
    }
  });
  webSocket.on('close', () => session.cancel());
}

function pourLog(webSocket: WebSocket, stream: ApiStream): void {
  stream.start({
    chunk: (bytes) => webSocket.send(bytes),
    end: () => webSocket.close(1000),
    bufferedBytes: () => webSocket.bufferedAmount,
  });
  webSocket.on('close', () => stream.cancel());
}

function framed(channel: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([channel]), bytes]);
}

function refuse(socket: Duplex, error: StatusError): void {
  const body = jsonBytes(error.toStatus());
  socket.end(
    `HTTP/1.1 ${error.code} ${error.reason}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body.toString()}`,
  );
}
