/**
 * A cluster's public key infrastructure: one CA, a serving certificate for the apiservers, client certificates for people.
 * ECDSA P-256 through @peculiar/x509 on WebCrypto. Subjects follow Kubernetes: CN is the user, O its groups.
 */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const yearMs = 365 * 24 * 3600 * 1000;

/** PEM texts. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateAuthority extends KeyPair {
  issueServer(commonName: string, hosts: readonly string[]): Promise<KeyPair>;
  issueClient(username: string, groups: readonly string[]): Promise<KeyPair>;
}

export async function createAuthority(commonName: string): Promise<CertificateAuthority> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=${escape(commonName)}`,
    ...validity(10),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return authority(certificate, keys.privateKey, await exportKey(keys.privateKey));
}

/** Reads a CA back from PEM; throws when the texts are not a key and a certificate. */
export async function loadAuthority(pem: KeyPair): Promise<CertificateAuthority> {
  const der = Buffer.from(pem.key.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const key = await webcrypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign']);
  return authority(new x509.X509Certificate(pem.cert), key, pem.key);
}

function authority(
  certificate: x509.X509Certificate,
  signingKey: webcrypto.CryptoKey,
  keyPem: string,
): CertificateAuthority {
  const issue = async (
    subject: string,
    usage: x509.ExtendedKeyUsage,
    hosts: readonly string[],
  ): Promise<KeyPair> => {
    const keys = await generateKeys();
    const issued = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject,
      issuer: certificate.subject,
      ...validity(1),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([usage]),
        await x509.AuthorityKeyIdentifierExtension.create(certificate),
        ...(hosts.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(hosts.map(alternativeName))]),
      ],
    });
    return { cert: issued.toString('pem'), key: await exportKey(keys.privateKey) };
  };
  return {
    cert: certificate.toString('pem'),
    key: keyPem,
    issueServer: (commonName, hosts) =>
      issue(`CN=${escape(commonName)}`, x509.ExtendedKeyUsage.serverAuth, hosts),
    issueClient: (username, groups) =>
      issue(
        [...groups.map((group) => `O=${escape(group)}`), `CN=${escape(username)}`].join(', '),
        x509.ExtendedKeyUsage.clientAuth,
        [],
      ),
  };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, [
    'sign',
    'verify',
  ]) as Promise<webcrypto.CryptoKeyPair>;
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

function validity(years: number): { notBefore: Date; notAfter: Date } {
  // An hour of grace for clocks that run behind.
  return { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + years * yearMs) };
}

function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return Buffer.from(bytes).toString('hex');
}

function alternativeName(host: string): { type: 'ip' | 'dns'; value: string } {
  return { type: /^[0-9.]+$|:/.test(host) ? 'ip' : 'dns', value: host };
}

/** A name inside a distinguished name: what has a meaning there is escaped (RFC 4514). */
function escape(value: string): string {
  return value.replace(/[,+"\\<>;=#]/g, (character) => `\\${character}`);
}
