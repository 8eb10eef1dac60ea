/** Makes etcd give tokens that end soon: its simple ones live for 300 s and more. */
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** An option of etcd; its keys go into the folder. */
export function shortTokens(folder: string, ttl: string): string {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const keys = `pub-key=${file('jwt.pub', publicKey)},priv-key=${file('jwt.key', privateKey)}`;
  return `--auth-token=jwt,${keys},sign-method=RS256,ttl=${ttl}`;
}
