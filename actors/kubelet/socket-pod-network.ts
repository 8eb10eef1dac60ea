/** Edge: reaching pods through the sockets of this machine. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createConnection, type Socket } from 'node:net';
import { ChunkQueue } from './chunk-queue.js';
import type { HttpRequest, PodConnection, PodNetwork } from './pod-network.js';

const bodyBytesMax = 10 * 1024;
const connectTimeoutMs = 5000;
const bufferBytesMax = 256 * 1024;

export const socketPodNetwork: PodNetwork = { http, probeTcp, connect };

function http(wish: HttpRequest): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const send = wish.scheme === 'https' ? httpsRequest : httpRequest;
    const url = `${wish.scheme}://${wish.host}:${wish.port}${wish.path}`;
    const request = send({
      host: wish.host,
      port: wish.port,
      path: wish.path,
      method: 'GET',
      agent: false,
      // Probes ask whether something answers, not who it is (as the kubelet does).
      rejectUnauthorized: false,
      signal: AbortSignal.timeout(wish.timeoutMs),
      headers: { 'user-agent': 'kube-probe/1.36', accept: '*/*', connection: 'close', ...headersOf(wish) },
    });
    const failed = (error: Error) => {
      const late = error.name === 'TimeoutError' || error.name === 'AbortError';
      const why = late
        ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        : error.message;
      reject(new Error(`Get "${url}": ${why}`, { cause: error }));
    };
    request.on('error', failed);
    request.on('response', (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on('data', (bytes: Buffer) => {
        if (size < bodyBytesMax) parts.push(bytes.subarray(0, bodyBytesMax - size));
        size += bytes.length;
      });
      response.on('error', failed);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8') }),
      );
    });
    request.end();
  });
}

function headersOf(wish: HttpRequest): Record<string, string> {
  return Object.fromEntries(wish.headers.map(([name, value]) => [name.toLowerCase(), value]));
}

async function probeTcp(host: string, port: number, timeoutMs: number): Promise<void> {
  const socket = await open(host, port, timeoutMs);
  socket.destroy();
}

async function connect(host: string, port: number): Promise<PodConnection> {
  const socket = await open(host, port, connectTimeoutMs);
  const queue = new ChunkQueue<Uint8Array>(
    bufferBytesMax,
    (bytes) => bytes.length,
    (paused) => {
      if (paused) socket.pause();
      else socket.resume();
    },
  );
  socket.on('data', (bytes) => queue.push(bytes));
  // The end of the connection is all that the other side gets to see of an error.
  socket.on('error', () => {});
  socket.on('end', () => queue.end());
  socket.on('close', () => queue.end());
  return {
    output: queue,
    write: (bytes) =>
      new Promise((resolve) => {
        if (socket.destroyed || socket.writableEnded) resolve();
        else socket.write(bytes, () => resolve());
      }),
    endInput: () => void socket.end(),
    close: () => void socket.destroy(),
  };
}

function open(host: string, port: number, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host, port, allowHalfOpen: true });
    const failed = (error: Error) => {
      socket.destroy();
      reject(new Error(`dial tcp ${host}:${port}: ${error.message}`, { cause: error }));
    };
    socket.setTimeout(timeoutMs, () => failed(new Error('i/o timeout')));
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('error', failed);
      resolve(socket);
    });
  });
}
