/**
 * The etcd whose API this front speaks. A kube-apiserver asks for it before it requests watch progress (3.5.13 or later), and
 * etcd's own clients for what they may use.
 */
export const etcdVersion = '3.6.11';
export const clusterVersion = '3.6.0';
export const storageVersion = '3.6.0';
