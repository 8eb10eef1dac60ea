import 'reflect-metadata';
import { strict as assert } from 'node:assert';
import { webcrypto } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type ConnectionOptions } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { type CertificateAuthority, createAuthority, type KeyPair } from '../../deploy/certificates.js';
import { DataDir } from '../../deploy/data-dir.js';
import { waitFor } from '../../deploy/wait.js';
import { rpc } from '../harness/etcd-calls.js';
import { GrpcClient } from '../harness/grpc-client.js';
import { startStoreAlone, type StoreAlone } from '../harness/store-alone.js';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

describe('kabuki store run over TLS', function () {
  this.timeout(60_000);
  let folder: string;
  let authority: CertificateAuthority;
  let alice: KeyPair;
  let bob: KeyPair;
  let store: StoreAlone | undefined;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-store-tls-'));
    authority = await createAuthority('store-ca');
    alice = await clientFor('alice', 'client.example.com');
    bob = await authority.issueClient('bob', []);
  });
  afterEach(async () => {
    await store?.remove();
    store = undefined;
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const serve = async (...args: readonly string[]) => {
    const server = await authority.issueServer('store', ['127.0.0.1']);
    const files = [
      `--cert-file=${file('server.crt', server.cert)}`,
      `--key-file=${file('server.key', server.key)}`,
      `--trusted-ca-file=${file('ca.crt', authority.cert)}`,
    ];
    store = await startStoreAlone({ members: 1, args: [...files, ...args] });
  };
  /** Whether a new connection is served. */
  const isServed = async (who: KeyPair, more: ConnectionOptions = {}): Promise<boolean> => {
    const tls = { ca: authority.cert, cert: who.cert, key: who.key, ...more };
    const client = new GrpcClient(`https://127.0.0.1:${store!.ports[0]}`, tls);
    const range = client.unary(...rpc.range, {
      key: 'a',
    });
    const closed = new Promise<false>((resolve) => {
      const look = setInterval(() => {
        if (!client.isClosed) return;
        clearInterval(look);
        resolve(false);
      }, 10);
      range.finally(() => clearInterval(look)).catch(() => undefined);
    });
    const served = await Promise.race([
      range.then(
        () => true,
        () => false,
      ),
      closed,
    ]);
    client.close();
    return served;
  };
  const signingKey = () => {
    const der = Buffer.from(authority.key.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    return webcrypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign']);
  };
  const clientFor = async (name: string, hostname: string): Promise<KeyPair> => {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const issued = await x509.X509CertificateGenerator.create({
      serialNumber: '0a11ce',
      subject: `CN=${name}`,
      issuer: new x509.X509Certificate(authority.cert).subject,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: await signingKey(),
      extensions: [
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: hostname }]),
      ],
    });
    const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
    return { cert: issued.toString('pem'), key: x509.PemConverter.encode(key, 'PRIVATE KEY') };
  };
  const revocations = async (...revoked: readonly KeyPair[]): Promise<string> => {
    const list = await x509.X509CrlGenerator.create({
      issuer: new x509.X509Certificate(authority.cert).subject,
      thisUpdate: new Date(Date.now() - 60_000),
      nextUpdate: new Date(Date.now() + 3_600_000),
      entries: revoked.map(({ cert }) => ({
        serialNumber: new x509.X509Certificate(cert).serialNumber,
        revocationDate: new Date(Date.now() - 60_000),
      })),
      signingAlgorithm: algorithm,
      signingKey: await signingKey(),
    });
    return x509.PemConverter.encode(list.rawData, 'X509 CRL');
  };

  it('serves nobody whose certificate was revoked, also when that comes to be known while it runs', async () => {
    const crl = file('ca.crl', await revocations(bob));
    await serve(`--client-crl-file=${crl}`);
    assert.deepEqual([await isServed(alice), await isServed(bob)], [true, false]);
    file('ca.crl', await revocations(alice));
    await waitFor('the list to be read', 10_000, async () => !(await isServed(alice)));
    assert.equal(await isServed(bob), true);
    // What is no list changes nothing.
    file('ca.crl', '-----BEGIN X509 CRL-----\nnone\n-----END X509 CRL-----\n');
    file('server.key', 'none');
    const log = () => readFileSync(new DataDir(store!.dataDir).logPath('store-1'), 'utf8');
    await waitFor('it to be said', 10_000, async () => log().includes('the certificates in force stay: '));
    assert.deepEqual([await isServed(alice), await isServed(bob)], [false, true]);
  });

  it('serves clients whose certificate is for the name that it asks for', async () => {
    await serve('--client-cert-allowed-hostname=client.example.com');
    assert.deepEqual([await isServed(alice), await isServed(bob)], [true, false]);
  });

  it('shows a certificate that was renewed while it ran, and speaks no older TLS than it should', async () => {
    await serve('--tls-min-version=TLS1.3');
    assert.equal(await isServed(bob, { maxVersion: 'TLSv1.2' }), false);
    assert.equal(await isServed(bob), true);
    const shown = () =>
      new Promise<string>((resolve, reject) => {
        const tls = { ca: authority.cert, cert: bob.cert, key: bob.key };
        const socket = connect({ host: '127.0.0.1', port: store!.ports[0]!, ...tls }, () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        });
        socket.on('error', reject);
      });
    const before = await shown();
    const renewed = await authority.issueServer('store', ['127.0.0.1']);
    file('server.crt', renewed.cert);
    file('server.key', renewed.key);
    await waitFor('the new certificate to be shown', 10_000, async () => (await shown()) !== before);
    assert.equal(await isServed(alice), true);
  });
});
