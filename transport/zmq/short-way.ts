/**
 * The short way between the two nodes of one process, each in a thread of its own: letters go over a message port, which
 * takes a tenth of what a socket with CURVE does. Only they: the nodes meet, beat and part over ZeroMQ like all others, and
 * faults are judged before. When one end closes, the other sends over ZeroMQ again.
 */
import { strict as assert } from 'node:assert';
import { MessageChannel, type MessagePort } from 'node:worker_threads';

/** What a thread is handed; survives postMessage with `port` in the list of what is transferred. */
export interface ShortWayEnd {
  readonly port: MessagePort;
  /** Of both directions: how many batches the receiver has taken, modulo 2^32. */
  readonly taken: Int32Array;
  /** Where in `taken` the count of what this end sends is. */
  readonly direction: 0 | 1;
}

/** As many as ZeroMQ would hold; beyond, batches wait in the sender's own bounded queue. */
const batchesUnderWayMax = 64;

export function shortWay(): readonly [ShortWayEnd, ShortWayEnd] {
  const { port1, port2 } = new MessageChannel();
  const taken = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
  return [
    { port: port1, taken, direction: 0 },
    { port: port2, taken, direction: 1 },
  ];
}

export class ShortWay {
  readonly #end: ShortWayEnd;
  #sent = 0;
  #isOpen = false;

  constructor(end: ShortWayEnd) {
    this.#end = end;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** `take` gets each batch in memory of its own. */
  start(take: (batch: Uint8Array) => void): void {
    assert(!this.#isOpen, 'a short way was started before');
    const { port, taken, direction } = this.#end;
    this.#isOpen = true;
    port.on('message', (batch: Uint8Array) => {
      Atomics.add(taken, 1 - direction, 1);
      take(batch);
    });
    port.on('close', () => (this.#isOpen = false));
  }

  /** False: too much is under way. `batch` is copied. */
  send(letters: readonly Uint8Array[]): boolean {
    const { port, taken, direction } = this.#end;
    if (((this.#sent - Atomics.load(taken, direction)) | 0) >= batchesUnderWayMax) return false;
    let bytes = 0;
    for (const letter of letters) bytes += letter.length;
    const batch = new Uint8Array(bytes);
    let offset = 0;
    for (const letter of letters) {
      batch.set(letter, offset);
      offset += letter.length;
    }
    port.postMessage(batch, [batch.buffer]);
    this.#sent = (this.#sent + 1) | 0;
    return true;
  }

  close(): void {
    this.#isOpen = false;
    this.#end.port.close();
  }
}
