/**
 * The doorkeeper of a CURVE link: answers ZeroMQ's authentication requests (RFC 27/ZAP) and admits only the public
 * keys of the cluster. A ZeroMQ context has one doorkeeper, so every link with CURVE has a context of its own.
 * Which node a key stands for is settled by the link's handshake, not here.
 */
import type { Context, Router } from 'zeromq';

const endpoint = 'inproc://zeromq.zap.01';

export interface CurveKeys {
  /** Z85, 40 characters, as `zeromq.curveKeyPair()` makes them. */
  readonly publicKey: string;
  readonly secretKey: string;
  /** Public key of every node that may be a peer. Read at each connection, so the owner may change it. */
  readonly serverKeys: ReadonlyMap<string, string>;
}

export class Doorkeeper {
  readonly #socket: Router;
  readonly #keys: CurveKeys;
  readonly #refused: (detail: Readonly<Record<string, string>>) => void;

  private constructor(
    socket: Router,
    keys: CurveKeys,
    refused: (detail: Readonly<Record<string, string>>) => void,
  ) {
    this.#socket = socket;
    this.#keys = keys;
    this.#refused = refused;
  }

  static async start(
    zmq: typeof import('zeromq'),
    context: Context,
    keys: CurveKeys,
    refused: (detail: Readonly<Record<string, string>>) => void,
  ): Promise<Doorkeeper> {
    const socket = new zmq.Router({ context, linger: 0 });
    await socket.bind(endpoint);
    const doorkeeper = new Doorkeeper(socket, keys, refused);
    void doorkeeper.#serve();
    return doorkeeper;
  }

  close(): void {
    this.#socket.close();
  }

  async #serve(): Promise<void> {
    for await (const parts of this.#socket) {
      // routing id, delimiter, version, request id, domain, address, identity, mechanism, credentials
      const [routingId, , version, requestId, , address, , mechanism, key] = parts as (Buffer | undefined)[];
      if (routingId === undefined || requestId === undefined) continue;
      const publicKey = key?.length === 32 ? z85(key) : '';
      const known =
        version?.toString() === '1.0' && mechanism?.toString() === 'CURVE' && this.#isKnown(publicKey);
      if (!known) {
        const why = 'unknown CURVE key';
        this.#refused({ code: 'wrong-identity', publicKey, address: address?.toString() ?? '', why });
      }
      const [code, text] = known ? ['200', 'OK'] : ['400', 'unknown key'];
      await this.#socket.send([routingId, '', '1.0', requestId, code, text, '', '']).catch(() => {
        // The connection that asked is gone, and its answer with it.
      });
    }
  }

  #isKnown(publicKey: string): boolean {
    for (const known of this.#keys.serverKeys.values()) if (known === publicKey) return true;
    return false;
  }
}

const z85Digits = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

/** RFC 32/Z85 of bytes whose number is divisible by four. */
function z85(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 4) {
    let value = bytes[i]! * 0x1000000 + ((bytes[i + 1]! << 16) | (bytes[i + 2]! << 8) | bytes[i + 3]!);
    let group = '';
    for (let digit = 0; digit < 5; digit++) {
      group = z85Digits[value % 85]! + group;
      value = Math.floor(value / 85);
    }
    text += group;
  }
  return text;
}
