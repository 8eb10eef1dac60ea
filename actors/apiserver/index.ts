/** The apiserver: core, doors and what they need. */
export { type ApiServer, type ApiServerOptions, createApiServer } from './core.js';
export type { TokenSigner, ServiceAccountClaims } from './tokens.js';
export type { Attributes, Authorizer, Decision } from './authorizer.js';
export { allowAll, mastersGroup } from './authorizer.js';
export { limits as apiserverLimits } from './limits.js';
export { apiReplies, apiServerMessages } from './messages.js';
export type { VersionInfo } from './paths.js';
export { type ApiActorOptions, apiserverActor } from './api-actor.js';
export { type HttpsDoor, type HttpsDoorOptions, openHttpsDoor } from './https-door.js';
export { createJoseTokens, type JoseTokensOptions } from './jose-tokens.js';
