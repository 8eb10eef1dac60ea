/**
 * One call of Maintenance.Snapshot: the file of an etcd snapshot in blocks, no faster than the client takes them. The last
 * block is the sum of all others, and no bytes are said to remain before it (etcd api/v3rpc/maintenance.go).
 */
import { type BackupDesk, BackupError, type BackupSpool } from '../backup/index.js';
import type { ClusterView } from './cluster-view.js';
import type { StreamCall, StreamHandler } from './method.js';
import type { SnapshotResponse } from './rpc-messages.js';
import { code, GrpcError, toGrpcError } from './status.js';

const SUM_BYTES = 32;

export class SnapshotStream implements StreamHandler<object> {
  readonly #call: StreamCall<SnapshotResponse>;
  readonly #backups: BackupDesk;
  readonly #view: ClusterView;
  #hasBegun = false;
  #wake: () => void = () => {};

  constructor(call: StreamCall<SnapshotResponse>, backups: BackupDesk, view: ClusterView) {
    this.#call = call;
    this.#backups = backups;
    this.#view = view;
    call.onGone(() => this.#wake());
  }

  message(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    void this.#run();
  }

  finished(): void {
    if (!this.#hasBegun) this.#call.end(new GrpcError(code.internal, 'grpc: the request has no message'));
  }

  drained(): void {
    this.#wake();
  }

  async #run(): Promise<void> {
    let spool: BackupSpool | undefined;
    try {
      spool = await this.#backups.take({ isUnwanted: () => this.#call.isGone });
      await this.#send(spool);
      this.#call.end();
    } catch (error) {
      const isBusy = error instanceof BackupError && error.code === 'Busy';
      this.#call.end(
        isBusy
          ? new GrpcError(code.resourceExhausted, `etcdserver: ${error.message}`, { cause: error })
          : toGrpcError(error),
      );
    } finally {
      await spool?.remove();
    }
  }

  async #send(spool: BackupSpool): Promise<void> {
    let remainingBytes = spool.bytes - SUM_BYTES;
    for await (const blob of spool.blocks()) {
      remainingBytes = Math.max(0, remainingBytes - blob.length);
      const header = this.#view.header(spool.head.revision);
      const isRoom = this.#call.send({ header, remainingBytes, blob });
      if (this.#call.isGone) return;
      if (!isRoom) await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
