/**
 * Edge: volumes on disk. Files of configMap, secret, downwardAPI and projected volumes are replaced all at
 * once, as Kubernetes' AtomicWriter does: a new folder, then the link `..data` is moved to it.
 */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import {
  type ContainerMount,
  RuntimeError,
  type VolumeContent,
  type VolumeFile,
} from './container-runtime.js';
import type { ViewMount } from './view-plan.js';

export async function writeVolumeFiles(volumesDir: string, volume: VolumeContent): Promise<void> {
  const folder = join(volumesDir, volume.name);
  switch (volume.type) {
    case 'empty':
      if (existsSync(folder)) return;
      await mkdir(folder, { recursive: true });
      // Of all users of the pod, whatever our umask.
      await chmod(folder, 0o777);
      return;
    case 'files':
      await mkdir(folder, { recursive: true, mode: 0o755 });
      await replaceFiles(folder, volume.files);
      return;
    case 'host':
      await linkHostPath(folder, volume);
      return;
    default:
      volume satisfies never;
  }
}

/**
 * Makes `<root><mountPath>` lead to the volume. Links cannot put a mount inside of what another volume holds: that is
 * refused if links are `all` that the container gets, and left out if they come `besideMounts`.
 */
export async function linkMounts(
  root: string,
  volumesDir: string,
  mounts: readonly ContainerMount[],
  links: 'all' | 'besideMounts',
): Promise<void> {
  // Outer paths first, so that an inner mount is put into the outer volume.
  const sorted = [...mounts].sort((a, b) => (a.mountPath < b.mountPath ? -1 : 1));
  for (const mount of sorted) {
    const volume = join(volumesDir, mount.volume);
    const target = mount.subPath === undefined ? volume : join(volume, inside(mount.subPath));
    if (mount.subPath !== undefined && !existsSync(target)) await mkdir(target, { recursive: true });
    const place = join(root, inside(mount.mountPath));
    if (place === root)
      throw new RuntimeError('BadVolume', `a volume cannot be mounted at ${mount.mountPath}`);
    if (links === 'besideMounts' && mounts.some((other) => holds(other.mountPath, mount.mountPath))) continue;
    await mkdir(dirname(place), { recursive: true });
    await linkOnce(target, place, mount.mountPath);
  }
}

/** What is to be mounted where, as it lies on the host. */
export function viewMounts(volumesDir: string, mounts: readonly ContainerMount[]): ViewMount[] {
  return mounts.map(({ volume, subPath, mountPath, readOnly }) => {
    const path = join(volumesDir, volume, inside(subPath ?? ''));
    try {
      const source = realpathSync(path);
      return { source, mountPath, readOnly, kind: statSync(source).isDirectory() ? 'folder' : 'file' };
    } catch (error) {
      const why = `volume "${volume}" cannot be mounted at ${mountPath}: ${(error as Error).message}`;
      throw new RuntimeError('BadVolume', why, { cause: error });
    }
  });
}

export function holds(mountPath: string, path: string): boolean {
  const [outer, inner] = [normalize(`/${mountPath}/`), normalize(`/${path}/`)];
  return outer !== inner && inner.startsWith(outer);
}

/** Never removes what is there: below another mount it may be somebody's data (hostPath). */
async function linkOnce(target: string, place: string, mountPath: string): Promise<void> {
  const there = await lstat(place).catch(() => undefined);
  if (there === undefined) await symlink(target, place);
  else if (!there.isSymbolicLink() || (await readlink(place)) !== target) {
    throw new RuntimeError(
      'BadVolume',
      `cannot mount at ${mountPath}: the volume around it has something there already`,
    );
  }
}

async function replaceFiles(folder: string, files: readonly VolumeFile[]): Promise<void> {
  const data = join(folder, '..data');
  const old = await readlink(data).catch(() => undefined);
  const generation = Number(old?.slice('..v'.length) ?? 0) + 1;
  const version = `..v${generation}`;
  await rm(join(folder, version), { recursive: true, force: true });
  await mkdir(join(folder, version), { mode: 0o755 });
  for (const file of files) {
    const path = join(folder, version, inside(file.path));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, file.bytes, { mode: 0o600 });
    await chmod(path, file.mode);
  }
  await symlink(version, join(folder, '..data_new'));
  await rename(join(folder, '..data_new'), data);
  await linkNames(folder, new Set(files.map(({ path }) => normalize(path).split('/')[0]!)));
  if (old !== undefined) await rm(join(folder, old), { recursive: true, force: true });
}

/** One link `<name> -> ..data/<name>` for each first part of a path; links of files that are gone go too. */
async function linkNames(folder: string, names: ReadonlySet<string>): Promise<void> {
  for (const name of names) {
    const link = join(folder, name);
    const there = await lstat(link).catch(() => undefined);
    if (there === undefined) await symlink(join('..data', name), link);
  }
  for (const name of await readdir(folder)) {
    if (!name.startsWith('..') && !names.has(name))
      await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** hostPath: a link to the path itself, after the check that `hostPath.type` asks for. */
async function linkHostPath(folder: string, volume: Extract<VolumeContent, { type: 'host' }>): Promise<void> {
  const { path, check } = volume;
  const there = statSync(path, { throwIfNoEntry: false });
  if (there === undefined && (check === '' || check === 'DirectoryOrCreate'))
    await mkdir(path, { recursive: true, mode: 0o755 });
  else if (there === undefined && check === 'FileOrCreate') await writeFile(path, '', { mode: 0o644 });
  else if (check === 'Directory' || check === 'DirectoryOrCreate') {
    if (!there?.isDirectory())
      throw new RuntimeError('BadVolume', `hostPath type check failed: ${path} is not a directory`);
  } else if (check === 'File' || check === 'FileOrCreate') {
    if (!there?.isFile())
      throw new RuntimeError('BadVolume', `hostPath type check failed: ${path} is not a file`);
  } else if (check === 'Socket') {
    if (!there?.isSocket())
      throw new RuntimeError('BadVolume', `hostPath type check failed: ${path} is not a socket file`);
  } else if (check !== '') {
    throw new RuntimeError('BadVolume', `hostPath type ${check} is not supported by the process runtime`);
  }
  await mkdir(dirname(folder), { recursive: true });
  await rm(folder, { force: true, recursive: true });
  await symlink(path, folder);
}

/** A path that stays inside: absolute ones are taken from the root, `..` is refused. */
function inside(path: string): string {
  if (path.split('/').includes('..'))
    throw new RuntimeError('BadVolume', `path ${path} must not contain ".."`);
  return normalize(`./${path}`);
}
