/**
 * What a container's view of the file system is made of; pure. The view is the host's tree with volumes put in at their
 * mount paths: a small memory file system is the new `/`, every top folder of the host is bound into it, and the volumes
 * on top. Where a mount path does not exist on the host, the folder around it is *opened*: replaced by one of our own in
 * which the mount point can be made, either with each old entry bound into it (few entries, or file systems below it,
 * which an overlay cannot show) or as an overlay. Nothing is ever made on the host, but inside of volumes.
 * See docs/decisions/0006-mount-namespaces.md.
 */
import { posix } from 'node:path';
import { compareText } from '../objects/index.js';
import { RuntimeError } from './container-runtime.js';

export interface ViewMount {
  /** Real path on the host. */
  readonly source: string;
  readonly mountPath: string;
  readonly readOnly: boolean;
  readonly kind: EntryKind;
}

export type EntryKind = 'folder' | 'file';

export interface HostEntry {
  readonly name: string;
  readonly kind: EntryKind | 'link';
}

/** What the plan asks of the host. */
export interface HostTree {
  /** With links followed; undefined if nothing is there. */
  resolve(
    path: string,
  ): { readonly path: string; readonly kind: EntryKind; readonly mode: number } | undefined;
  entries(folder: string): readonly HostEntry[];
  /** Other file systems are mounted somewhere below. */
  hasMountsBelow(folder: string): boolean;
  /** Those of nosuid, nodev and noexec that hold there: a bind mount must keep them. */
  lockedFlags(path: string): readonly string[];
}

export interface ViewPlan {
  /** In the order to make them. */
  readonly folders: readonly string[];
  readonly modes: readonly { readonly path: string; readonly mode: number }[];
  readonly files: readonly string[];
  /** Links of the host to be copied into a folder. */
  readonly links: readonly { readonly from: string; readonly into: string }[];
  /** fstab lines. */
  readonly table: readonly string[];
  /** Mounts inside of other volumes: their mount points are made in those. */
  readonly nested: readonly { readonly target: string; readonly kind: EntryKind; readonly line: string }[];
  readonly root: string;
}

export interface ViewRequest {
  readonly mounts: readonly ViewMount[];
  /** An empty folder of the host, for the memory file system. */
  readonly store: string;
  /** Stays visible as it is, whatever is opened around it. */
  readonly dataDir: string;
  readonly entriesMax: number;
}

interface MountLine {
  readonly target: string;
  readonly line: string;
}

const overlayFromEntries = 32;

/** What a container finds in an opened /dev: what runtimes give by the OCI specification, and common accelerators. */
const devices = new Set(
  'null zero full random urandom tty ptmx fuse kvm pts shm mqueue hugepages dri net fd stdin stdout stderr log'.split(
    ' ',
  ),
);

/** Throws RuntimeError BadVolume. */
export function planView(request: ViewRequest, host: HostTree): ViewPlan {
  return new Planner(request, host).plan();
}

class Planner {
  readonly #request: ViewRequest;
  readonly #host: HostTree;
  readonly #root: string;
  /** Opened folder of the host, and where entries for it are made. */
  readonly #opened = new Map<string, string>();
  readonly #folders = new Set<string>();
  readonly #modes: { path: string; mode: number }[] = [];
  readonly #files = new Set<string>();
  readonly #links: { from: string; into: string }[] = [];
  readonly #lines: MountLine[] = [];

  constructor(request: ViewRequest, host: HostTree) {
    this.#request = request;
    this.#host = host;
    this.#root = `${request.store}/root`;
  }

  plan(): ViewPlan {
    const { mounts, store } = this.#request;
    const sorted = [...mounts].sort((a, b) => comparePaths(a.mountPath, b.mountPath));
    const placed: { mountPath: string; target: string }[] = [];
    const nested: ViewPlan['nested'][number][] = [];
    this.#folders.add(this.#root);
    this.#bindEntries('/', this.#root);
    for (const mount of sorted) {
      const mountPath = normalMountPath(mount.mountPath);
      const outer = placed.findLast((other) => isWithin(mountPath, other.mountPath));
      if (outer?.mountPath === mountPath) {
        throw new RuntimeError('BadVolume', `two volumes are to be mounted at ${mountPath}`);
      }
      if (outer !== undefined) {
        const target = outer.target + mountPath.slice(outer.mountPath.length);
        nested.push({ target: this.#root + target, kind: mount.kind, line: this.#bind(mount, target) });
        placed.push({ mountPath, target });
        continue;
      }
      const target = this.#mountPoint(mount, mountPath);
      this.#lines.push({ target, line: this.#bind(mount, target) });
      placed.push({ mountPath, target });
    }
    const self = fstabLine(this.#root, this.#root, 'bind');
    // The part that holds our own store comes first, while the store is still empty: what is mounted there is bound too.
    const lines = this.#lines.sort((a, b) => comparePaths(a.target, b.target));
    const own = lines.filter(({ target }) => isTop(target) && isWithin(store, target));
    const others = lines.filter((line) => !own.includes(line));
    return {
      folders: [...this.#folders],
      modes: this.#modes,
      files: [...this.#files],
      links: this.#links,
      table: [self, ...[...own, ...others].map(({ line }) => line)],
      nested,
      root: this.#root,
    };
  }

  /** Sees to it that the mount point exists in the view; resolves links as the host has them. */
  #mountPoint(mount: ViewMount, mountPath: string): string {
    const there = this.#host.resolve(mountPath);
    if (there !== undefined) {
      if (there.kind !== mount.kind) {
        throw new RuntimeError(
          'BadVolume',
          `cannot mount a ${mount.kind} at ${mountPath}: it is a ${there.kind} on this machine`,
        );
      }
      return there.path;
    }
    let ancestor = posix.dirname(mountPath);
    let around = this.#host.resolve(ancestor);
    while (around === undefined) {
      ancestor = posix.dirname(ancestor);
      around = this.#host.resolve(ancestor);
    }
    if (around.kind === 'file') {
      throw new RuntimeError(
        'BadVolume',
        `cannot mount at ${mountPath}: ${ancestor} is a file on this machine`,
      );
    }
    if (isWithin(around.path, '/proc') || isWithin(around.path, '/sys')) {
      throw new RuntimeError(
        'BadVolume',
        `cannot mount at ${mountPath}: nothing can be made in ${around.path}`,
      );
    }
    const missing = mountPath.slice(ancestor === '/' ? 0 : ancestor.length);
    const place = this.#open(around.path, around.mode) + missing;
    if (mount.kind === 'folder') this.#folders.add(place);
    else {
      this.#folders.add(posix.dirname(place));
      this.#files.add(place);
    }
    return around.path === '/' ? missing : around.path + missing;
  }

  /** Returns the folder in which entries can be made that the view shows in `folder`. */
  #open(folder: string, mode: number): string {
    if (folder === '/') return this.#root;
    const known = this.#opened.get(folder);
    if (known !== undefined) return known;
    const { store, dataDir } = this.#request;
    const place = `${store}/${this.#opened.size}`;
    this.#opened.set(folder, place);
    this.#folders.add(place);
    if (mode !== 0o755) this.#modes.push({ path: place, mode });
    const entries = this.#host.entries(folder);
    const plain = entries.length <= overlayFromEntries || /[,:\\]/.test(folder);
    if (plain || folder === '/dev' || this.#host.hasMountsBelow(folder)) {
      this.#lines.push({ target: folder, line: fstabLine(place, this.#root + folder, 'bind') });
      this.#bindEntries(folder, place);
      return place;
    }
    const work = `${place}.work`;
    this.#folders.add(work);
    const options = `lowerdir=${folder},upperdir=${place},workdir=${work}`;
    this.#lines.push({ target: folder, line: fstabLine('overlay', this.#root + folder, options, 'overlay') });
    if (isWithin(dataDir, folder)) {
      this.#lines.push({ target: dataDir, line: fstabLine(dataDir, this.#root + dataDir, 'rbind') });
    }
    return place;
  }

  #bindEntries(folder: string, place: string): void {
    const { entriesMax } = this.#request;
    const all = this.#host.entries(folder);
    const entries = folder === '/dev' ? all.filter(({ name }) => devices.has(name)) : all;
    if (entries.length > entriesMax) {
      const why = `${folder} has more than ${entriesMax} entries and other file systems below it`;
      throw new RuntimeError('BadVolume', `nothing can be mounted in ${folder}: ${why}`);
    }
    for (const { name, kind } of entries) {
      const from = posix.join(folder, name);
      if (folder === '/' && name === 'lost+found') continue;
      const to = `${place}/${name}`;
      if (kind === 'link') this.#links.push({ from, into: place });
      else {
        if (kind === 'folder') this.#folders.add(to);
        else this.#files.add(to);
        this.#lines.push({ target: from, line: fstabLine(from, this.#root + from, 'rbind') });
      }
    }
  }

  #bind(mount: ViewMount, target: string): string {
    const options = mount.readOnly ? ['rbind', 'ro', ...this.#host.lockedFlags(mount.source)] : ['rbind'];
    return fstabLine(mount.source, this.#root + target, options.join(','));
  }
}

function normalMountPath(path: string): string {
  const normal = posix.resolve('/', path);
  if (path.split('/').includes('..'))
    throw new RuntimeError('BadVolume', `path ${path} must not contain ".."`);
  if (normal === '/') throw new RuntimeError('BadVolume', `a volume cannot be mounted at ${path}`);
  return normal;
}

function isTop(path: string): boolean {
  return path.lastIndexOf('/') === 0;
}

export function isWithin(path: string, folder: string): boolean {
  return path === folder || folder === '/' || path.startsWith(`${folder}/`);
}

/** Folders before what is in them. */
function comparePaths(a: string, b: string): number {
  return compareText(a.replaceAll('/', '\0'), b.replaceAll('/', '\0'));
}

function fstabLine(source: string, target: string, options: string, type = 'none'): string {
  return [source, target, type, options].map(fstabField).join(' ') + ' 0 0';
}

function fstabField(text: string): string {
  return text.replaceAll(
    /[\s\\#]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
}
