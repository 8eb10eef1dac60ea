export { type Connect, ConnectionError, type Endpoint } from './connection.js';
export { EtcdStore, type EtcdStoreOptions } from './etcd-store.js';
export { type ClientTls, http2Connect } from './http2-connection.js';
export { joinStore, type JoinOptions, NotJoined } from './join.js';
export type { Credentials } from './login.js';
export { type EtcdClientLimits, etcdClientLimits } from './limits.js';
