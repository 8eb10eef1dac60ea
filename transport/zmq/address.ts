/** Addresses that a ZeroMQ link may listen at or dial: TCP, and without CURVE only this machine's loopback. */
import { TransportError } from '../errors.js';

export function checkAddress(address: string, secured: boolean, use: 'bind to' | 'dial' | 'advertise'): void {
  const match = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.*-]+):([0-9]{1,5}|\*)$/.exec(address);
  const [, host = '', port = ''] = match ?? [];
  if (match === null || Number(port) > 65_535) {
    throw new TransportError('bad-address', `${address} is no address like tcp://127.0.0.1:7400`);
  }
  if (!secured && !isLoopback(host)) {
    throw new TransportError(
      'insecure-bind',
      `refusing to ${use} ${address}: without CURVE keys a link stays on loopback`,
    );
  }
}

/** What a link dials for an address that was written for etcd's sake, `http://host:port`. */
export function dialAddress(url: string): string {
  return url.replace(/^https?:/, 'tcp:');
}

function isLoopback(host: string): boolean {
  return /^127(\.[0-9]{1,3}){3}$/.test(host) || host === '[::1]';
}
