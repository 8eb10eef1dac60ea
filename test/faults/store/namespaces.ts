/**
 * A network of the kernel's own for the members: each in a network namespace, a bridge between them, and rules of nftables that
 * drop packets from one to another. Connections stay open and fall silent, as when a switch fails; what was on its way comes
 * late when it is mended. Needs root; `netem` (delay, loss) is not in every kernel and not used.
 */
import { spawnSync } from 'node:child_process';

interface Place {
  readonly namespace: string;
  readonly address: string;
}

let made = 0;

const alive = new Set<Namespaces>();
process.on('exit', () => {
  for (const namespaces of alive) namespaces.remove();
});

export class Namespaces {
  readonly #bridge: string;
  /** Addresses for benchmarks (RFC 2544): nobody's own network. */
  readonly #net: string;
  readonly #places: ReadonlyMap<string, Place>;

  private constructor(names: readonly string[]) {
    made += 1;
    this.#bridge = `kb${process.pid % 100_000}g${made}`;
    this.#net = `198.${18 + (made % 2)}.${(process.pid + made) % 256}`;
    this.#places = new Map(
      names.map((name, at) => [
        name,
        { namespace: `${this.#bridge}-${at + 1}`, address: `${this.#net}.${at + 1}` },
      ]),
    );
  }

  /** Why there can be none here; undefined: there can. */
  static missing(): string | undefined {
    if (process.getuid?.() !== 0) return 'network namespaces need root';
    const tried = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
    if (tried.status !== 0) return `"ip netns" does not work here: ${tried.error?.message ?? tried.stderr}`;
    const nft = spawnSync('nft', ['list', 'tables'], { encoding: 'utf8' });
    if (nft.status !== 0) return `"nft" does not work here: ${nft.error?.message ?? nft.stderr}`;
    return undefined;
  }

  static create(names: readonly string[]): Namespaces {
    const network = new Namespaces(names);
    alive.add(network);
    try {
      network.#make();
    } catch (error) {
      network.remove();
      throw error;
    }
    return network;
  }

  get hostAddress(): string {
    return `${this.#net}.254`;
  }

  addressOf(name: string): string {
    return this.#place(name).address;
  }

  /** What starts a program there. */
  prefixOf(name: string): readonly string[] {
    return ['ip', 'netns', 'exec', this.#place(name).namespace];
  }

  /** No packet leaves `from` for `to`. */
  cut(from: string, to: string): void {
    const { namespace } = this.#place(from);
    const { address } = this.#place(to);
    run('ip', 'netns', 'exec', namespace, 'nft', `add rule inet faults out ip daddr ${address} drop`);
  }

  heal(): void {
    for (const { namespace } of this.#places.values()) {
      run('ip', 'netns', 'exec', namespace, 'nft', 'flush chain inet faults out');
    }
  }

  remove(): void {
    alive.delete(this);
    for (const { namespace } of this.#places.values()) spawnSync('ip', ['netns', 'del', namespace]);
    spawnSync('ip', ['link', 'del', this.#bridge]);
  }

  #make(): void {
    const bridge = this.#bridge;
    run('ip', 'link', 'add', bridge, 'type', 'bridge');
    run('ip', 'addr', 'add', `${this.hostAddress}/24`, 'dev', bridge);
    run('ip', 'link', 'set', bridge, 'up');
    for (const [at, { namespace, address }] of [...this.#places.values()].entries()) {
      const outside = `${bridge}v${at + 1}`;
      run('ip', 'netns', 'add', namespace);
      run('ip', 'link', 'add', outside, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
      run('ip', 'link', 'set', outside, 'master', bridge, 'up');
      const inside = ['ip', 'netns', 'exec', namespace];
      run(...inside, 'ip', 'addr', 'add', `${address}/24`, 'dev', 'eth0');
      run(...inside, 'ip', 'link', 'set', 'eth0', 'up');
      run(...inside, 'ip', 'link', 'set', 'lo', 'up');
      run(...inside, 'nft', 'add table inet faults');
      run(...inside, 'nft', 'add chain inet faults out { type filter hook output priority 0 ; }');
    }
  }

  #place(name: string): Place {
    const place = this.#places.get(name);
    if (!place) throw new TypeError(`${name} has no namespace`);
    return place;
  }
}

function run(...[command = '', ...args]: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status === 0) return;
  throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
}
