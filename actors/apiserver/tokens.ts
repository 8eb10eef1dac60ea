/**
 * Service account tokens as the core sees them: claims in, text out, and back. The cryptography is an edge
 * (`jose-tokens.ts`); the simulator brings a seeded one.
 */
export interface ServiceAccountClaims {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly serviceAccountUid: string;
  readonly audiences: readonly string[];
  /** Seconds since the epoch. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** RFC 7519 jti. */
  readonly id: string;
  readonly pod?: { readonly name: string; readonly uid: string };
  readonly secret?: { readonly name: string; readonly uid: string };
  readonly node?: { readonly name: string; readonly uid: string };
}

export interface TokenSigner {
  readonly issuer: string;
  /** Audiences of a token that asks for none, and those that this apiserver accepts. */
  readonly audiences: readonly string[];
  sign(claims: ServiceAccountClaims): Promise<string>;
  /** Undefined: not one of ours, or its signature does not hold. Expiry is the caller's to check. */
  verify(token: string): Promise<ServiceAccountClaims | undefined>;
  /** JSON Web Key Set of the public keys. */
  keys(): Promise<unknown>;
}
