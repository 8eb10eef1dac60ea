/**
 * Stand-in for Kubernetes' test image agnhost: `pause`, `netexec`, `serve-hostname`, `test-webserver`,
 * `liveness`, with the flags that name ports. Any other command ends with an error that says so.
 */
import { createSocket } from 'node:dgram';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { endOnSignal, explain, listen, podIP, say } from './listen.js';

const [command = 'pause', ...rest] = process.argv.slice(2);
const hostname = process.env['HOSTNAME'] ?? 'unknown';
const startedAt = Date.now();

switch (command) {
  case 'pause':
    say('Paused');
    endOnSignal((done) => done());
    setInterval(() => {}, 2 ** 30);
    break;
  case 'netexec':
    serveHttp(port('http-port', 8080), netexec);
    if (port('udp-port', 8081) > 0) serveUdp(port('udp-port', 8081));
    break;
  case 'serve-hostname':
    serveHttp(port('port', 9376), (_request, response) => response.end(hostname));
    break;
  case 'test-webserver':
    serveHttp(port('port', 80), (_request, response) => response.end('test-webserver'));
    break;
  case 'liveness':
    serveHttp(8080, liveness);
    break;
  default:
    process.stderr.write(`the stand-in for agnhost has no command ${JSON.stringify(command)}\n`);
    process.exit(1);
}

function port(flag: string, otherwise: number): number {
  const prefix = `--${flag}`;
  const index = rest.findIndex((value) => value === prefix || value.startsWith(`${prefix}=`));
  if (index === -1) return otherwise;
  return Number(rest[index]?.split('=')[1] ?? rest[index + 1]);
}

function serveHttp(at: number, handle: (request: IncomingMessage, response: ServerResponse) => void): void {
  const server = createServer(handle);
  endOnSignal((done) => {
    server.close(done);
    server.closeIdleConnections();
  });
  listen(server, at);
}

function netexec(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://pod');
  say(`${request.method} ${request.url}`);
  switch (url.pathname) {
    case '/':
      response.end(`NOW: ${new Date().toISOString()}`);
      break;
    case '/hostname':
    case '/hostName':
      response.end(hostname);
      break;
    case '/healthz':
      response.end('ok');
      break;
    case '/clientip':
      response.end(`${request.socket.remoteAddress}:${request.socket.remotePort}`);
      break;
    case '/header':
      response.end(request.headers[(url.searchParams.get('key') ?? '').toLowerCase()] ?? '');
      break;
    case '/echo': {
      const code = Number(url.searchParams.get('code') ?? 200);
      response.statusCode = code >= 200 && code < 600 ? code : 400;
      response.end(url.searchParams.get('msg') ?? '');
      break;
    }
    case '/exit':
      response.end();
      process.exit(Number(url.searchParams.get('code') ?? 0));
      break;
    default:
      response.statusCode = 404;
      response.end('404 page not found\n');
  }
}

/** Healthy for ten seconds, then 500: what Kubernetes' page on probes shows. */
function liveness(_request: IncomingMessage, response: ServerResponse): void {
  const seconds = (Date.now() - startedAt) / 1000;
  if (seconds > 10) response.statusCode = 500;
  response.end(seconds > 10 ? `error: ${seconds}` : 'ok');
}

function serveUdp(at: number): void {
  const socket = createSocket('udp4');
  socket.on('error', (error: NodeJS.ErrnoException) => {
    process.stderr.write(`${explain(error, at)}\n`);
    process.exit(1);
  });
  socket.on('message', (bytes, sender) => {
    const [word, ...words] = bytes.toString('utf8').trim().split(' ');
    const answer =
      word === 'hostname' || word === 'hostName' ? hostname : word === 'echo' ? words.join(' ') : '';
    socket.send(answer, sender.port, sender.address);
  });
  socket.bind(at, podIP);
}
