/** What every part of the core works with: the server's own parts, and one request's circumstances. */
import type { Registry, ResourceInfo } from '../objects/index.js';
import type { KubeletMessage } from '../kubelet/messages.js';
import type { ActorRef, ActorSystem } from '../runtime/index.js';
import type { Authorizer } from './authorizer.js';
import type { EventLeases } from './event-leases.js';
import type { Writer } from './machinery.js';
import type { Form } from './negotiation.js';
import type { ResourceRequestInfo } from './request-info.js';
import type { ApiRequest, ApiResponse, Identity } from './request.js';
import type { Fence, Storage } from './storage.js';
import type { TokenSigner } from './tokens.js';
import type { WatchCache } from './watch-cache.js';

export interface ServerContext {
  readonly system: ActorSystem;
  readonly storage: Storage;
  readonly cache: WatchCache;
  /** Changes when custom resources come and go: read it anew for every request. */
  readonly registry: Registry;
  readonly authorizer: Authorizer;
  readonly tokens: TokenSigner | undefined;
  readonly kubelets: (node: string) => ActorRef<KubeletMessage>;
  /** `10.96.0.0/12` */
  readonly serviceCidr: string;
  readonly eventLeases: EventLeases;
  /** Counts open watches; `opened` throws 429 over the limit. */
  readonly watchers: { opened(): void; closed(): void };
  /** Whether pods get a volume with their service account's token. */
  readonly mountTokens: boolean;
  readonly nodePorts: { readonly from: number; readonly to: number };
}

export interface RequestContext {
  readonly server: ServerContext;
  readonly request: ApiRequest;
  readonly info: ResourceRequestInfo;
  readonly identity: Identity;
  readonly resource: ResourceInfo;
  readonly form: Form;
  readonly dryRun: boolean;
  readonly fence: Fence | undefined;
  readonly fieldManager: string;
  readonly fieldValidation: 'Ignore' | 'Warn' | 'Strict';
  /** Become `Warning: 299` headers. */
  readonly warnings: string[];
}

/** What answers a request; what it cannot answer it throws as a StatusError. */
export type Handler = (context: RequestContext) => Promise<ApiResponse>;

/** RFC 3339 in whole seconds, as metav1.Time prints. */
export function timestamp(atMs: number): string {
  return `${new Date(Math.floor(atMs / 1_000) * 1_000).toISOString().slice(0, 19)}Z`;
}

export function nowText(server: ServerContext): string {
  return timestamp(server.system.env.clock.nowMs());
}

/** As whom a request's changes are recorded in managedFields. */
export function writerOf({ server, fieldManager, info }: RequestContext): Writer {
  return { manager: fieldManager, nowMs: server.system.env.clock.nowMs(), subresource: info.subresource };
}
