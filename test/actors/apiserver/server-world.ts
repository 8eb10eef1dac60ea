/** An apiserver over a store in memory, in a simulated world, and short ways to talk to it. */
import { createApiServer, type ApiServer, type ApiServerOptions } from '../../../actors/apiserver/index.js';
import type { ApiResponse, ApiStream, Identity } from '../../../actors/apiserver/request.js';
import { builtinRegistry } from '../../../actors/objects/index.js';
import { actorRef, type RunningActorSystem } from '../../../actors/runtime/index.js';
import { encodeCause } from '../../../actors/store/index.js';
import { nodeId } from '../../../transport/index.js';
import { simWorld, type World } from '../runtime/world.js';
import { MemoryStore } from './memory-store.js';

export const admin: Identity = {
  username: 'kubernetes-admin',
  groups: ['system:masters', 'system:authenticated'],
};

export const testVersion = {
  major: '1',
  minor: '36',
  gitVersion: 'v1.36.0+test',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '2026-01-01T00:00:00Z',
  platform: 'linux/amd64',
} as const;

/** Answers are looked into freely. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any;

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly json: Json;
  readonly text: string;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly identity?: Identity;
}

export class Stream {
  readonly lines: { type: string; object: Record<string, unknown> }[] = [];
  ended = false;
  /** What `bufferedBytes` says: how slow the consumer seems. */
  buffered = 0;
  text = '';
  readonly #stream: ApiStream;
  readonly #lineBased: boolean;

  constructor(stream: ApiStream, lineBased = true) {
    this.#stream = stream;
    this.#lineBased = lineBased;
  }

  start(): this {
    this.#stream.start({
      chunk: (bytes) => {
        const text = Buffer.from(bytes).toString();
        this.text += text;
        if (!this.#lineBased) return;
        for (const line of text.split('\n')) {
          if (line !== '') this.lines.push(JSON.parse(line) as (typeof this.lines)[number]);
        }
      },
      end: () => {
        this.ended = true;
      },
      bufferedBytes: () => this.buffered,
    });
    return this;
  }

  cancel(): void {
    this.#stream.cancel();
  }

  /** `ADDED a`, `BOOKMARK` ... */
  get seen(): string[] {
    return this.lines.map(({ type, object }) => {
      const metadata = object['metadata'] as { name?: string } | undefined;
      return metadata?.name ? `${type} ${metadata.name}` : type;
    });
  }
}

export interface ServerWorld {
  readonly world: World;
  readonly system: RunningActorSystem;
  readonly store: MemoryStore;
  readonly server: ApiServer;
  call(method: string, url: string, options?: CallOptions): Promise<Answer>;
  respond(method: string, url: string, options?: CallOptions): Promise<ApiResponse>;
  watch(url: string, options?: CallOptions): Promise<Stream>;
  /** POST to a collection; the object created, or an assertion failure. */
  create(url: string, object: unknown): Promise<Answer['json']>;
  another(options?: Partial<ApiServerOptions>): ApiServer;
}

export async function serverWorld(
  options: Partial<ApiServerOptions> = {},
  world: World = simWorld(),
): Promise<ServerWorld> {
  const system = world.system('master-1');
  const store = new MemoryStore(system.env.clock, () => encodeCause(system.cause()));
  const another = (more: Partial<ApiServerOptions> = {}) => {
    const server = createApiServer({
      system,
      store,
      registry: builtinRegistry(),
      kubelets: (node) => actorRef(nodeId(node), '/kubelet'),
      version: testVersion,
      ...options,
      ...more,
    });
    server.start();
    return server;
  };
  const server = another();
  await world.until(() => server.ready());
  const respond = async (method: string, url: string, call: CallOptions = {}): Promise<ApiResponse> => {
    const [path = '', query = ''] = url.split('?', 2) as [string, string?];
    const { body, headers = {}, identity = admin } = call;
    const bytes =
      body === undefined
        ? undefined
        : body instanceof Uint8Array
          ? body
          : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    return await world.settled(
      server.handle(
        {
          method,
          path,
          query,
          headers: { 'user-agent': 'test/1', ...headers },
          ...(bytes && { body: bytes }),
        },
        identity,
      ),
    );
  };
  const call = async (method: string, url: string, callOptions?: CallOptions): Promise<Answer> => {
    const { status, headers, body } = await respond(method, url, callOptions);
    if (!(body instanceof Uint8Array)) throw new Error(`${method} ${url} answered with a stream`);
    const text = Buffer.from(body).toString();
    const json: unknown = headers['content-type']?.startsWith('application/json')
      ? JSON.parse(text)
      : undefined;
    return { status, headers, json, text };
  };
  return {
    world,
    system,
    store,
    server,
    call,
    respond,
    another,
    async watch(url, callOptions) {
      const { status, body } = await respond('GET', url, callOptions);
      if (body instanceof Uint8Array)
        throw new Error(`GET ${url} answered ${status}: ${Buffer.from(body).toString()}`);
      return new Stream(body).start();
    },
    async create(url, object) {
      const answer = await call('POST', url, { body: object });
      if (answer.status !== 201) throw new Error(`POST ${url} answered ${answer.status}: ${answer.text}`);
      return answer.json;
    },
  };
}
