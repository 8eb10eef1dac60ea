/** The kubeconfig of a cluster's administrator: one cluster, one user, one context, everything inline. */
import { stringify } from 'yaml';
import type { KeyPair } from './certificates.js';

export function kubeconfig(
  cluster: string,
  server: string,
  caCert: string,
  user: string,
  client: KeyPair,
): string {
  const base64 = (pem: string) => Buffer.from(pem).toString('base64');
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: cluster, cluster: { server, 'certificate-authority-data': base64(caCert) } }],
    users: [
      {
        name: user,
        user: { 'client-certificate-data': base64(client.cert), 'client-key-data': base64(client.key) },
      },
    ],
    contexts: [{ name: cluster, context: { cluster, user } }],
    'current-context': cluster,
    preferences: {},
  });
}
