/**
 * Edge: starts the programs of one container, its own and those of exec: in their folder, with their environment, as their
 * user, and, where the container has mounts, in its view of the file system. What cannot run is refused with the reason.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { Readable } from 'node:stream';
import { type ContainerConfig, type ExecRequest, RuntimeError } from './container-runtime.js';
import type { RuntimeLimits } from './limits.js';
import { type MountViews, readyWord, type ViewCommand, type ViewProgram } from './mount-views.js';
import { containerIdVariable } from './process-group.js';
import { type Ending, endingOf } from './process-streams.js';
import type { ViewMount } from './view-plan.js';
import { holds, viewMounts } from './volume-files.js';

export interface ContainerProgramsOptions {
  readonly containerId: string;
  readonly config: ContainerConfig;
  /** The container's own folder; what has no place elsewhere is below it. */
  readonly root: string;
  /** Where its view of the file system is kept. */
  readonly viewDir: string;
  readonly volumesDir: string;
  readonly limits: RuntimeLimits;
  /** Undefined where the machine does not allow mount namespaces. */
  readonly views: MountViews | undefined;
}

export interface Launched {
  readonly child: ChildProcess;
  readonly ending: Ending;
}

export interface Refused {
  readonly refusal: string;
}

/** Takes hold of a process's pipes. */
export type Wiring = (child: ChildProcess, ending: Ending) => void;

export class ContainerPrograms {
  readonly #options: ContainerProgramsOptions;

  constructor(options: ContainerProgramsOptions) {
    this.#options = options;
  }

  /** Resolves when the container's own program runs, in its view of the file system if it has mounts. */
  async start(wire: Wiring): Promise<Launched | Refused> {
    const { config, root } = this.#options;
    await mkdir(join(root, parentOf(config.terminationMessagePath)), { recursive: true });
    const cwd = await this.#workingDir();
    if (config.user !== undefined && process.getuid?.() === 0) {
      await chown(root, config.user, config.group ?? config.user);
    }
    const stdin = config.stdin ? 'pipe' : 'ignore';
    if ((config.argv[0] ?? '') === '') return { refusal: 'no command specified' };
    const views = this.#viewsInUse;
    if (views === undefined) {
      const refusal = programRefusal(config.argv[0]!, cwd, this.#environment());
      return refusal === undefined ? this.#spawn(config.argv, cwd, stdin, wire) : { refusal };
    }
    let command: ViewCommand;
    try {
      command = await this.#viewCommand(views, cwd);
    } catch (error) {
      if (!isExpected(error)) throw error;
      return { refusal: error.message };
    }
    return this.#spawnInView(command, stdin, wire);
  }

  /** Beside the program that leads `groupId`. */
  async exec(request: ExecRequest, groupId: number, wire: Wiring): Promise<Launched | Refused> {
    const argv = replaceProgram(this.#options.config, request.command);
    const cwd = await this.#workingDir();
    const stdin = request.stdin ? 'pipe' : 'ignore';
    const views = this.#viewsInUse;
    if (views !== undefined) {
      return this.#spawnInView(views.enter(groupId, this.#viewProgram(argv, cwd)), stdin, wire);
    }
    const launched = await this.#spawn(argv, cwd, stdin, wire);
    if ('child' in launched) return launched;
    return { refusal: `exec: ${JSON.stringify(argv[0])}: ${launched.refusal}` };
  }

  get #viewsInUse(): MountViews | undefined {
    return this.#options.config.mounts.length > 0 ? this.#options.views : undefined;
  }

  async #viewCommand(views: MountViews, cwd: string): Promise<ViewCommand> {
    const { config, viewDir, volumesDir } = this.#options;
    await mkdir(viewDir, { recursive: true });
    const mounts = viewMounts(volumesDir, config.mounts);
    const message = await this.#messageMount();
    const all = message === undefined ? mounts : [...mounts, message];
    return views.run(realpathSync(viewDir), all, this.#viewProgram(config.argv, cwd));
  }

  async #spawn(
    argv: readonly string[],
    cwd: string,
    stdin: 'pipe' | 'ignore',
    wire: Wiring,
  ): Promise<Launched | Refused> {
    const { user, group } = this.#options.config;
    const asRoot = process.getuid?.() === 0;
    const child = spawn(argv[0] ?? '', argv.slice(1), {
      cwd,
      detached: true,
      env: this.#environment(),
      ...(asRoot && user !== undefined ? { uid: user } : {}),
      ...(asRoot && group !== undefined ? { gid: group } : {}),
      stdio: [stdin, 'pipe', 'pipe'],
    });
    const ending = endingOf(child);
    if (child.pid !== undefined) wire(child, ending);
    const failure = await spawned(child);
    return failure === undefined ? { child, ending } : { refusal: failure.message };
  }

  async #spawnInView(
    command: ViewCommand,
    stdin: 'pipe' | 'ignore',
    wire: Wiring,
  ): Promise<Launched | Refused> {
    const child = spawn(command.file, command.args, {
      cwd: '/',
      detached: true,
      env: this.#environment(),
      stdio: [stdin, 'pipe', 'pipe', 'pipe'],
    });
    const ending = endingOf(child);
    if (child.pid !== undefined) wire(child, ending);
    const failure = await refusalOf(child, ending, this.#options.limits);
    return failure === undefined ? { child, ending } : { refusal: failure };
  }

  /** The file for the termination message, to be put where the container writes it; none if that is in a volume. */
  async #messageMount(): Promise<ViewMount | undefined> {
    const { config, root } = this.#options;
    const mountPath = config.terminationMessagePath;
    if (config.mounts.some((mount) => mount.mountPath === mountPath || holds(mount.mountPath, mountPath))) {
      return undefined;
    }
    const path = join(root, mountPath);
    await writeFile(path, '');
    await chmod(path, 0o666);
    return { source: realpathSync(path), mountPath, readOnly: false, kind: 'file' };
  }

  #viewProgram(argv: readonly string[], cwd: string): ViewProgram {
    const { workingDir, user, group } = this.#options.config;
    return { argv, folders: workingDir === undefined ? [cwd] : [workingDir, cwd], user, group };
  }

  /** A folder of this machine if there is one of that name, else one below the container's root. */
  async #workingDir(): Promise<string> {
    const { config, root } = this.#options;
    if (config.workingDir === undefined) return root;
    if (statSync(config.workingDir, { throwIfNoEntry: false })?.isDirectory()) return config.workingDir;
    const inRoot = join(root, config.workingDir);
    await mkdir(inRoot, { recursive: true });
    return inRoot;
  }

  /** Nothing of the kubelet's own environment but PATH: it may hold secrets. */
  #environment(): Record<string, string> {
    const { config, root, containerId } = this.#options;
    const volumes = config.mounts.map(
      ({ volume, mountPath }) =>
        [
          `KABUKI_VOLUME_${volume.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`,
          join(root, mountPath),
        ] as const,
    );
    return {
      PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
      HOME: root,
      ...config.image.env,
      ...Object.fromEntries(volumes),
      ...Object.fromEntries(config.env),
      KABUKI_NODE: config.nodeName,
      KABUKI_ROOT: root,
      [containerIdVariable]: containerId,
    };
  }
}

/** Node reports ENOENT alike for a missing program and a missing folder; look first, to say which. */
function programRefusal(
  name: string,
  cwd: string,
  env: Readonly<Record<string, string>>,
): string | undefined {
  if (name.includes('/')) {
    const path = isAbsolute(name) ? name : join(cwd, name);
    return executable(path) ? undefined : `exec: ${JSON.stringify(name)}: no such file on this machine`;
  }
  const folders = (env['PATH'] ?? '').split(':');
  if (folders.some((folder) => executable(join(folder, name)))) return undefined;
  return `exec: ${JSON.stringify(name)}: executable file not found in $PATH`;
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function replaceProgram(config: ContainerConfig, command: readonly string[]): readonly string[] {
  const [name = '', ...rest] = command;
  return [...(config.image.programs[name] ?? [name]), ...rest];
}

/** Undefined once the process runs; the error if it could not be started. */
function spawned(child: ChildProcess): Promise<Error | undefined> {
  return new Promise((resolve) => {
    child.once('spawn', () => resolve(undefined));
    child.once('error', resolve);
  });
}

/** What keeps the program from running; undefined when it runs. Until then descriptor 3 speaks for the container. */
async function refusalOf(
  child: ChildProcess,
  ending: Ending,
  { messageBytesMax }: RuntimeLimits,
): Promise<string | undefined> {
  if (child.pid === undefined) return (await spawned(child))?.message;
  let said = '';
  let complaint = '';
  const pipe = child.stdio[3] as Readable;
  const piped = new Promise<void>((resolve) => {
    pipe.on('data', (bytes: Buffer) => (said += bytes.toString('utf8')));
    pipe.once('error', () => resolve());
    pipe.once('close', () => resolve());
  });
  const listen = (bytes: Buffer) => {
    complaint = (complaint + bytes.toString('utf8')).slice(0, messageBytesMax);
  };
  child.stderr!.on('data', listen);
  await piped;
  child.stderr!.off('data', listen);
  if (said.trimEnd().split('\n').at(-1) === readyWord) return undefined;
  child.stderr!.on('data', listen);
  const exitCode = await ending.exit;
  await ending.closed;
  const why = (said + complaint).trim().slice(0, messageBytesMax);
  return why || `it ended with code ${exitCode} while its mounts were made`;
}

/** Errors of the pod's volumes, or of the machine's file system. */
function isExpected(error: unknown): error is Error {
  return error instanceof RuntimeError || (error as NodeJS.ErrnoException).syscall !== undefined;
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')));
}
