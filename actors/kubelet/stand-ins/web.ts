/**
 * Stand-in for web server images: serves the volume mounted at the image's document root if there is one,
 * else a page that names pod, node and image. `-text=...` and `-listen=:port` are understood as
 * hashicorp/http-echo does.
 */
import { createReadStream, statSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { endOnSignal, listen, say } from './listen.js';

const image = process.env['KABUKI_IMAGE'] ?? 'unknown';
const pod = process.env['HOSTNAME'] ?? 'unknown';
const node = process.env['KABUKI_NODE'] ?? 'unknown';
const root = process.env['KABUKI_ROOT'] ?? '.';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.txt': 'text/plain; charset=utf-8',
};

const documentRoots = ['/usr/share/nginx/html', '/usr/local/apache2/htdocs', '/usr/share/caddy'];
const text = argument('text');
const port = Number(argument('listen')?.split(':').at(-1) ?? process.env['KABUKI_PORT'] ?? 80);

const page = `<!DOCTYPE html>
<html><head><title>Welcome to ${image}</title></head>
<body>
<h1>Welcome to ${image}</h1>
<p>pod ${pod} on node ${node}. A stand-in of Kabuki serves this page; the image itself does not run.</p>
</body></html>
`;

const server = createServer((request, response) => {
  const path = decode(request.url ?? '/');
  if (text !== undefined) response.end(`${text}\n`);
  else if (path === undefined) send(response, 400, 'bad path\n');
  else if (!serveFile(path, response)) {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(page);
  }
  say(`${request.socket.remoteAddress ?? '-'} "${request.method} ${request.url}" ${response.statusCode}`);
});

endOnSignal((done) => {
  server.close(done);
  server.closeIdleConnections();
});
listen(server, port);

function argument(name: string): string | undefined {
  const found = process.argv.slice(2).find((value) => new RegExp(`^--?${name}=`).test(value));
  return found?.slice(found.indexOf('=') + 1);
}

function decode(url: string): string | undefined {
  try {
    return normalize(decodeURIComponent(new URL(url, 'http://pod').pathname));
  } catch {
    return undefined;
  }
}

/** False if no volume is mounted at a document root. */
function serveFile(path: string, response: ServerResponse): boolean {
  const folder = documentRoots
    .map((place) => join(root, place))
    .find((place) => isThere(place)?.isDirectory());
  if (folder === undefined) return false;
  const asked = join(folder, path);
  const file = isThere(asked)?.isDirectory() ? join(asked, 'index.html') : asked;
  if (!isThere(file)?.isFile()) {
    send(response, 404, '404 Not Found\n');
    return true;
  }
  response.setHeader('content-type', types[extname(file)] ?? 'application/octet-stream');
  createReadStream(file)
    .on('error', (error) => response.destroy(error))
    .pipe(response);
  return true;
}

function isThere(path: string): ReturnType<typeof statSync> | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

function send(response: ServerResponse, status: number, body: string): void {
  response.statusCode = status;
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(body);
}
