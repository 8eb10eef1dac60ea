/** Calls by method and by how they ended, as gRPC's servers count them for Prometheus (go-grpc-prometheus). */
import { code, codeName, type GrpcCode } from './status.js';

interface Counts {
  readonly type: 'unary' | 'bidi_stream';
  started: number;
  /** By code. */
  readonly handled: number[];
}

export class RpcCounts {
  readonly #byPath = new Map<string, Counts>();

  /** Of a method that there is: what clients make up is not counted, or they could fill memory with it. */
  started(path: string, type: 'unary' | 'stream'): void {
    const counts = this.#byPath.get(path);
    if (counts) {
      counts.started += 1;
      return;
    }
    this.#byPath.set(path, { type: type === 'unary' ? 'unary' : 'bidi_stream', started: 1, handled: [] });
  }

  ended(path: string, how: GrpcCode): void {
    const handled = this.#byPath.get(path)?.handled;
    if (handled) handled[how] = (handled[how] ?? 0) + 1;
  }

  /** Streams that are open. */
  open(path: string): number {
    const counts = this.#byPath.get(path);
    return counts ? counts.started - counts.handled.reduce((sum, more) => sum + (more ?? 0), 0) : 0;
  }

  /** Each with its labels. */
  samples(): { readonly started: readonly Sample[]; readonly handled: readonly Sample[] } {
    const started: Sample[] = [];
    const handled: Sample[] = [];
    for (const path of [...this.#byPath.keys()].sort()) {
      const counts = this.#byPath.get(path)!;
      const [, service = '', method = ''] = path.split('/');
      const labels = { grpc_type: counts.type, grpc_service: service, grpc_method: method };
      started.push({ labels, value: counts.started });
      counts.handled.forEach((value, how) => {
        handled.push({ labels: { ...labels, grpc_code: goName(how as GrpcCode) }, value });
      });
    }
    return { started, handled };
  }
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

function goName(how: GrpcCode): string {
  return how === code.ok ? 'OK' : codeName(how);
}
