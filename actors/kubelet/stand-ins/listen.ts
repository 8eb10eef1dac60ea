/**
 * A program of its own, started by the process runtime: listening on the pod's address, and saying why it
 * cannot.
 */
import type { Server as HttpServer } from 'node:http';
import type { Server } from 'node:net';

export const podIP = process.env['POD_IP'] ?? '127.0.0.1';

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/**
 * Listens on the pod's own address; a port that is refused ends the program with a line that says what to
 * do.
 */
export function listen(server: Server | HttpServer, port: number): void {
  server.on('error', (error: NodeJS.ErrnoException) => {
    process.stderr.write(`${explain(error, port)}\n`);
    process.exit(1);
  });
  server.listen(port, podIP, () => say(`listening on ${podIP}:${port}`));
}

export function explain(error: NodeJS.ErrnoException, port: number): string {
  switch (error.code) {
    case 'EACCES':
      return (
        `port ${port} needs a right that this process does not have: ` +
        'give the container a containerPort >= 1024, or run kabuki as root'
      );
    case 'EADDRINUSE':
      return `port ${port} of ${podIP} is in use by another container of the pod, or a program on 0.0.0.0`;
    case 'EADDRNOTAVAIL':
      return `${podIP} is not an address of this machine: other than on Linux, add it to the loopback device`;
    default:
      return `cannot listen on ${podIP}:${port}: ${error.message}`;
  }
}

/**
 * Ends on SIGTERM and SIGINT: no new connections, idle ones closed, the rest may finish within the grace
 * period.
 */
export function endOnSignal(close: (done: () => void) => void): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
    process.on(signal, () => {
      say(`received ${signal}, ending`);
      close(() => process.exit(0));
    });
  }
}
