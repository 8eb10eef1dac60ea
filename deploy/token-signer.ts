/** Signs and checks the tokens of service accounts with the cluster's key; every master holds the same one. */
import { createJoseTokens, type TokenSigner } from '../actors/apiserver/index.js';
import type { DataDir } from './data-dir.js';

const issuer = 'https://kubernetes.default.svc.cluster.local';

export function tokenSigner(dir: DataDir): Promise<TokenSigner> {
  const privateKey = dir.readText('pki/service-account.key');
  return createJoseTokens({ issuer, audiences: [issuer], privateKey });
}
