/** Objects that must exist at birth. */
import type { ServerContext } from './server-context.js';

export class Bootstrap {
  done = true;
  constructor(
    _server: ServerContext,
    _advertise: { readonly address: string; readonly port: number } | undefined,
  ) {}
  start(): void {}
  stop(): void {}
}
