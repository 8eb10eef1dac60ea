/** Discovery and OpenAPI: what this server serves, in the forms that clients ask for. */
import type { ApiRequest, ApiResponse } from './request.js';
import type { ServerContext } from './server-context.js';
import { noSuchPath } from './status.js';

export function answerSchema(_server: ServerContext, _request: ApiRequest, _path: string): ApiResponse {
  throw noSuchPath();
}
