/**
 * Just enough of a client to load a store behind etcd's API: the hot requests encoded by hand (rpc.proto: PutRequest.key = 1,
 * value = 2; RangeRequest.key = 1), on one of two ways of calling. Made for measuring.
 */
import type { Calls, ClientKind } from './calls.js';
import { LightCalls } from './light-calls.js';
import { NodeCalls } from './node-calls.js';

export class EtcdClient implements Calls {
  readonly #calls: Calls;

  constructor(endpoint: string, kind: ClientKind = 'node') {
    this.#calls = kind === 'light' ? new LightCalls(endpoint) : new NodeCalls(endpoint);
  }

  async put(key: Uint8Array, value: Uint8Array, timeoutMs?: number): Promise<void> {
    await this.call('/etcdserverpb.KV/Put', Buffer.concat([field(1, key), field(2, value)]), timeoutMs);
  }

  /** A linearizable read of one key; the answer is not looked at. */
  async get(key: Uint8Array): Promise<void> {
    await this.call('/etcdserverpb.KV/Range', field(1, key));
  }

  call(path: string, body: Uint8Array, timeoutMs?: number): Promise<Buffer> {
    return this.#calls.call(path, body, timeoutMs);
  }

  close(): void {
    this.#calls.close();
  }
}

function field(number: number, bytes: Uint8Array): Buffer {
  const head: number[] = [(number << 3) | 2];
  for (let length = bytes.length; ; length >>>= 7) {
    if (length < 0x80) {
      head.push(length);
      break;
    }
    head.push((length & 0x7f) | 0x80);
  }
  return Buffer.concat([Buffer.from(head), bytes]);
}
