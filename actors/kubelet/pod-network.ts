/**
 * How a kubelet reaches into its pods: HTTP and TCP for probes and hooks, a connection for port-forward.
 * The real side (`socket-pod-network.ts`) is an edge; here is also the one for simulated nodes, where
 * everything answers.
 */
import { RuntimeError } from './container-runtime.js';

export interface HttpRequest {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly timeoutMs: number;
}

export interface PodConnection {
  readonly output: AsyncIterable<Uint8Array>;
  /** Resolves when the bytes have left. */
  write(bytes: Uint8Array): Promise<void>;
  endInput(): void;
  close(): void;
}

export interface PodNetwork {
  /** Resolves with the status and the start of the body; rejects if there was no answer in time. */
  http(request: HttpRequest): Promise<{ readonly status: number; readonly body: string }>;
  /** Resolves when a connection was made and closed again. */
  probeTcp(host: string, port: number, timeoutMs: number): Promise<void>;
  connect(host: string, port: number): Promise<PodConnection>;
}

export const simulatedPodNetwork: PodNetwork = {
  http: async () => ({ status: 200, body: 'ok' }),
  probeTcp: async () => {},
  connect: async (host, port) => {
    throw new RuntimeError('NotRunning', `nothing listens on ${host}:${port}: the pod is simulated`);
  },
};
