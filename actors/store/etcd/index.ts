export type { EtcdTls } from './door.js';
export { type EtcdFront, type EtcdFrontOptions, openEtcdFront } from './front.js';
export type { TokenKeys } from './tokens.js';
export { type EtcdLimits, etcdLimits } from './limits.js';
