/**
 * The folder of one cluster: `cluster.json`, `kubeconfig`, `pki/`, and per machine `machines/NAME/` (keys, journal,
 * log, store data, pods). Everything in it is for its owner's eyes only. Sockets live in the system's temporary folder because
 * their paths may have only about 100 characters.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type ClusterSpec, mainNode, storeMachines, storeNode } from './cluster-spec.js';

export interface MachineKeys {
  /** CURVE secret key, Z85. */
  readonly secretKey: string;
}

export class DataDirError extends Error {
  readonly code: 'NoCluster' | 'Unreadable' | 'NoFolder';

  constructor(code: DataDirError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DataDirError';
    this.code = code;
  }
}

export class DataDir {
  readonly path: string;

  constructor(path: string) {
    // It would be the folder that one happens to be in.
    if (path === '') throw new DataDirError('NoFolder', 'a folder must have a name: --data-dir is empty');
    this.path = resolve(path);
  }

  get exists(): boolean {
    return existsSync(this.#file('cluster.json'));
  }

  get kubeconfigPath(): string {
    return this.#file('kubeconfig');
  }

  /** Creates the folder for its owner only, also when it was there with wider rights. */
  create(): void {
    try {
      makeFolder(this.path);
      chmodSync(this.path, 0o700);
    } catch (cause) {
      const why = `the folder ${this.path} cannot be used: ${(cause as Error).message}`;
      throw new DataDirError('NoFolder', `${why}: name another one with --data-dir`, { cause });
    }
  }

  machineDir(name: string): string {
    const dir = this.#file('machines', name);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    return dir;
  }

  /** Its member of the store was removed from the group: it is not started again. */
  markRemoved(machine: string): void {
    writeFileSync(join(this.machineDir(machine), 'removed'), '', { mode: 0o600 });
  }

  isRemoved(machine: string): boolean {
    return existsSync(this.#file('machines', machine, 'removed'));
  }

  /** Static pods: the kubelet of the machine runs every manifest that lies here. */
  manifestDir(machine: string): string {
    const dir = join(this.machineDir(machine), 'manifests');
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    return dir;
  }

  journalPath(machine: string, node: string): string {
    return join(this.machineDir(machine), `${node}.journal.ndjson`);
  }

  /** Journals that exist, of all nodes. */
  journalPaths(spec: ClusterSpec): string[] {
    return [
      ...spec.machines.map((machine) => this.journalPath(machine.name, mainNode(machine))),
      ...storeMachines(spec).map((machine) => this.journalPath(machine.name, storeNode(machine))),
    ].filter((path) => existsSync(path));
  }

  /** Whether the machine's store member has had a log: without one it must not begin as if it were new. */
  storeHasRun(machine: string): boolean {
    return existsSync(this.#storeMark(machine));
  }

  noteStoreRuns(machine: string): void {
    if (!this.storeHasRun(machine)) writeFileSync(this.#storeMark(machine), '', { mode: 0o600 });
  }

  #storeMark(machine: string): string {
    return join(this.machineDir(machine), 'store.has-run');
  }

  logPath(machine: string): string {
    return join(this.machineDir(machine), 'log');
  }

  /** Of a member's log and snapshots, whether it is there or not. */
  storePath(machine: string): string {
    return this.#file('machines', machine, 'store');
  }

  /** Folder of the control sockets, derived from the data directory, mode 0700. */
  runDir(): string {
    this.create();
    const dir = this.#runPath();
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    chmodSync(dir, 0o700);
    return dir;
  }

  socketPath(name: string): string {
    return join(this.runDir(), `${name}.sock`);
  }

  /** Where a socket is if it is there; makes nothing. */
  peekSocketPath(name: string): string {
    return join(this.#runPath(), `${name}.sock`);
  }

  #runPath(): string {
    const key = createHash('sha256').update(realpathSync(this.path)).digest('hex').slice(0, 12);
    return join(tmpdir(), `kabuki-${process.getuid?.() ?? 0}-${key}`);
  }

  readSpec(): ClusterSpec {
    if (!this.exists) {
      throw new DataDirError(
        'NoCluster',
        `there is no cluster in ${this.path}: start one with "kabuki up", or name its folder with --data-dir`,
      );
    }
    const text = readFileSync(this.#file('cluster.json'), 'utf8');
    try {
      const spec = JSON.parse(text) as ClusterSpec;
      if (typeof spec.id !== 'string' || !Array.isArray(spec.machines))
        throw new TypeError('fields are missing');
      return spec;
    } catch (cause) {
      const what = `${this.#file('cluster.json')} is damaged (${(cause as Error).message})`;
      throw new DataDirError('Unreadable', `${what}: remove the folder to begin anew`, { cause });
    }
  }

  writeSpec(spec: ClusterSpec): void {
    this.writeSecret('cluster.json', `${JSON.stringify(spec, null, 2)}\n`);
  }

  readText(...path: readonly string[]): string {
    return readFileSync(this.#file(...path), 'utf8');
  }

  readMachineKeys(machine: string): MachineKeys {
    return JSON.parse(this.readText('machines', machine, 'keys.json')) as MachineKeys;
  }

  writeMachineKeys(machine: string, keys: MachineKeys): void {
    this.machineDir(machine);
    this.writeSecret(join('machines', machine, 'keys.json'), `${JSON.stringify(keys)}\n`);
  }

  /** Whole or not at all, readable by the owner only. */
  writeSecret(name: string, text: string): void {
    const path = this.#file(name);
    mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
    writeFileSync(`${path}.tmp`, text, { mode: 0o600, flush: true });
    renameSync(`${path}.tmp`, path);
  }

  #file(...path: readonly string[]): string {
    return join(this.path, ...path);
  }
}

/** By itself, because Node's recursive mkdir never returns where the kernel refuses folders with ENOENT, as in /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) {
    if (!statSync(path).isDirectory()) throw new Error(`${path} is a file`);
    return;
  }
  makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Somebody else was first.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
