/**
 * An edge: `pods/proxy` and `services/proxy`, the request and its answer passed on as they come, over a port-forward
 * session with the pod's kubelet; so a pod is reached wherever its node is. What a pod upgrades to (WebSocket) is
 * passed on too. Departs from kube-apiserver in that links inside HTML are left as they are.
 * `nodes/proxy` answers what the kubelet can be asked: healthz.
 */
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import type { ApiServer } from './core.js';
import { connectThroughKubelet } from './kubelet-duplex.js';
import { KubeletSession } from './kubelet-session.js';
import { proxyTarget, type ProxyTarget, splitName } from './proxy-target.js';
import { requestInfo } from './request-info.js';
import type { ApiRequest, Identity } from './request.js';
import type { RequestContext } from './server-context.js';
import { badRequest, notFound, notImplemented, StatusError, unavailable } from './status.js';
import { objectKey, resourcePrefix } from './storage.js';

type Incoming = IncomingMessage | Http2ServerRequest;
type Outgoing = ServerResponse | Http2ServerResponse;

export interface ProxyOptions {
  readonly server: ApiServer;
  readonly identity: Identity;
  /** Without its body. */
  readonly request: ApiRequest;
  readonly incoming: Incoming;
  remark(what: string, error: Error): void;
}

const proxied = new Set(['pods', 'services', 'nodes']);

export function isProxied(path: string): boolean {
  if (!path.includes('/proxy')) return false;
  const info = requestInfo({ method: 'GET', path, query: '' });
  return (
    info.type === 'resource' &&
    info.subresource === 'proxy' &&
    info.group === '' &&
    proxied.has(info.resource)
  );
}

/** `headers`: what every response of this server has. Resolves with the status when the answer has begun. */
export async function proxyRequest(
  options: ProxyOptions,
  outgoing: Outgoing,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  const { incoming } = options;
  const context = await authorized(options);
  const path = proxiedPath(context, incoming.url ?? '');
  if (path === '' && (incoming.method === 'GET' || incoming.method === 'HEAD')) {
    return answer(outgoing, 301, { ...headers, location: withSlash(incoming.url ?? '') }, '');
  }
  if (context.info.resource === 'nodes') {
    return answer(outgoing, 200, { ...headers, 'content-type': 'text/plain' }, await askNode(context, path));
  }
  const target = await proxyTarget(context);
  const request = await send(context, target, options, path || '/');
  // Whoever asked is gone: so is the reason to go on.
  outgoing.on('close', () => request.destroy());
  incoming.on('error', (error: Error) => request.destroy(error));
  // A body that takes its time must not keep the pod from answering.
  if (hasUnsizedBody(incoming) || incoming.headers['content-length'] !== undefined) request.flushHeaders();
  incoming.pipe(request);
  const response = await responseOf(request);
  outgoing.writeHead(response.statusCode ?? 502, {
    ...headers,
    ...responseHeaders(response, prefixOf(incoming.url ?? '', path), target, path),
  });
  if ('flushHeaders' in outgoing) outgoing.flushHeaders();
  response.on('error', (error: Error) => {
    options.remark('proxied response broken off', error);
    outgoing.destroy();
  });
  response.pipe(outgoing as ServerResponse);
  return response.statusCode ?? 502;
}

/** Throws what can be refused before anything was answered. */
export async function proxyUpgrade(options: ProxyOptions, socket: Duplex, head: Buffer): Promise<void> {
  const { incoming } = options;
  const context = await authorized(options);
  const path = proxiedPath(context, incoming.url ?? '');
  if (context.info.resource === 'nodes') throw badRequest('nodes/proxy does not upgrade');
  const target = await proxyTarget(context);
  const request = await send(context, target, options, path || '/');
  const upgraded = new Promise<void>((resolve, reject) => {
    request.once('error', (error) => reject(unreachable(error)));
    request.once('upgrade', (response, peer, first: Buffer) => {
      socket.write(headText(response));
      if (first.length > 0) socket.write(first);
      if (head.length > 0) peer.write(head);
      peer.on('error', (error) => options.remark('proxied connection failed', error));
      peer.on('close', () => socket.destroy());
      socket.on('close', () => peer.destroy());
      socket.pipe(peer).pipe(socket);
      resolve();
    });
    request.once('response', (response: IncomingMessage) => {
      socket.write(headText(response));
      response.pipe(socket);
      resolve();
    });
  });
  socket.on('close', () => request.destroy());
  request.end();
  await upgraded;
}

/** The query is the pod's: none of it is ours to read. */
function authorized({ server, request, identity }: ProxyOptions): Promise<RequestContext> {
  return server.authorizeRequest(
    { method: request.method, path: request.path, query: '', headers: {} },
    identity,
  );
}

/** What follows `proxy`, undecoded, with the query; '' when nothing does, not even a slash. */
function proxiedPath({ info }: Pick<RequestContext, 'info'>, url: string): string {
  const before = info.resource === 'nodes' ? 5 : 7;
  const [, rest = ''] = new RegExp(`^(?:/+[^/?]+){${before}}(.*)$`, 's').exec(url) ?? [];
  return rest.startsWith('?') ? '' : rest;
}

function prefixOf(url: string, path: string): string {
  const [whole = ''] = url.split('?');
  const [own = ''] = path.split('?');
  return whole.slice(0, whole.length - own.length);
}

function withSlash(url: string): string {
  const [path, ...query] = url.split('?');
  return [`${path}/`, ...query].join('?');
}

async function send(
  context: RequestContext,
  target: ProxyTarget,
  { incoming, request: { path: ownPath }, remark }: ProxyOptions,
  path: string,
): Promise<ClientRequest> {
  let connection: Duplex;
  try {
    connection = await connectThroughKubelet(context.server, target.node, target.requestFor(target.port));
  } catch (error) {
    if (error instanceof StatusError && error.code === 429) throw error;
    throw unreachable(error as Error);
  }
  const host = `${target.address}:${target.port}`;
  const request = httpRequest({
    method: incoming.method,
    path,
    headers: requestHeaders(incoming, host, ownPath),
    createConnection: () =>
      // As kube-apiserver: pods have certificates that nobody here can know.
      target.scheme === 'https' ? tlsConnect({ socket: connection, rejectUnauthorized: false }) : connection,
  });
  request.on('error', (error) => remark('proxied request failed', error));
  return request;
}

function responseOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', (error) => reject(unreachable(error)));
  });
}

function unreachable(cause: Error): StatusError {
  return unavailable(`error trying to reach service: ${cause.message}`, { cause });
}

/** RFC 9110 §7.6.1, and what is between the client and us. */
const ownHeaders =
  /^(?::.*|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|authorization|impersonate-.*|host)$/;

function requestHeaders(incoming: Incoming, host: string, ownPath: string): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (!ownHeaders.test(name)) headers[name] = value;
  }
  const { upgrade } = incoming.headers;
  const before = incoming.headers['x-forwarded-for'];
  const peer = incoming.socket.remoteAddress ?? '';
  return {
    ...headers,
    host,
    'x-forwarded-for': before === undefined ? peer : `${String(before)}, ${peer}`,
    'x-forwarded-host': incoming.headers.host ?? String(incoming.headers[':authority'] ?? ''),
    'x-forwarded-proto': 'https',
    'x-forwarded-uri': encodeURI(ownPath),
    ...(upgrade ? { connection: 'Upgrade', upgrade } : { connection: 'close' }),
    ...(hasUnsizedBody(incoming) && { 'transfer-encoding': 'chunked' }),
  };
}

function hasUnsizedBody(incoming: Incoming): boolean {
  if (incoming.headers['content-length'] !== undefined) return false;
  if ('stream' in incoming) return !incoming.stream.readableEnded && !incoming.stream.endAfterHeaders;
  return incoming.headers['transfer-encoding'] !== undefined;
}

function responseHeaders(
  { headers }: IncomingMessage,
  prefix: string,
  { scheme, address, port }: ProxyTarget,
  path: string,
): OutgoingHttpHeaders {
  const kept = Object.entries(headers).filter(([name]) => !ownHeaders.test(name));
  const own: OutgoingHttpHeaders = Object.fromEntries(kept);
  if (headers.location !== undefined) {
    own['location'] = locationHere(headers.location, `${scheme}://${address}:${port}`, prefix, path);
  }
  return own;
}

/** A pod's redirect to itself leads back through the proxy. */
function locationHere(location: string, origin: string, prefix: string, path: string): string {
  const base = new URL(path.startsWith('/') ? path : `/${path}`, origin);
  if (!URL.canParse(location, base.href)) return location;
  const url = new URL(location, base);
  return url.host === base.host ? `${prefix}${url.pathname}${url.search}${url.hash}` : location;
}

function headText({ statusCode, statusMessage, rawHeaders }: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`];
  for (let at = 0; at < rawHeaders.length; at += 2) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function answer(
  outgoing: Outgoing,
  status: number,
  headers: Readonly<Record<string, string>>,
  text: string,
): number {
  outgoing.writeHead(status, headers);
  outgoing.end(text);
  return status;
}

const healthPaths = new Set(['/healthz', '/healthz/ping', '/healthz/syncloop']);

/** A kubelet that answers that it has no such pod is well. */
async function askNode({ server, info, resource }: RequestContext, path: string): Promise<string> {
  const { name, port } = splitName(info.name, info.resource);
  const key = objectKey(resource.storage, '', name);
  if (!server.cache.resource(resourcePrefix(resource.storage)).get(key)) throw notFound(resource, name);
  const [asked = ''] = path.split('?');
  const kubeletPort = port === '' || port === '10250';
  if (info.verb !== 'get' || !kubeletPort || !healthPaths.has(asked)) {
    throw notImplemented(
      `${info.method} ${asked || '/'} of node ${info.name} (the kubelet answers GET /healthz)`,
    );
  }
  const nobody = { namespace: '', pod: '' };
  const session = new KubeletSession(
    server,
    name,
    { type: 'KubeletLogs', target: nobody, options: {} },
    { output: () => {}, ended: () => {}, bufferedBytes: () => 0 },
  );
  try {
    await session.opened;
    session.cancel();
  } catch (error) {
    if (!(error instanceof StatusError) || error.code !== 404) throw unreachable(error as Error);
  }
  return 'ok';
}
