/** Paths that are not about a resource: health, version, discovery, OpenAPI. */
import type { ApiRequest, ApiResponse } from './request.js';
import type { PathRequestInfo } from './request-info.js';
import { jsonResponse } from './resource-view.js';
import type { ServerContext } from './server-context.js';
import { noSuchPath } from './status.js';

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
  ready(): boolean;
}

export async function answerPath(
  server: PathContext,
  _request: ApiRequest,
  info: PathRequestInfo,
): Promise<ApiResponse> {
  const path = info.path.length > 1 ? info.path.replace(/\/+$/, '') : info.path;
  if (path === '/version') return jsonResponse(200, { ...server.version, goVersion: '', compiler: '' });
  throw noSuchPath();
}
