/** Paths that are not about a resource: health, version, token issuer, figures, discovery, OpenAPI. */
import type { ApiRequest, ApiResponse } from './request.js';
import type { PathRequestInfo } from './request-info.js';
import { jsonResponse } from './resource-view.js';
import type { ServerContext } from './server-context.js';
import { answerSchema } from './schema-paths.js';
import { methodNotAllowed, noSuchPath } from './status.js';

/** What /version says (apimachinery's version.Info). */
export interface VersionInfo {
  readonly major: string;
  readonly minor: string;
  readonly gitVersion: string;
  readonly gitCommit: string;
  readonly gitTreeState: string;
  readonly buildDate: string;
  readonly platform: string;
}

export interface PathContext extends ServerContext {
  readonly version: VersionInfo;
  readonly checks: readonly HealthCheck[];
  /** Figures of the server, for /metrics. */
  figures(): readonly Figure[];
}

export interface HealthCheck {
  readonly name: string;
  /** Which endpoints ask it: a live server need not be ready. */
  readonly of: readonly ('livez' | 'readyz' | 'healthz')[];
  /** Undefined: well. Otherwise why not. */
  failure(): string | undefined | Promise<string | undefined>;
}

export interface Figure {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter';
  readonly value: number;
}

export async function answerPath(
  server: PathContext,
  request: ApiRequest,
  info: PathRequestInfo,
): Promise<ApiResponse> {
  const path = info.path.length > 1 ? info.path.replace(/\/+$/, '') : info.path;
  const health = /^\/(healthz|livez|readyz)(?:\/(.+))?$/.exec(path);
  if (health)
    return answerHealth(server.checks, health[1] as HealthCheck['of'][number], health[2], info.query);
  const { method } = info;
  if (method !== 'GET' && method !== 'HEAD') throw methodNotAllowed();
  switch (path) {
    case '/version':
      return jsonResponse(200, { ...server.version, goVersion: '', compiler: '' });
    case '/metrics':
      return text(200, server.figures().map(figureText).join(''));
    case '/.well-known/openid-configuration':
      if (!server.tokens) throw noSuchPath();
      return jsonResponse(200, {
        issuer: server.tokens.issuer,
        jwks_uri: `${server.tokens.issuer}/openid/v1/jwks`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256', 'ES256'],
      });
    case '/openid/v1/jwks':
      if (!server.tokens) throw noSuchPath();
      return jsonResponse(200, await server.tokens.keys(), { 'content-type': 'application/jwk-set+json' });
    default:
      return answerSchema(server, request, path);
  }
}

/** kube-apiserver's format: `[+]ping ok` lines, `livez check passed`. */
async function answerHealth(
  checks: readonly HealthCheck[],
  endpoint: HealthCheck['of'][number],
  only: string | undefined,
  query: URLSearchParams,
): Promise<ApiResponse> {
  const excluded = new Set(query.getAll('exclude'));
  const asked = checks.filter(
    ({ name, of }) => of.includes(endpoint) && (only === undefined || only === name) && !excluded.has(name),
  );
  if (only !== undefined && asked.length === 0) throw noSuchPath();
  const lines = await Promise.all(
    asked.map(async (check) => {
      const why = await check.failure();
      return {
        well: why === undefined,
        line: why === undefined ? `[+]${check.name} ok` : `[-]${check.name} failed: ${why}`,
      };
    }),
  );
  const well = lines.every((line) => line.well);
  if (well && !query.has('verbose')) return text(200, 'ok');
  const verdict = `${endpoint} check ${well ? 'passed' : 'failed'}`;
  return text(well ? 200 : 500, `${[...lines.map(({ line }) => line), verdict].join('\n')}\n`);
}

function text(status: number, body: string): ApiResponse {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: Buffer.from(body) };
}

function figureText({ name, help, type, value }: Figure): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`;
}
