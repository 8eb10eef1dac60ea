/**
 * The ApiClient of our own components: verbs become ApiRequest messages to apiserver actors (ARCHITECTURE rule 14).
 * An apiserver that is gone or answers 503 before it handled anything is passed over; a read goes on to the
 * next one also when its answer is lost; a write never does, because it may have happened (ARCHITECTURE rule 7).
 */
import type { KubeObject } from '../objects/meta.js';
import type { Status } from '../objects/types/meta.js';
import type { ApiReply, ApiServerMessage } from '../apiserver/messages.js';
import { type ApiRequest, fencingHeader } from '../apiserver/request.js';
import type { ActorSystem } from '../runtime/index.js';
import { addressOf } from '../runtime/index.js';
import {
  type ApiClient,
  ApiError,
  type DeleteOptions,
  type GetOptions,
  type KubeList,
  type ListOptions,
  type PatchType,
  type Resource,
  type WatchHandler,
  type WriteOptions,
} from './api-client.js';
import { ApiServerChoice, type ApiServerRef } from './apiserver-choice.js';
import { ApiServerSentinel } from './apiserver-sentinel.js';
import { certainlyNotHandled } from './ask-outcome.js';
import { type ClientLimits, clientLimits } from './limits.js';
import {
  acceptOf,
  deleteBody,
  encodeBody,
  listQuery,
  patchContentType,
  pathOf,
  queryOf,
  typed,
  withType,
  writeQuery,
} from './request-encoding.js';
import { decodeBody, errorOf } from './response-status.js';
import { openWatch } from './watch-stream.js';

export interface ApiClientOptions {
  readonly system: ActorSystem;
  /** The apiserver of the own machine first. */
  readonly apiservers: readonly ApiServerRef[];
  readonly userAgent: string;
  readonly limits?: Partial<ClientLimits>;
}

export function createApiClient(options: ApiClientOptions): ApiClient {
  return new ActorApiClient(options);
}

type Head = Extract<ApiReply, { type: 'ApiResponseHead' }>;
type Access = 'read' | 'write';

interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  readonly fencing?: string | undefined;
}

class ActorApiClient implements ApiClient {
  readonly #system: ActorSystem;
  readonly #userAgent: string;
  readonly #limits: ClientLimits;
  readonly #choice: ApiServerChoice;
  readonly #sentinel: ApiServerSentinel;

  constructor(options: ApiClientOptions) {
    const { system } = options;
    this.#system = system;
    this.#userAgent = options.userAgent;
    this.#limits = { ...clientLimits, ...options.limits };
    this.#choice = new ApiServerChoice(options.apiservers, system.env.clock, this.#limits.apiserverPenaltyMs);
    this.#sentinel = new ApiServerSentinel(system, `api-client-${system.env.random.hex(4)}`);
  }

  async get<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    { resourceVersion }: GetOptions = {},
  ) {
    const path = pathOf(resource, namespace, name);
    return (await this.#call({ method: 'GET', path, query: queryOf({ resourceVersion }) }, 'read')) as T;
  }

  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<KubeList<T>> {
    const path = pathOf(resource, options.namespace);
    const accept = acceptOf(options, 'PartialObjectMetadataList');
    const list = (await this.#call(
      { method: 'GET', path, query: queryOf(listQuery(options)), accept },
      'read',
    )) as KubeList<T>;
    return { metadata: list.metadata, items: list.items.map((item) => withType(resource, item)) };
  }

  create<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const path = pathOf(resource, object.metadata?.namespace, undefined, options.subresource);
    return this.#write<T>('POST', path, typed(resource, object), options);
  }

  update<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { namespace, name } = object.metadata ?? {};
    const path = pathOf(resource, namespace, nameOf(name), options.subresource);
    return this.#write<T>('PUT', path, typed(resource, object), options);
  }

  updateStatus<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}) {
    return this.update(resource, object, { ...options, subresource: 'status' });
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    type: PatchType,
    patch: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    const path = pathOf(resource, namespace, name, options.subresource);
    // Apply must say who applies; for the others the server takes the user agent.
    const manager = type === 'apply' ? { fieldManager: options.fieldManager ?? this.#manager() } : {};
    const query = queryOf(writeQuery({ ...options, ...manager }));
    const contentType = patchContentType[type];
    const { fencing } = options;
    return (await this.#call(
      { method: 'PATCH', path, query, body: patch, contentType, fencing },
      'write',
    )) as T;
  }

  async delete(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions = {},
  ): Promise<void> {
    const path = pathOf(resource, namespace, name);
    await this.#write('DELETE', path, deleteBody(options), options);
  }

  createSubresource(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    subresource: string,
    object: unknown,
    options: WriteOptions = {},
  ): Promise<unknown> {
    return this.#write('POST', pathOf(resource, namespace, name, subresource), object, options);
  }

  async watch<T extends KubeObject>(
    resource: Resource<T>,
    options: ListOptions & { readonly sendInitialEvents?: boolean },
    handler: WatchHandler<T>,
  ): Promise<() => void> {
    const path = pathOf(resource, options.namespace);
    const { sendInitialEvents } = options;
    const query = queryOf({
      watch: true,
      ...listQuery(options),
      allowWatchBookmarks: true,
      sendInitialEvents,
      resourceVersionMatch: sendInitialEvents === undefined ? undefined : 'NotOlderThan',
    });
    const accept = acceptOf(options, 'PartialObjectMetadata');
    const request = this.#request({ method: 'GET', path, query, accept });
    const what = `watch ${resource.resource}`;
    return this.#overServers('read', what, (server) =>
      openWatch({
        system: this.#system,
        server,
        request,
        limits: this.#limits,
        what,
        onServerDeath: (of, listener) => this.#sentinel.listen(of, listener),
        onLine: (line) => handler.onEvent(line.type, line.object as T),
        onClose: (why) => {
          this.#system.note('client', 'watch closed', { resource: resource.resource, why });
          handler.onClose();
        },
      }),
    );
  }

  async #write<T>(method: string, path: string, body: unknown, options: WriteOptions): Promise<T> {
    const { fencing } = options;
    const query = queryOf(writeQuery(options));
    return (await this.#call({ method, path, query, body, fencing }, 'write')) as T;
  }

  async #call(call: Call, access: Access): Promise<unknown> {
    const what = `${call.method} ${call.path}`;
    const request = this.#request(call);
    return this.#overServers(access, what, async (server, timeoutMs) => {
      const head = await this.#ask(server, request, timeoutMs);
      if (head.status < 200 || head.status > 299)
        throw retryable(errorOf(head.status, head.body, what), head);
      if (head.streaming) {
        this.#system.tell(server, { type: 'ApiCancel', requestId: head.requestId });
        throw new ApiError(
          head.status,
          'InternalError',
          `${what}: a stream came where none was asked for`,
          false,
        );
      }
      return decodeBody(head.body);
    });
  }

  async #ask(server: ApiServerRef, request: ApiRequest, timeoutMs: number): Promise<Head> {
    const { node, incarnation } = this.#system;
    const reply = await this.#system.ask<ApiServerMessage, ApiReply>(
      server,
      (replyTo) => ({
        type: 'ApiRequest',
        request,
        replyTo,
        credit: 0,
        requestId: `${node}/${incarnation}${replyTo.path}`,
      }),
      { timeoutMs },
    );
    if (reply.type !== 'ApiResponseHead') {
      throw new ApiError(0, 'InternalError', `${addressOf(server)} answered ${reply.type} first`, false);
    }
    return reply;
  }

  /** Tries the servers in order, and all of them again after a pause, as long as time and safety allow. */
  async #overServers<R>(
    access: Access,
    what: string,
    attempt: (server: ApiServerRef, timeoutMs: number) => Promise<R>,
  ): Promise<R> {
    const { clock, random } = this.#system.env;
    const deadline = clock.monotonicMs() + this.#limits.requestTimeoutMs;
    let pauseMs = this.#limits.retryPauseMinMs;
    for (;;) {
      let last: Refusal | undefined;
      for (const server of this.#choice.inOrder()) {
        const leftMs = deadline - clock.monotonicMs();
        if (leftMs <= 0) break;
        const timeoutMs = access === 'read' ? Math.min(leftMs, this.#limits.readAttemptTimeoutMs) : leftMs;
        const outcome = await this.#attempt(server, access, what, () => attempt(server, timeoutMs));
        if ('value' in outcome) return outcome.value;
        last = outcome;
        if (outcome.waitMs !== undefined) break;
      }
      const waitMs = last?.waitMs ?? pauseMs * (0.5 + random.next() / 2);
      if (clock.monotonicMs() + waitMs >= deadline) throw last?.error ?? outOfTime(what);
      await new Promise<void>((resolve) => clock.setTimer(waitMs, resolve));
      pauseMs = Math.min(pauseMs * 2, this.#limits.retryPauseMaxMs);
    }
  }

  /** The value, or a failure after which another attempt is allowed; throws any other. */
  async #attempt<R>(
    server: ApiServerRef,
    access: Access,
    what: string,
    attempt: () => Promise<R>,
  ): Promise<{ readonly value: R } | Refusal> {
    try {
      const value = await attempt();
      this.#choice.answered(server);
      return { value };
    } catch (error) {
      const refusal = refusalOf(error, what, this.#limits);
      if (!(error instanceof ApiError) || error.status === 0 || error.status === 503)
        this.#choice.failed(server);
      else this.#choice.answered(server);
      if (refusal.again === 'never' || (access === 'write' && !refusal.error.definite)) throw refusal.error;
      return refusal;
    }
  }

  #request(call: Call): ApiRequest {
    const { accept = 'application/json' } = call;
    const headers: Record<string, string> = { accept, 'user-agent': this.#userAgent };
    if (call.fencing !== undefined) headers[fencingHeader] = call.fencing;
    const { method, path, query } = call;
    if (call.body === undefined) return { method, path, query, headers };
    headers['content-type'] = call.contentType ?? 'application/json';
    return { method, path, query, headers, body: encodeBody(call.body) };
  }

  #manager(): string {
    return this.#userAgent.split('/')[0]!;
  }
}

/** A failure, and whether another attempt makes sense. */
interface Refusal {
  readonly error: ApiError;
  readonly again: 'elsewhere' | 'never';
  /** The server asked for this pause. */
  readonly waitMs?: number;
}

/** Carries the head of an answer beside its error, for Retry-After. */
class Answered extends ApiError {
  readonly retryAfterMs: number | undefined;

  constructor(error: ApiError, retryAfterMs: number | undefined) {
    super(error.status, error.reason, error.message, error.definite, { cause: error.cause });
    this.retryAfterMs = retryAfterMs;
  }
}

function retryable(error: ApiError, head: Head): ApiError {
  const header = head.headers['retry-after'];
  const seconds = header === undefined ? retryAfterSeconds(error) : Number(header);
  // Zero is no invitation to ask again, least of all at once and for ever.
  return new Answered(error, seconds !== undefined && seconds > 0 ? seconds * 1000 : undefined);
}

function retryAfterSeconds(error: ApiError): number | undefined {
  const status = error.cause as Status | string | undefined;
  return typeof status === 'object' ? status.details?.retryAfterSeconds : undefined;
}

function refusalOf(error: unknown, what: string, limits: ClientLimits): Refusal {
  if (error instanceof ApiError) {
    // 503 is said before handling; status 0 of a watch means that it never opened.
    if (error.status === 503 || error.status === 0) return { error, again: 'elsewhere' };
    const after = error instanceof Answered ? error.retryAfterMs : undefined;
    if (error.status === 429 && after !== undefined) {
      return { error, again: 'elsewhere', waitMs: Math.min(after, limits.retryAfterMaxMs) };
    }
    // A read may be repeated when the server failed; whether a write may is judged by `definite`.
    return { error, again: error.status === 500 || error.status === 504 ? 'elsewhere' : 'never' };
  }
  const definite = certainlyNotHandled(error);
  const text = error instanceof Error ? error.message : String(error);
  const failed = new ApiError(0, 'ServiceUnavailable', `${what}: ${text}`, definite, { cause: error });
  return { error: failed, again: 'elsewhere' };
}

function outOfTime(what: string): ApiError {
  return new ApiError(0, 'Timeout', `${what}: no apiserver was asked in time`, true);
}

function nameOf(name: string | undefined): string {
  if (!name) throw new TypeError('update needs metadata.name');
  return name;
}
