/** Service account tokens as JWTs (RFC 7519), signed with ES256 or RS256 through jose. An edge: real cryptography. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, errors, exportJWK, type JWK, jwtVerify, SignJWT } from 'jose';
import type { ServiceAccountClaims, TokenSigner } from './tokens.js';

export interface JoseTokensOptions {
  /** `https://kubernetes.default.svc.cluster.local` */
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** PEM, an EC P-256 or an RSA private key. */
  readonly privateKey: string;
}

interface Bound {
  readonly name: string;
  readonly uid: string;
}

interface KubernetesClaim {
  readonly namespace: string;
  readonly serviceaccount: Bound;
  readonly pod?: Bound;
  readonly secret?: Bound;
  readonly node?: Bound;
}

export async function createJoseTokens(options: JoseTokensOptions): Promise<TokenSigner> {
  const privateKey = createPrivateKey(options.privateKey);
  const publicKey = createPublicKey(privateKey);
  const alg = algorithmOf(publicKey);
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  const published: JWK = { ...jwk, alg, kid, use: 'sig' };
  return {
    issuer: options.issuer,
    audiences: options.audiences,
    keys: async () => ({ keys: [published] }),
    async sign(claims) {
      const { namespace, serviceAccount, serviceAccountUid, pod, secret, node } = claims;
      const kubernetes: KubernetesClaim = {
        namespace,
        serviceaccount: { name: serviceAccount, uid: serviceAccountUid },
        ...(pod && { pod }),
        ...(secret && { secret }),
        ...(node && { node }),
      };
      return await new SignJWT({ 'kubernetes.io': kubernetes })
        .setProtectedHeader({ alg, kid })
        .setIssuer(options.issuer)
        .setSubject(`system:serviceaccount:${namespace}:${serviceAccount}`)
        .setAudience([...claims.audiences])
        .setIssuedAt(claims.issuedAt)
        .setNotBefore(claims.issuedAt)
        .setExpirationTime(claims.expiresAt)
        .setJti(claims.id)
        .sign(privateKey);
    },
    async verify(token) {
      try {
        // Expiry is judged by the caller's clock, not by jose's.
        const { payload } = await jwtVerify(token, publicKey, {
          issuer: options.issuer,
          algorithms: [alg],
          currentDate: new Date(0),
          clockTolerance: Number.MAX_SAFE_INTEGER / 2_000,
        });
        return claimsOf(payload as Record<string, unknown>);
      } catch (error) {
        if (error instanceof errors.JOSEError) return undefined;
        throw error;
      }
    },
  };
}

function algorithmOf(key: KeyObject): 'ES256' | 'RS256' {
  if (key.asymmetricKeyType === 'rsa') return 'RS256';
  if (key.asymmetricKeyType === 'ec') return 'ES256';
  throw new TypeError(`service account keys must be RSA or EC P-256, not ${key.asymmetricKeyType}`);
}

function claimsOf(payload: Record<string, unknown>): ServiceAccountClaims | undefined {
  const kubernetes = payload['kubernetes.io'] as KubernetesClaim | undefined;
  const { aud, iat, exp, jti } = payload as {
    aud?: string | string[];
    iat?: number;
    exp?: number;
    jti?: string;
  };
  if (!kubernetes?.serviceaccount || exp === undefined) return undefined;
  const { namespace, serviceaccount, pod, secret, node } = kubernetes;
  return {
    namespace,
    serviceAccount: serviceaccount.name,
    serviceAccountUid: serviceaccount.uid,
    audiences: aud === undefined ? [] : Array.isArray(aud) ? aud : [aud],
    issuedAt: iat ?? 0,
    expiresAt: exp,
    id: jti ?? '',
    ...(pod && { pod }),
    ...(secret && { secret }),
    ...(node && { node }),
  };
}
