/**
 * The apiserver's core: answers ApiRequests, whichever door they came through (ARCHITECTURE rule 14). Authorises, finds the
 * resource, runs the verb, and turns whatever is thrown into a Status. Keeps nothing that it cannot rebuild from the
 * store, so any number run side by side (rule 8).
 */
import type { KubeletMessage } from '../kubelet/messages.js';
import { ObjectError, type Registry, type ResourceInfo } from '../objects/index.js';
import type { ActorRef, ActorSystem } from '../runtime/index.js';
import { decodeCause, type ApiStore } from '../store/index.js';
import { allowAll, attributesOf, type Authorizer, refusalText } from './authorizer.js';
import { Bootstrap } from './bootstrap.js';
import { dispatch } from './dispatch.js';
import { EventLeases } from './event-leases.js';
import { impersonatedIdentity } from './impersonation.js';
import { limits } from './limits.js';
import { jsonForm, negotiate } from './negotiation.js';
import { textOf } from './object-bytes.js';
import { RbacAuthorizer } from './rbac.js';
import { answerPath, type Figure, type HealthCheck, type VersionInfo } from './paths.js';
import {
  type ApiHandler,
  type ApiRequest,
  type ApiResponse,
  fencingHeader,
  type Identity,
} from './request.js';
import { type RequestInfo, requestInfo, type ResourceRequestInfo } from './request-info.js';
import { jsonResponse } from './resource-view.js';
import type { RequestContext, ServerContext } from './server-context.js';
import { parseCidr } from './service-allocation.js';
import {
  badRequest,
  bodyTooLarge,
  forbidden,
  forbiddenPath,
  internalError,
  noSuchPath,
  StatusError,
  tooManyRequests,
  unavailable,
} from './status.js';
import { parseFence, prefixOfKey, Storage, statusOf } from './storage.js';
import { StoreCheck } from './store-check.js';
import type { TokenSigner } from './tokens.js';
import { WatchCache } from './watch-cache.js';
import { writeOptionsOf } from './write-options.js';

export interface ApiServerOptions {
  readonly system: ActorSystem;
  readonly store: ApiStore;
  readonly registry: Registry;
  readonly kubelets: (node: string) => ActorRef<KubeletMessage>;
  /** `rbac` (default) reads roles and bindings from the store; `always-allow` is for tests of other things. */
  readonly authorizer?: 'rbac' | 'always-allow' | Authorizer;
  /** IPv4, `10.96.0.0/12` when absent. */
  readonly serviceCidr?: string;
  readonly nodePorts?: { readonly from: number; readonly to: number };
  readonly version: VersionInfo;
  /** Without one, TokenRequest answers 501 and service account tokens are not known. */
  readonly tokens?: TokenSigner;
  /** Where this apiserver is reached: an endpoint of default/kubernetes. Absent: none is published. */
  readonly advertise?: { readonly address: string; readonly port: number };
  /** Port of the service default/kubernetes, 443 when absent: without root that one cannot be bound. */
  readonly kubernetesServicePort?: number;
  /** Mount service account tokens into pods, as Kubernetes does (default false: it takes `tokens` and kube-root-ca.crt). */
  readonly mountTokens?: boolean;
}

export interface ApiServer extends ApiHandler {
  start(): void;
  stop(): void;
  /** The cache is filled and the objects that must exist at birth do. */
  ready(): boolean;
  /** For doors that need more than an answer (exec): authorised and resolved, or a StatusError. */
  readonly context: ServerContext;
  authorizeRequest(request: ApiRequest, identity: Identity): Promise<RequestContext>;
  /** The identity that the Impersonate- headers ask for; 403 unless the real one may. */
  impersonate(identity: Identity, headers: Readonly<Record<string, string>>): Identity;
}

export function createApiServer(options: ApiServerOptions): ApiServer {
  return new Core(options);
}

class Core implements ApiServer {
  readonly context: ServerContext;
  readonly #options: ApiServerOptions;
  readonly #bootstrap: Bootstrap;
  readonly #storeCheck: StoreCheck;
  #inFlight = 0;
  #watchers = 0;
  #requests = 0;
  #stopping = false;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    const { system, store } = options;
    const serviceCidr = options.serviceCidr ?? '10.96.0.0/12';
    parseCidr(serviceCidr);
    const cache = new WatchCache({
      system,
      store,
      prefixOf: prefixOfKey,
      causeOf: decodeCause,
    });
    const storage = new Storage(store);
    this.context = {
      system,
      cache,
      storage,
      eventLeases: new EventLeases(system, storage),
      registry: options.registry,
      authorizer: authorizerOf(options.authorizer, cache),
      tokens: options.tokens,
      kubelets: options.kubelets,
      serviceCidr,
      nodePorts: options.nodePorts ?? { from: 30_000, to: 32_767 },
      mountTokens: options.mountTokens ?? false,
      watchers: {
        opened: () => {
          if (this.#watchers >= limits.watchersMax) throw tooManyRequests('too many watches are open');
          this.#watchers += 1;
        },
        closed: () => {
          this.#watchers -= 1;
        },
      },
    };
    this.#bootstrap = new Bootstrap(this.context, {
      advertise: options.advertise,
      servicePort: options.kubernetesServicePort ?? 443,
    });
    this.#storeCheck = new StoreCheck(system, store);
  }

  start(): void {
    this.#stopping = false;
    this.context.cache.start();
    this.#bootstrap.start();
  }

  stop(): void {
    this.#stopping = true;
    this.#bootstrap.stop();
    this.context.cache.stop();
  }

  ready(): boolean {
    return this.context.cache.ready && this.#bootstrap.done;
  }

  async handle(request: ApiRequest, identity: Identity): Promise<ApiResponse> {
    const { system } = this.context;
    this.#requests += 1;
    if (this.#inFlight >= limits.requestsInFlightMax) {
      return statusResponse(tooManyRequests('Too many requests, please try again later.'));
    }
    this.#inFlight += 1;
    try {
      return legible(request, await this.#answer(request, identity));
    } catch (error) {
      const status = toStatusError(error);
      if (status.code >= 500) {
        system.note('apiserver', `${request.method} ${request.path} ${status.code}`, {
          error: status.message,
        });
      }
      return legible(request, statusResponse(status));
    } finally {
      this.#inFlight -= 1;
    }
  }

  async #answer(request: ApiRequest, identity: Identity): Promise<ApiResponse> {
    if ((request.body?.length ?? 0) > limits.requestBodyBytesMax)
      throw bodyTooLarge(limits.requestBodyBytesMax);
    const info = requestInfo(request);
    if (info.type === 'path') {
      await this.#authorize(info, identity);
      return await answerPath(
        {
          ...this.context,
          version: this.#options.version,
          checks: this.#checks(),
          figures: () => this.#figures(),
        },
        request,
        info,
      );
    }
    const context = await this.#contextOf(request, identity, info);
    const response = await dispatch(context);
    return withWarnings(response, context.warnings);
  }

  async authorizeRequest(request: ApiRequest, identity: Identity): Promise<RequestContext> {
    const info = requestInfo(request);
    if (info.type === 'path') throw noSuchPath();
    return await this.#contextOf(request, identity, info);
  }

  #checks(): HealthCheck[] {
    const { cache } = this.context;
    const storeWell = () => (cache.ready ? undefined : 'the watch cache is not filled from the store');
    return [
      { name: 'ping', of: ['healthz', 'livez', 'readyz'], failure: () => undefined },
      // Named as in Kubernetes, whose probes and dashboards ask for it.
      { name: 'etcd', of: ['healthz', 'readyz'], failure: () => this.#storeCheck.failure() },
      { name: 'informer-sync', of: ['readyz'], failure: storeWell },
      {
        name: 'poststarthook/bootstrap',
        of: ['readyz'],
        failure: () => (this.#bootstrap.done ? undefined : 'objects of birth are not there yet'),
      },
      {
        name: 'shutdown',
        of: ['readyz'],
        failure: () => (this.#stopping ? 'process is shutting down' : undefined),
      },
    ];
  }

  #figures(): Figure[] {
    const { cache } = this.context;
    const gauge = (name: string, help: string, value: number): Figure => ({
      name,
      help,
      type: 'gauge',
      value,
    });
    return [
      gauge('apiserver_current_inflight_requests', 'Requests being answered, watches apart.', this.#inFlight),
      gauge('apiserver_longrunning_requests', 'Open watches.', this.#watchers),
      gauge('apiserver_watch_cache_resource_version', 'Revision that the cache has seen.', cache.revision),
      gauge('apiserver_storage_objects', 'Objects in the cache.', cache.objects),
      {
        name: 'apiserver_request_total',
        help: 'Requests answered since the start.',
        type: 'counter',
        value: this.#requests,
      },
    ];
  }

  impersonate(identity: Identity, headers: Readonly<Record<string, string>>): Identity {
    return impersonatedIdentity(identity, headers, this.context.authorizer);
  }

  async #contextOf(
    request: ApiRequest,
    identity: Identity,
    info: ResourceRequestInfo,
  ): Promise<RequestContext> {
    if (!this.context.cache.ready) throw unavailable('the apiserver is reading the store');
    await this.#authorize(info, identity);
    const resource = this.context.registry.find(info.group, info.version, info.resource);
    if (!resource) throw noSuchPath();
    if (info.subresource !== '' && !resource.subresources.has(info.subresource)) throw noSuchPath();
    if (info.rest.length > 0 && info.subresource !== 'proxy') throw noSuchPath();
    const onItem = info.subresource !== '' || itemVerbs.has(info.verb);
    if (onItem && resource.namespaced && info.namespace === '' && info.name !== '') throw noSuchPath();
    return {
      server: this.context,
      request,
      // A namespace's own path says that it is in itself; its object is in none.
      info: resource.namespaced ? info : { ...info, namespace: '' },
      identity,
      resource,
      form: formOf(request, info, resource),
      fence: fenceOf(request),
      ...writeOptionsOf(request, info),
      warnings: [],
    };
  }

  /** A refusal stands only on the newest rules: a grant counts from the moment that its write is acknowledged. */
  async #authorize(info: RequestInfo, identity: Identity): Promise<void> {
    const { authorizer, cache } = this.context;
    const attributes = attributesOf(info);
    if (authorizer.authorize(identity, attributes).allowed) return;
    if (cache.ready) await cache.fresh();
    const decision = authorizer.authorize(identity, attributes);
    if (decision.allowed) return;
    const text = refusalText(identity, attributes, decision.reason);
    if (attributes.type === 'path') throw forbiddenPath(text);
    throw forbidden(attributes, attributes.name, text);
  }
}

const itemVerbs = new Set(['get', 'update', 'patch', 'delete']);

function authorizerOf(choice: ApiServerOptions['authorizer'], cache: WatchCache): Authorizer {
  if (choice === undefined || choice === 'rbac') return new RbacAuthorizer(cache);
  return choice === 'always-allow' ? allowAll : choice;
}

function formOf(request: ApiRequest, info: ResourceRequestInfo, resource: ResourceInfo) {
  // Logs and sessions answer with something else than objects, whatever Accept says.
  const subresource = resource.subresources.get(info.subresource);
  if (subresource?.connects || info.subresource === 'log') return jsonForm;
  const transforms = resource.verbs.includes('get') || resource.verbs.includes('list');
  return negotiate(request.headers['accept'], info.query, { transforms });
}

function fenceOf(request: ApiRequest) {
  const text = request.headers[fencingHeader];
  if (text === undefined) return undefined;
  const fence = parseFence(text);
  if (!fence) {
    throw badRequest(
      `header ${fencingHeader} must be <lease namespace>/<lease name>=<holderIdentity>/<leaseTransitions>`,
    );
  }
  return fence;
}

function withWarnings(response: ApiResponse, warnings: readonly string[]): ApiResponse {
  if (warnings.length === 0) return response;
  const warning = warnings.map((text) => `299 - ${JSON.stringify(text)}`).join(', ');
  return { ...response, headers: { ...response.headers, warning } };
}

/** JSON with line breaks for those who ask, and for people's own programs (apiserver, isPrettyPrint). */
function legible(request: ApiRequest, response: ApiResponse): ApiResponse {
  const { headers, body } = response;
  if (!(body instanceof Uint8Array) || headers['content-type'] !== 'application/json') return response;
  const asked = /(?:^|&)pretty(?:=([^&]*))?(?:&|$)/.exec(request.query);
  const byPerson = /^(?:curl|Wget|Mozilla\/5\.0)/.test(request.headers['user-agent'] ?? '');
  const wanted = asked ? asked[1] !== 'false' && asked[1] !== '0' : byPerson;
  if (!wanted || body.length === 0) return response;
  return { ...response, body: Buffer.from(`${JSON.stringify(JSON.parse(textOf(body)), null, 2)}\n`) };
}

export function statusResponse(error: StatusError): ApiResponse {
  const retry = error.details?.retryAfterSeconds ?? 0;
  return jsonResponse(
    error.code,
    error.toStatus(),
    retry > 0 && (error.code === 429 || error.code >= 500) ? { 'retry-after': String(retry) } : {},
  );
}

/** Anything thrown becomes a Status; what nobody foresaw is a 500 that names it. */
export function toStatusError(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  if (error instanceof ObjectError) {
    return new StatusError(
      error.status,
      error.reason,
      error.message,
      error.causes.length > 0 ? { causes: error.causes } : undefined,
      { cause: error },
    );
  }
  if (error instanceof Error && error.name === 'StoreError') return statusOf(error);
  return internalError(error instanceof Error ? error.message : String(error), {
    cause: error,
    definite: false,
  });
}
