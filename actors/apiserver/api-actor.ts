/**
 * The ZeroMQ door: ApiRequests as letters. Who asks is what the link vouches for; streams flow under the credit that
 * the client grants, so that a slow client costs bounded memory and is ended in the end (ARCHITECTURE rules 6, 14).
 */
import { isRecord } from 'raft-consensus';
import type { NodeId, Timer } from '../../transport/index.js';
import {
  type Actor,
  type ActorContext,
  type ActorRef,
  type ActorSystem,
  type ChildSpec,
  misshapen,
  RecentlySeen,
  refShape,
} from '../runtime/index.js';
import { statusResponse } from './core.js';
import { limits } from './limits.js';
import { type ApiReply, type ApiServerMessage, apiServerMessages } from './messages.js';
import type { ApiHandler, ApiResponse, ApiStream, Identity, StreamSink } from './request.js';
import { badRequest, tooManyRequests, unauthorized } from './status.js';

export interface ApiActorOptions {
  readonly handler: ApiHandler;
  /**
   * Who speaks: the link vouches for the node, the node for its component, which names itself in `user-agent`.
   * Undefined: nobody known, 401.
   */
  readonly identify: (node: NodeId, userAgent: string) => Identity | undefined;
  /** Last segment of the path; default `apiserver`. */
  readonly id?: string;
}

type RequestLetter = Extract<ApiServerMessage, { type: 'ApiRequest' }>;

interface DoorState {
  /** By client node and request id. */
  readonly streams: Map<string, CreditStream>;
  /** Requests that came in, by client node and request id. */
  readonly seen: RecentlySeen;
  open: boolean;
}

export function apiserverActor(options: ApiActorOptions): ChildSpec<ApiServerMessage> {
  return {
    id: options.id ?? 'apiserver',
    start: () => apiDoor(options) as Actor<unknown, ApiServerMessage>,
  };
}

function apiDoor({ handler, identify }: ApiActorOptions): Actor<DoorState, ApiServerMessage> {
  return {
    initial: () => ({ streams: new Map(), seen: new RecentlySeen(limits.requestsRememberedMax), open: true }),
    receive(state, message, ctx) {
      const why = misshapen(message, apiServerMessages);
      if (why !== undefined) {
        refuse(message, why, ctx);
        return state;
      }
      const sender = ctx.system.sender();
      switch (message.type) {
        case 'ApiRequest': {
          const node = sender?.node ?? ctx.self.node;
          // A letter that the network doubles is one request: two would make two objects of one generateName.
          if (state.seen.again(`${node}/${message.requestId}`)) break;
          const identity = identify(node, message.request.headers['user-agent'] ?? '');
          void answer(state, message, node, identity, handler, ctx);
          break;
        }
        case 'ApiCredit':
          state.streams.get(`${sender?.node}/${message.requestId}`)?.grant(message.chunks);
          break;
        case 'ApiCancel':
          state.streams.get(`${sender?.node}/${message.requestId}`)?.cancel();
          break;
        default:
          message satisfies never;
      }
      return state;
    },
    stopped(state) {
      if (!state) return;
      state.open = false;
      for (const stream of state.streams.values()) stream.finish();
    },
  };
}

/** Whoever asked is told; the body is anything. */
function refuse(body: unknown, why: string, ctx: ActorContext<ApiServerMessage>): void {
  const { replyTo, requestId } = isRecord(body) ? body : {};
  if (refShape(replyTo) === undefined && typeof requestId === 'string') {
    const { status, headers, body: said } = statusResponse(badRequest(why));
    ctx.tell<ApiReply>(replyTo as ActorRef<ApiReply>, {
      type: 'ApiResponseHead',
      requestId,
      status,
      headers,
      ...(said instanceof Uint8Array && { body: said }),
      streaming: false,
    });
  }
  ctx.refuse(why);
}

async function answer(
  state: DoorState,
  letter: RequestLetter,
  node: string,
  identity: Identity | undefined,
  handler: ApiHandler,
  ctx: ActorContext<ApiServerMessage>,
): Promise<void> {
  const { request, replyTo, requestId } = letter;
  const { system } = ctx;
  const response = identity ? await handler.handle(request, identity) : statusResponse(unauthorized());
  system.note(ctx.self.path, `${request.method} ${request.path} ${response.status}`, {
    user: identity?.username ?? '',
  });
  const head = (answered: ApiResponse) =>
    system.tell<ApiReply>(replyTo, {
      type: 'ApiResponseHead',
      requestId,
      status: answered.status,
      headers: answered.headers,
      ...(answered.body instanceof Uint8Array
        ? { body: answered.body, streaming: false }
        : { streaming: true }),
    });
  if (response.body instanceof Uint8Array) {
    head(response);
    return;
  }
  const stream = response.body;
  const key = `${node}/${requestId}`;
  const ofNode = [...state.streams.keys()].filter((other) => other.startsWith(`${node}/`)).length;
  if (!state.open || ofNode >= limits.streamsPerNodeMax || state.streams.has(key)) {
    stream.cancel();
    head(statusResponse(tooManyRequests(`no further stream for ${node}`)));
    return;
  }
  head(response);
  const credited = new CreditStream(system, stream, replyTo, requestId, letter.credit, () =>
    state.streams.delete(key),
  );
  state.streams.set(key, credited);
  credited.start();
}

/** Chunks of one stream on their way to one client, as far as its credit goes. */
class CreditStream implements StreamSink {
  readonly #system: ActorSystem;
  readonly #stream: ApiStream;
  readonly #replyTo: ActorRef<ApiReply>;
  readonly #requestId: string;
  readonly #gone: () => void;
  readonly #forgetNode: () => void;
  readonly #creditChunks: number;
  /** Chunks that the client said it took; `#seq` is how many were sent. */
  #taken = 0;
  #seq = 0;
  #sentAtMs = 0;
  #sign: Timer | undefined;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #ended = false;
  #done = false;
  #stall: Timer | undefined;

  constructor(
    system: ActorSystem,
    stream: ApiStream,
    replyTo: ActorRef<ApiReply>,
    requestId: string,
    credit: number,
    gone: () => void,
  ) {
    this.#system = system;
    this.#stream = stream;
    this.#replyTo = replyTo;
    this.#requestId = requestId;
    this.#creditChunks = credit;
    this.#gone = gone;
    this.#forgetNode = system.onNodeDown(replyTo.node, () => this.cancel());
  }

  start(): void {
    const { clock } = this.#system.env;
    this.#sentAtMs = clock.monotonicMs();
    this.#sign = clock.setTimer(limits.streamTailCheckMs, () => this.#signOfLife());
    this.#stream.start(this);
  }

  grant(taken: number): void {
    this.#taken = Math.max(this.#taken, taken);
    this.#flush();
  }

  chunk(bytes: Uint8Array): void {
    if (this.#done) return;
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    if (this.#queue.length > limits.streamQueueChunksMax || this.#queuedBytes > limits.streamQueueBytesMax) {
      this.#system.note('apiserver', 'stream ended: the client is too slow', { client: this.#replyTo.node });
      this.finish();
      return;
    }
    this.#flush();
  }

  end(): void {
    this.#ended = true;
    this.#flush();
  }

  bufferedBytes(): number {
    return this.#queuedBytes;
  }

  /** The client is gone, or wants no more. */
  cancel(): void {
    if (this.#done) return;
    this.#close();
    this.#stream.cancel();
  }

  /** Ends it from this side. */
  finish(): void {
    if (this.#done) return;
    this.#close();
    this.#stream.cancel();
    this.#sendEnd();
  }

  #flush(): void {
    if (this.#done) return;
    while (this.#hasCredit() && this.#queue.length > 0) {
      this.#send(this.#take());
      this.#checkTailLater();
    }
    this.#stall?.cancel();
    this.#stall = undefined;
    if (this.#queue.length > 0) {
      this.#stall = this.#system.env.clock.setTimer(limits.streamStallMs, () => this.finish());
    } else if (this.#ended) {
      this.#close();
      this.#sendEnd();
    }
  }

  #hasCredit(): boolean {
    return this.#seq - this.#taken < this.#creditChunks;
  }

  #send(bytes: Uint8Array): void {
    this.#system.tell<ApiReply>(this.#replyTo, {
      type: 'ApiChunk',
      requestId: this.#requestId,
      seq: this.#seq++,
      bytes,
    });
    this.#sentAtMs = this.#system.env.clock.monotonicMs();
  }

  #checkTailLater(): void {
    this.#sign ??= this.#system.env.clock.setTimer(limits.streamTailCheckMs, () => this.#signOfLife());
  }

  /**
   * An empty chunk behind the last one, soon after it and then from time to time: its number shows the client that a
   * chunk got lost, or else that the stream stands.
   */
  #signOfLife(): void {
    this.#sign = undefined;
    if (this.#done) return;
    const { clock } = this.#system.env;
    const quietMs = clock.monotonicMs() - this.#sentAtMs;
    if (quietMs >= limits.streamTailCheckMs && this.#hasCredit()) {
      // Nothing lies between an apiserver and a client of its own node that could fail unnoticed.
      if (this.#replyTo.node !== this.#system.node) {
        this.#sign = clock.setTimer(limits.streamSignMs, () => this.#signOfLife());
      }
      // Under nobody's trace: no write caused it.
      this.#system.withCause(undefined, () => this.#send(new Uint8Array(0)));
    } else {
      const waitMs = Math.max(1, limits.streamTailCheckMs - quietMs);
      this.#sign = clock.setTimer(waitMs, () => this.#signOfLife());
    }
  }

  /** What has piled up without credit travels together. */
  #take(): Uint8Array {
    let count = 0;
    let bytes = 0;
    while (count < this.#queue.length && (count === 0 || bytes < limits.streamChunkBytes)) {
      bytes += this.#queue[count]!.length;
      count += 1;
    }
    const taken = this.#queue.splice(0, count);
    this.#queuedBytes -= bytes;
    return taken.length === 1 ? taken[0]! : Buffer.concat(taken);
  }

  #sendEnd(): void {
    this.#system.tell<ApiReply>(this.#replyTo, {
      type: 'ApiStreamEnd',
      requestId: this.#requestId,
      seq: this.#seq,
    });
  }

  #close(): void {
    this.#done = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#stall?.cancel();
    this.#sign?.cancel();
    this.#forgetNode();
    this.#gone();
  }
}
