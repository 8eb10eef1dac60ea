/**
 * Edge: mount namespaces for containers, without a container runtime. `unshare` gives a process its own mounts (as root
 * directly, otherwise in a user namespace in which it stays the same user), a short shell script builds the view that
 * `view-plan.ts` has planned and then becomes the container's program, so that pid, process group, signals and exit code
 * are those of the program. Whether the machine allows this is tried out once, with all that a view can need.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RuntimeLimits } from './limits.js';
import { type HostTree, isWithin, planView, type ViewMount, type ViewPlan } from './view-plan.js';

export interface ViewProgram {
  readonly argv: readonly string[];
  /** The first of these folders that is there is the working directory. */
  readonly folders: readonly string[];
  readonly user?: number | undefined;
  readonly group?: number | undefined;
}

/** What to spawn, with a pipe as file descriptor 3: see `setUp`. */
export interface ViewCommand {
  readonly file: string;
  readonly args: readonly string[];
}

/** `ok` on descriptor 3 before its end says that the program runs now; anything else is why it does not. */
export const readyWord = 'ok';

const toolNames = [
  'sh',
  'unshare',
  'nsenter',
  'setpriv',
  'mount',
  'umount',
  'pivot_root',
  'mkdir',
  'cp',
  'chmod',
];
type Tools = Readonly<Record<string, string>>;
type Way = 'mount namespace' | 'user and mount namespace';

export class MountViews {
  readonly way: Way;
  readonly #tools: Tools;
  readonly #limits: RuntimeLimits;
  readonly #dataDir: string;

  private constructor(way: Way, tools: Tools, limits: RuntimeLimits, dataDir: string) {
    this.way = way;
    this.#tools = tools;
    this.#limits = limits;
    this.#dataDir = dataDir;
  }

  /** Resolves with why not, in a few words, where the machine does not allow it. */
  static async find(dataDir: string, limits: RuntimeLimits): Promise<MountViews | string> {
    const { tools, missing } = findTools();
    if (missing !== undefined) return `${missing} of util-linux or coreutils is not there`;
    const way = process.getuid?.() === 0 ? 'mount namespace' : 'user and mount namespace';
    const views = new MountViews(way, tools, limits, realpathSync(dataDir));
    return (await views.#try()) ?? views;
  }

  /** Builds the view of a container and runs its program in it. `store` is an empty folder. Throws RuntimeError. */
  run(store: string, mounts: readonly ViewMount[], program: ViewProgram): ViewCommand {
    const request = { mounts, store, dataDir: this.#dataDir, entriesMax: this.#limits.viewEntriesMax };
    const plan = planView(request, hostTree());
    const user = this.way === 'mount namespace' ? [] : ['--user', '--map-current-user', '--keep-caps'];
    const script = this.#script([...this.#building(plan, store), ...this.#starting(program)]);
    const args = [...user, '--mount', '--propagation', 'slave', '--', this.#tools['sh']!, '-c', script];
    return { file: this.#tools['unshare']!, args: [...args, 'kabuki', ...program.argv] };
  }

  /** Runs another program in the view of a running one. */
  enter(pid: number, program: ViewProgram): ViewCommand {
    const user = this.way === 'mount namespace' ? [] : ['--user', '--preserve-credentials'];
    const script = this.#script(this.#starting(program));
    const args = [...user, '--mount', '--target', String(pid), '--', this.#tools['sh']!, '-c', script];
    return { file: this.#tools['nsenter']!, args: [...args, 'kabuki', ...program.argv] };
  }

  #script(lines: readonly string[]): string {
    return ['set -e', 'exec 4>&2 2>&3', ...lines].join('\n');
  }

  #building(plan: ViewPlan, store: string): string[] {
    const { mount, umount, mkdir: makeFolders, cp, chmod, pivot_root: pivot } = this.#tools;
    const size = `size=${this.#limits.viewBytesMax},mode=0755`;
    const lines = [
      `${mount} -t tmpfs -o ${size} kabuki ${quoted(store)}`,
      `${makeFolders} -p ${plan.folders.map(quoted).join(' ')}`,
      ...plan.modes.map(({ path, mode }) => `${chmod} ${mode.toString(8)} ${quoted(path)}`),
      ...plan.files.map((path) => `: > ${quoted(path)}`),
    ];
    for (const into of new Set(plan.links.map((link) => link.into))) {
      const own = plan.links.filter((link) => link.into === into).map(({ from }) => quoted(from));
      lines.push(`${cp} -P ${own.join(' ')} ${quoted(`${into}/`)}`);
    }
    const mountAll = (table: readonly string[]) => [
      `printf '%s\\n' ${table.map(quoted).join(' ')} > ${quoted(`${store}/table`)}`,
      `${mount} -a -T ${quoted(`${store}/table`)}`,
    ];
    lines.push(...mountAll(plan.table));
    for (const { target, kind, line } of plan.nested) {
      const folder = kind === 'folder' ? target : target.slice(0, target.lastIndexOf('/'));
      lines.push(`[ -d ${quoted(folder)} ] || ${makeFolders} -p ${quoted(folder)}`);
      if (kind === 'file') lines.push(`[ -e ${quoted(target)} ] || : > ${quoted(target)}`);
      lines.push(...mountAll([line]));
    }
    return [...lines, `cd ${quoted(plan.root)}`, `${pivot} . .`, `${umount} -l .`, 'cd /'];
  }

  #starting({ folders, user, group }: ViewProgram): string[] {
    const cd = folders.map((folder) => `cd ${quoted(folder)}`).join(' 2>/dev/null || ');
    return [
      cd,
      // The shell makes these two; a program is not to see them.
      'unset OLDPWD',
      'case "$1" in',
      `*/*) [ -f "$1" ] && [ -x "$1" ] || { echo "exec: \\"$1\\": no such program in the container" >&2; exit 127; } ;;`,
      '*) command -v -- "$1" >/dev/null || ' +
        '{ echo "exec: \\"$1\\": executable file not found in \\$PATH" >&2; exit 127; } ;;',
      'esac',
      `echo ${readyWord} >&3`,
      'exec 2>&4 3>&- 4>&-',
      `exec ${this.#privileges(user, group)}"$@"`,
    ];
  }

  #privileges(user: number | undefined, group: number | undefined): string {
    const { setpriv } = this.#tools;
    // In a user namespace all rights over it were needed to mount; the program gets none of them.
    if (this.way !== 'mount namespace') return `${setpriv} --ambient-caps -all --inh-caps -all -- `;
    if (user === undefined && group === undefined) return '';
    const ids = [
      ...(user === undefined ? [] : [`--reuid ${user}`]),
      ...(group === undefined ? [] : [`--regid ${group}`]),
    ];
    return `${setpriv} ${ids.join(' ')} --clear-groups -- `;
  }

  /** A mount point that is there, one in `/`, one in an overlay, one in a rebuilt folder; then another process in it. */
  async #try(): Promise<string | undefined> {
    const folder = await mkdtemp(join(this.#dataDir, '.views-'));
    try {
      const [store, crowd, volume] = ['store', 'crowd', 'volume'].map((name) => join(folder, name)) as [
        string,
        string,
        string,
      ];
      for (const path of [store, crowd, volume]) await mkdir(path);
      for (let i = 0; i < 40; i += 1) await mkdir(join(crowd, `entry-${i}`));
      await writeFile(join(volume, 'proof'), '');
      const paths = ['/kabuki-probe/a', '/dev/kabuki-probe', `${crowd}/new/b`, `${crowd}/entry-1`];
      const mounts = paths.map((mountPath) => ({
        source: volume,
        mountPath,
        readOnly: true,
        kind: 'folder' as const,
      }));
      const proof = paths.map((path) => `[ -e ${quoted(path)}/proof ]`).join(' && ');
      const test = { argv: ['/bin/sh', '-c', `${proof} && echo there && read line`], folders: ['/'] };
      return await tryOut(this.run(store, mounts, test), (pid) =>
        this.enter(pid, { ...test, argv: ['/bin/sh', '-c', `${proof} && echo there`] }),
      );
    } catch (error) {
      return (error as Error).message;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

/** Runs a command until it says `there`, then the second one beside it. Resolves with what went wrong, if anything. */
async function tryOut(
  first: ViewCommand,
  second: ((pid: number) => ViewCommand) | undefined,
): Promise<string | undefined> {
  const child = spawn(first.file, first.args, { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
  let complaint = '';
  let said = '';
  child.stdin.on('error', () => {});
  child.stderr.on('data', (bytes: Buffer) => (complaint += bytes.toString()));
  child.stdio[3]!.on('data', (bytes: Buffer) => (complaint += bytes.toString()));
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', (error) => {
      complaint += error.message;
      resolve();
    });
  });
  const proven = new Promise<boolean>((resolve) => {
    child.stdout.on('data', (bytes: Buffer) => {
      said += bytes.toString();
      if (said.includes('there\n')) resolve(true);
    });
    void ended.then(() => resolve(false));
  });
  const failure = (await proven)
    ? await (second && tryOut(second(child.pid!), undefined))
    : firstLine(complaint);
  child.stdin.end();
  await ended;
  return failure;
}

function firstLine(text: string): string {
  return text.split('\n').find((line) => line !== '' && line !== readyWord) ?? 'the mounts were not seen';
}

function findTools(): { tools: Tools; missing?: string } {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  const tools: Record<string, string> = {};
  for (const name of toolNames) {
    const path = folders
      .map((folder) => join(folder, name))
      .find((each) => /^\/[\w./-]+$/.test(each) && isProgram(each));
    if (path === undefined) return { tools, missing: name };
    tools[name] = path;
  }
  return { tools };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The machine's file system, as it is now. */
function hostTree(): HostTree {
  const mounts = mountTable();
  return {
    resolve: (path) => {
      const real = orUndefined(() => realpathSync(path));
      const found = real === undefined ? undefined : statSync(real, { throwIfNoEntry: false });
      if (real === undefined || found === undefined) return undefined;
      return { path: real, kind: found.isDirectory() ? 'folder' : 'file', mode: found.mode & 0o7777 };
    },
    entries: (folder) =>
      readdirSync(folder, { withFileTypes: true }).map((entry) => ({
        name: entry.name,
        kind: entry.isSymbolicLink() ? 'link' : entry.isDirectory() ? 'folder' : 'file',
      })),
    hasMountsBelow: (folder) => mounts.some(({ at }) => at !== folder && isWithin(at, folder)),
    lockedFlags: (path) => {
      const holder = mounts
        .filter(({ at }) => isWithin(path, at))
        .reduce((a, b) => (b.at.length >= a.at.length ? b : a));
      return holder.flags;
    },
  };
}

interface MountEntry {
  readonly at: string;
  readonly flags: readonly string[];
}

/** proc_pid_mountinfo(5): the fifth field is the place, the sixth the mount's own options. */
function mountTable(): MountEntry[] {
  const kept = new Set(['nosuid', 'nodev', 'noexec']);
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const fields = line.split(' ');
    const at = fields[4]!.replaceAll(/\\([0-7]{3})/g, (_all, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    return { at, flags: fields[5]!.split(',').filter((flag) => kept.has(flag)) };
  });
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    // Not there, or not to be seen by us: in both cases nothing can be mounted onto it.
    return undefined;
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
