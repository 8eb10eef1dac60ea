/**
 * A snapshot that is too large for one letter travels in pieces (Raft figure 13, InstallSnapshot RPC with offset and
 * data). The sender keeps a window of pieces under way and goes back to what was confirmed when nothing comes; the
 * receiver takes them in order. The core knows nothing of it: it is given the whole snapshot, as if it had come at once.
 */
import type { Message, SnapshotMessage } from './core/messages.js';
import type { LogIndex, MemberId, SnapshotMeta, Term } from './core/types.js';

interface PieceLetter {
  readonly from: MemberId;
  readonly to: MemberId;
  /** The leader's term, also in the answer. */
  readonly term: Term;
}

export interface SnapshotPiece extends PieceLetter {
  readonly type: 'snapshot-piece';
  readonly meta: SnapshotMeta;
  /** Of `data` in the snapshot, bytes. */
  readonly offset: number;
  /** Bytes of the whole snapshot. */
  readonly total: number;
  readonly data: Uint8Array;
}

export interface SnapshotPieceAccepted extends PieceLetter {
  readonly type: 'snapshot-piece-accepted';
  readonly index: LogIndex;
  /** Bytes that are there without a gap. */
  readonly received: number;
}

/** All that members write to each other. */
export type Letter = Message | SnapshotPiece | SnapshotPieceAccepted;

export interface PieceLimits {
  readonly snapshotPieceBytes: number;
  readonly snapshotPiecesInFlightMax: number;
  /** Without an answer for so long, the pieces under way are sent again. */
  readonly snapshotPieceRetryTicks: number;
  /** The core gives a snapshot up after this. */
  readonly snapshotRetryTicks: number;
}

interface Transfer {
  readonly message: SnapshotMessage;
  confirmed: number;
  sent: number;
  idleTicks: number;
}

/** A leader's side; at most one transfer to a peer. */
export class PieceSender {
  readonly #transfers = new Map<MemberId, Transfer>();
  readonly #limits: PieceLimits;
  readonly #send: (letter: Letter) => void;

  constructor(limits: PieceLimits, send: (letter: Letter) => void) {
    this.#limits = limits;
    this.#send = send;
  }

  begin(message: SnapshotMessage): void {
    const underWay = this.#transfers.get(message.to)?.message;
    if (underWay?.term === message.term && underWay.meta.index === message.meta.index) return;
    const transfer: Transfer = { message, confirmed: 0, sent: 0, idleTicks: 0 };
    this.#transfers.set(message.to, transfer);
    this.#fillWindow(transfer);
  }

  /** Returns whether more of the snapshot is there than before. */
  accepted({ from, term, index, received }: SnapshotPieceAccepted): boolean {
    const transfer = this.#transfers.get(from);
    if (transfer?.message.term !== term || transfer.message.meta.index !== index) return false;
    if (received <= transfer.confirmed || received > transfer.message.data.length) return false;
    transfer.confirmed = received;
    transfer.sent = Math.max(transfer.sent, received);
    transfer.idleTicks = 0;
    if (received === transfer.message.data.length) this.#transfers.delete(from);
    else this.#fillWindow(transfer);
    return true;
  }

  /** `term` is the one that this member leads in; null when it does not. */
  tick(term: Term | null): void {
    const { snapshotPieceRetryTicks, snapshotRetryTicks } = this.#limits;
    for (const [to, transfer] of this.#transfers) {
      transfer.idleTicks += 1;
      if (transfer.message.term !== term || transfer.idleTicks >= snapshotRetryTicks) {
        this.#transfers.delete(to);
      } else if (transfer.idleTicks % snapshotPieceRetryTicks === 0) {
        transfer.sent = transfer.confirmed;
        this.#fillWindow(transfer);
      }
    }
  }

  #fillWindow(transfer: Transfer): void {
    const { snapshotPieceBytes, snapshotPiecesInFlightMax } = this.#limits;
    const { data, from, to, term, meta } = transfer.message;
    const end = Math.min(data.length, transfer.confirmed + snapshotPieceBytes * snapshotPiecesInFlightMax);
    while (transfer.sent < end) {
      const offset = transfer.sent;
      const piece = data.subarray(offset, offset + snapshotPieceBytes);
      transfer.sent += piece.length;
      const total = data.length;
      this.#send({ type: 'snapshot-piece', from, to, term, meta, offset, total, data: piece });
    }
  }
}

/** A follower's side: the snapshot that is coming in, the newest only. */
export class PieceReceiver {
  #first: SnapshotPiece | undefined;
  #data = new Uint8Array(0);
  #received = 0;

  /** `whole` is there once, with the last piece. */
  add(piece: SnapshotPiece): { readonly received: number; readonly whole?: Uint8Array } {
    if (!this.#isNext(piece)) {
      if (piece.offset > 0) return { received: 0 };
      this.#first = piece;
      this.#data = new Uint8Array(piece.total);
      this.#received = 0;
    }
    const { offset, data } = piece;
    if (offset > this.#received || offset + data.length <= this.#received)
      return { received: this.#received };
    this.#data.set(data, offset);
    this.#received = offset + data.length;
    if (this.#received < piece.total) return { received: this.#received };
    const whole = this.#data;
    this.forget();
    return { received: piece.total, whole };
  }

  forget(): void {
    this.#first = undefined;
    this.#data = new Uint8Array(0);
    this.#received = 0;
  }

  #isNext({ from, term, meta, total }: SnapshotPiece): boolean {
    const first = this.#first;
    return (
      first?.from === from &&
      first.term === term &&
      first.meta.index === meta.index &&
      first.meta.term === meta.term &&
      first.total === total
    );
  }
}
