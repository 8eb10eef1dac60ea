/**
 * Connections that leave HTTP, an edge: exec, attach and port-forward over WebSocket (`v5.channel.k8s.io` and its
 * siblings), port-forward's SPDY frames inside WebSocket messages (KEP-4006), logs over WebSocket, the same
 * sessions over SPDY itself (`spdy-door.ts`), and whatever a proxied pod upgrades to.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { type ApiServer, toStatusError } from './core.js';
import { isProxied, proxyUpgrade } from './http-proxy.js';
import { limits } from './limits.js';
import { jsonBytes } from './object-bytes.js';
import { PortForwardTunnel } from './port-forward-tunnel.js';
import type { ApiStream, Identity } from './request.js';
import type { RequestContext } from './server-context.js';
import { type ChannelProtocol, channelProtocols, forwardPort, runSession } from './session-channels.js';
import { openSpdy } from './spdy-door.js';
import { badRequest, StatusError } from './status.js';
import { forwardTarget, sessionOf } from './subresources/session.js';

export interface UpgradeOptions {
  readonly server: ApiServer;
  identify(
    incoming: IncomingMessage,
  ): Promise<{ readonly identity: Identity; readonly request: UpgradeRequest }>;
  remark(what: string, error: Error): void;
}

export type UpgradeRequest = Parameters<ApiServer['authorizeRequest']>[0];

type Open = (webSocket: WebSocket, protocol: string) => void;

const tunnelProtocol = 'SPDY/3.1+portforward.k8s.io';

/** '' is what a client gets that names none. */
const protocols: Readonly<Record<string, readonly string[]>> = {
  exec: channelProtocols,
  attach: channelProtocols,
  portforward: [tunnelProtocol, 'v4.channel.k8s.io', 'v4.base64.channel.k8s.io'],
  log: ['binary.k8s.io', 'base64.binary.k8s.io', ''],
};

export async function upgrade(
  options: UpgradeOptions,
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  try {
    const { identity, request } = await options.identify(incoming);
    if (isProxied(request.path)) {
      await proxyUpgrade(
        { server: options.server, identity, request, incoming, remark: options.remark },
        socket,
        head,
      );
      return;
    }
    const context = await authorized(options.server, request, identity);
    const { subresource } = context.info;
    if (!protocols[subresource]) throw badRequest(`${context.info.path} does not upgrade`);
    if ((incoming.headers['upgrade'] ?? '').toLowerCase() === 'spdy/3.1') {
      await openSpdy({ context, incoming, socket, head, remark: options.remark });
      return;
    }
    const asked = offered(incoming);
    // What is wrong with the request is said first: kubectl tries SPDY after any refusal and shows the last one.
    const open = await opening(options, context, request, identity, asked);
    const protocol = chooseProtocol(incoming, subresource, asked);
    acceptWebSocket(options, incoming, socket, head, protocol, open);
  } catch (error) {
    refuse(socket, toStatusError(error));
  }
}

/** Who may only get a pod may not enter it by a GET: `create` is asked for as well (Kubernetes 1.35). */
async function authorized(
  server: ApiServer,
  request: UpgradeRequest,
  identity: Identity,
): Promise<RequestContext> {
  const context = await server.authorizeRequest(request, identity);
  if (context.info.subresource === 'log' || context.info.verb === 'create') return context;
  await server.authorizeRequest({ ...request, method: 'POST' }, identity);
  return context;
}

function offered({ headers }: IncomingMessage): string[] {
  const text = headers['sec-websocket-protocol'];
  return text === undefined ? [''] : text.split(',').map((each) => each.trim());
}

function chooseProtocol(incoming: IncomingMessage, subresource: string, asked: readonly string[]): string {
  const upgradeTo = incoming.headers['upgrade'] ?? '';
  if (upgradeTo.toLowerCase() !== 'websocket') {
    throw badRequest(`unable to upgrade to ${upgradeTo}: use websocket or SPDY/3.1`);
  }
  const spoken = protocols[subresource] ?? [];
  const protocol = asked.find((each) => spoken.includes(each));
  if (protocol !== undefined) return protocol;
  throw badRequest(
    `unable to upgrade: none of the protocols ${asked.join(', ')} is one of ${spoken.join(', ')}`,
  );
}

function acceptWebSocket(
  options: UpgradeOptions,
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocol: string,
  open: Open,
): void {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: limits.requestBodyBytesMax,
    perMessageDeflate: false,
  });
  // The names have slashes, which RFC 6455 does not allow and ws refuses: it gets to see none of them.
  delete incoming.headers['sec-websocket-protocol'];
  server.on('headers', (headers) => {
    if (protocol !== '') headers.push(`Sec-WebSocket-Protocol: ${protocol}`);
  });
  server.handleUpgrade(incoming, socket, head, (webSocket) => {
    webSocket.on('error', (error) => options.remark('websocket failed', error));
    open(webSocket, protocol);
  });
}

/** Everything that can be refused is, before the connection changes its language. */
async function opening(
  options: UpgradeOptions,
  context: RequestContext,
  request: UpgradeRequest,
  identity: Identity,
  asked: readonly string[],
): Promise<Open> {
  switch (context.info.subresource) {
    case 'log': {
      const { body, status } = await options.server.handle(request, identity);
      if (body instanceof Uint8Array && status !== 200) throw statusIn(body);
      return (webSocket, protocol) => pourLog(webSocket, protocol, body);
    }
    case 'portforward':
      return asked.includes(tunnelProtocol) ? await tunnel(options, context) : await forwardPorts(context);
    default: {
      const { node, request: first } = await sessionOf(context);
      const { server } = context;
      return (webSocket, protocol) =>
        runSession({ server, node, request: first }, webSocket, protocol as ChannelProtocol);
    }
  }
}

async function tunnel(options: UpgradeOptions, context: RequestContext): Promise<Open> {
  const target = await forwardTarget(context);
  return (webSocket) => {
    const { connection } = new PortForwardTunnel({
      server: context.server,
      ...target,
      carrier: {
        send: (bytes) => {
          if (webSocket.readyState === WebSocket.OPEN) webSocket.send(bytes);
        },
        end: () => webSocket.close(1000),
        pause: () => webSocket.pause(),
        resume: () => webSocket.resume(),
        bufferedBytes: () => webSocket.bufferedAmount,
      },
      remark: options.remark,
    });
    webSocket.on('message', (message: Buffer) => connection.receive(message));
    webSocket.on('close', () => connection.lost());
  };
}

async function forwardPorts(context: RequestContext): Promise<Open> {
  const ports = context.info.query.getAll('ports').flatMap((text) => text.split(',').map(Number));
  const valid =
    ports.length > 0 && ports.every((port) => Number.isInteger(port) && port > 0 && port < 65_536);
  if (!valid) throw badRequest('query parameter "ports" must name ports between 1 and 65535');
  const { node, requestFor } = await forwardTarget(context);
  return (webSocket, protocol) => {
    for (const [index, port] of ports.entries()) {
      const one = { server: context.server, node, request: requestFor(port) };
      forwardPort(one, webSocket, protocol as ChannelProtocol, { index, port });
    }
  };
}

function statusIn(body: Uint8Array): StatusError {
  const { code, reason, message } = JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>;
  return new StatusError(Number(code), String(reason), String(message));
}

function pourLog(webSocket: WebSocket, protocol: string, body: Uint8Array | ApiStream): void {
  const send = (bytes: Uint8Array) => {
    if (webSocket.readyState !== WebSocket.OPEN) return;
    webSocket.send(protocol === 'base64.binary.k8s.io' ? Buffer.from(bytes).toString('base64') : bytes);
  };
  const end = () => webSocket.close(1000);
  if (body instanceof Uint8Array) {
    send(body);
    end();
    return;
  }
  webSocket.on('close', () => body.cancel());
  body.start({ chunk: send, end, bufferedBytes: () => webSocket.bufferedAmount });
}

function refuse(socket: Duplex, error: StatusError): void {
  const body = jsonBytes(error.toStatus());
  socket.end(
    `HTTP/1.1 ${error.code} ${error.reason}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body.toString()}`,
  );
}
