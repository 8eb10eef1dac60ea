/** An apiserver actor that answers as the test says: statuses, streams, silence or a crash. */
import type { ApiReply, ApiServerMessage } from '../../../actors/apiserver/messages.js';
import type { ApiRequest } from '../../../actors/apiserver/request.js';
import { type ActorRef, type ActorSystem } from '../../../actors/runtime/index.js';

export type Answer =
  | { readonly status: number; readonly body?: unknown; readonly headers?: Record<string, string> }
  | 'stream'
  | 'silence'
  | 'crash';

export interface OpenStream {
  readonly request: ApiRequest;
  readonly requestId: string;
  /** Chunks that may be on their way, and those that the client said it took. */
  credit: number;
  taken: number;
  cancelled: boolean;
  seq: number;
  send(text: string): void;
  /** As if a letter had been lost on the way. */
  skip(): void;
  end(): void;
}

export class ScriptedApiServer {
  readonly requests: ApiRequest[] = [];
  readonly streams: OpenStream[] = [];
  answer: (request: ApiRequest) => Answer = () => ({ status: 200, body: {} });
  readonly ref: ActorRef<ApiServerMessage>;
  readonly #system: ActorSystem;

  constructor(system: ActorSystem) {
    this.#system = system;
    this.ref = system.spawn<ApiServerMessage>({
      id: 'apiserver',
      start: () => ({
        initial: () => undefined,
        receive: (_state, message) => {
          this.#receive(message);
          return undefined;
        },
      }),
    });
  }

  #receive(message: ApiServerMessage): void {
    switch (message.type) {
      case 'ApiRequest':
        return this.#handle(message);
      case 'ApiCredit': {
        const stream = this.streams.find(({ requestId }) => requestId === message.requestId);
        if (stream) stream.taken = message.chunks;
        return;
      }
      case 'ApiCancel': {
        const stream = this.streams.find(({ requestId }) => requestId === message.requestId);
        if (stream) stream.cancelled = true;
        return;
      }
      default:
        message satisfies never;
    }
  }

  #handle(message: Extract<ApiServerMessage, { type: 'ApiRequest' }>): void {
    const { request, replyTo, requestId } = message;
    this.requests.push(request);
    const answer = this.answer(request);
    if (answer === 'silence') return;
    if (answer === 'crash') throw new Error('crash on purpose');
    const tell = (reply: ApiReply) => this.#system.tell(replyTo, reply);
    if (answer === 'stream') {
      const stream: OpenStream = {
        request,
        requestId,
        credit: message.credit,
        taken: 0,
        cancelled: false,
        seq: 0,
        send: (text) => {
          tell({ type: 'ApiChunk', requestId, seq: stream.seq, bytes: new TextEncoder().encode(text) });
          stream.seq += 1;
        },
        skip: () => {
          stream.seq += 1;
        },
        end: () => tell({ type: 'ApiStreamEnd', requestId, seq: stream.seq }),
      };
      this.streams.push(stream);
      tell({ type: 'ApiResponseHead', requestId, status: 200, headers: {}, streaming: true });
      return;
    }
    const body =
      answer.body === undefined ? {} : { body: new TextEncoder().encode(JSON.stringify(answer.body)) };
    const { status, headers = {} } = answer;
    tell({ type: 'ApiResponseHead', requestId, status, headers, streaming: false, ...body });
  }
}

export function statusBody(code: number, reason: string, message = reason): unknown {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
}
