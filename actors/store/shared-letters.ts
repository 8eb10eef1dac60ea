/**
 * Requests of a client that leave in one turn for the same member share a letter (`StoreMany`), and their answers another:
 * what a letter costs on its way is paid once for all of them. Only those whose answers are short, and those that nobody has
 * traced to a cause: an answer is told apart by its place, a trace could not be.
 */
import type { Op } from 'raft-consensus';
import type { Clock } from '../../transport/index.js';
import type { StoreLimits } from './limits.js';
import type { SharedRequest, StoreReply } from './messages.js';

export interface SharedLettersOptions {
  readonly limits: StoreLimits;
  readonly clock: Clock;
  /** One letter to the member; rejects with nothing. */
  ask(member: number, request: SharedRequest | ManyRequests, timeoutMs: number): Promise<StoreReply>;
}

export interface ManyRequests {
  readonly type: 'StoreMany';
  readonly requests: readonly SharedRequest[];
}

type Unshared = { readonly type: string };

interface Waiting {
  readonly request: SharedRequest;
  resolve(reply: StoreReply): void;
  reject(error: unknown): void;
}

interface Letter {
  readonly member: number;
  readonly timeoutMs: number;
  readonly waiting: Waiting[];
  bytes: number;
}

export class SharedLetters {
  readonly #options: SharedLettersOptions;
  #open: Letter[] = [];

  constructor(options: SharedLettersOptions) {
    this.#options = options;
  }

  /** Undefined: it may not travel with others. `timeoutMs` is rounded up, so that those who wait as long do. */
  ask(member: number, request: Unshared, timeoutMs: number): Promise<StoreReply> | undefined {
    if (!isOfKind(request)) return undefined;
    const { sharedRequestBytesMax, sharedLetterRequestsMax, sharedLetterBytesMax } = this.#options.limits;
    const bytes = bytesOf(request);
    if (bytes > sharedRequestBytesMax) return undefined;
    return new Promise((resolve, reject) => {
      const letter = this.#letterTo(member, Math.ceil(timeoutMs));
      letter.waiting.push({ request, resolve, reject });
      letter.bytes += bytes;
      if (letter.waiting.length < sharedLetterRequestsMax && letter.bytes < sharedLetterBytesMax) return;
      this.#open = this.#open.filter((one) => one !== letter);
      void this.#send(letter);
    });
  }

  #letterTo(member: number, timeoutMs: number): Letter {
    const known = this.#open.find((letter) => letter.member === member && letter.timeoutMs === timeoutMs);
    if (known) return known;
    // Later than all that this turn of the event loop brings: a connection's streams each have their own microtasks.
    if (this.#open.length === 0) this.#options.clock.defer(() => this.#sendAll());
    const letter = { member, timeoutMs, waiting: [], bytes: 0 };
    this.#open.push(letter);
    return letter;
  }

  #sendAll(): void {
    const letters = this.#open;
    this.#open = [];
    for (const letter of letters) void this.#send(letter);
  }

  async #send({ member, timeoutMs, waiting }: Letter): Promise<void> {
    const requests = waiting.map(({ request }) => request);
    const [only] = requests;
    const isAlone = requests.length === 1 && only !== undefined;
    try {
      const many = isAlone ? only : ({ type: 'StoreMany', requests } as const);
      const reply = await this.#options.ask(member, many, timeoutMs);
      if (isAlone || reply.type !== 'StoreManyAre') for (const { resolve } of waiting) resolve(reply);
      else for (const [i, one] of waiting.entries()) this.#settle(one, reply.replies[i], member, timeoutMs);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }

  #settle({ request, resolve, reject }: Waiting, reply: StoreReply | undefined, member: number, ms: number) {
    const message = 'the store answered fewer requests than were asked';
    if (reply === undefined) resolve({ type: 'StoreFailed', code: 'Timeout', message, definite: false });
    else if (reply.type !== 'StoreAskAlone') resolve(reply);
    else this.#options.ask(member, request, ms).then(resolve, reject);
  }
}

function isOfKind(request: Unshared): request is SharedRequest {
  return request.type === 'StoreTxn' || request.type === 'StoreRange';
}

/** Of keys and values; Infinity when the answer may be long. */
function bytesOf(request: SharedRequest): number {
  if (request.type === 'StoreRange') {
    const { key, rangeEnd = '' } = request.op;
    return rangeEnd === '' ? key.length : Infinity;
  }
  const { compare, success, failure } = request.txn;
  let bytes = 0;
  for (const { key, operand } of compare)
    bytes += key.length + (operand instanceof Uint8Array ? operand.length : 8);
  for (const op of success) bytes += opBytes(op);
  for (const op of failure) bytes += opBytes(op);
  return bytes;
}

function opBytes(op: Op): number {
  switch (op.type) {
    case 'put':
      return op.prevKv === true ? Infinity : op.key.length + op.value.length;
    case 'delete':
      return op.prevKv === true ? Infinity : op.key.length;
    default:
      return Infinity;
  }
}
