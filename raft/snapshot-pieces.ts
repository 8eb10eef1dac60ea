/**
 * A snapshot travels in pieces (Raft figure 13, InstallSnapshot RPC with offset and data), beside the core, which
 * only says that one is to be sent and hears when one is there. The sender reads a small window of pieces from
 * its store and goes back to what was confirmed when nothing comes; the receiver writes them, in order, to a file
 * of its own. A snapshot is known by what it is of and by the checksum of its content, so a transfer goes on where
 * it stood also after a pause, from whichever leader: the first answer says how much is there.
 */
import { crc32c } from './disk/crc32c.js';
import type { Message, SnapshotMessage } from './core/messages.js';
import type { LogIndex, MemberId, SnapshotMeta, Term } from './core/types.js';
import type { SnapshotInfo, SnapshotSink, SnapshotSource, SnapshotStore } from './storage.js';

interface PieceLetter {
  readonly from: MemberId;
  readonly to: MemberId;
  /** The leader's term, also in the answer. */
  readonly term: Term;
}

export interface SnapshotPiece extends PieceLetter {
  readonly type: 'snapshot-piece';
  readonly meta: SnapshotMeta;
  /** Of `data` in the content, bytes. */
  readonly offset: number;
  /** Bytes of the whole content, and its checksum (`SnapshotInfo`). */
  readonly total: number;
  readonly checksum: number;
  readonly data: Uint8Array;
  /** CRC-32C of `data`. */
  readonly dataChecksum: number;
}

export interface SnapshotPieceAccepted extends PieceLetter {
  readonly type: 'snapshot-piece-accepted';
  readonly index: LogIndex;
  readonly checksum: number;
  /** Bytes that are there without a gap. */
  readonly received: number;
}

/** All that members write to each other. */
export type Letter = Exclude<Message, SnapshotMessage> | SnapshotPiece | SnapshotPieceAccepted;

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
  readonly source: SnapshotSource;
  confirmed: number;
  sent: number;
  idleTicks: number;
  isReading: boolean;
  isOver: boolean;
}

/** A leader's side; at most one transfer to a peer. */
export class PieceSender {
  readonly #transfers = new Map<MemberId, Transfer>();
  readonly #limits: PieceLimits;
  readonly #send: (letter: Letter) => void;
  /** A piece cannot be read. */
  readonly #onDamage: (to: MemberId, error: unknown) => void;

  constructor(
    limits: PieceLimits,
    send: (letter: Letter) => void,
    onDamage: (to: MemberId, error: unknown) => void,
  ) {
    this.#limits = limits;
    this.#send = send;
    this.#onDamage = onDamage;
  }

  /** Of the oldest snapshot under way: its peer will need the entries behind it. */
  get oldestIndex(): LogIndex | null {
    let oldest: LogIndex | null = null;
    for (const { source } of this.#transfers.values()) {
      if (oldest === null || source.meta.index < oldest) oldest = source.meta.index;
    }
    return oldest;
  }

  isSending({ to, term, meta }: SnapshotMessage): boolean {
    const underWay = this.#transfers.get(to);
    return underWay?.message.term === term && underWay.message.meta.index === meta.index;
  }

  /** Closes `source` when it is over. */
  begin(message: SnapshotMessage, source: SnapshotSource): void {
    this.#end(this.#transfers.get(message.to));
    const transfer = {
      message,
      source,
      confirmed: 0,
      sent: 0,
      idleTicks: 0,
      isReading: false,
      isOver: false,
    };
    this.#transfers.set(message.to, transfer);
    this.#fillWindow(transfer);
  }

  /** Returns whether more of the snapshot is there than before. */
  accepted({ from, term, index, checksum, received }: SnapshotPieceAccepted): boolean {
    const transfer = this.#transfers.get(from);
    if (transfer === undefined) return false;
    const { message, source } = transfer;
    if (message.term !== term || source.meta.index !== index || source.checksum !== checksum) return false;
    if (received > source.bytes) return false;
    if (received < transfer.confirmed) {
      // It has been there and is not any more: the receiver has begun anew.
      if (received > 0) return false;
      transfer.confirmed = transfer.sent = 0;
    }
    const news = received > transfer.confirmed;
    if (!news && received < source.bytes) return false;
    transfer.confirmed = received;
    transfer.sent = Math.max(transfer.sent, received);
    transfer.idleTicks = 0;
    if (received === source.bytes) this.#end(transfer);
    else this.#fillWindow(transfer);
    return news;
  }

  /** Ends what is not `wanted` any more. */
  tick(wanted: (to: MemberId, term: Term) => boolean): void {
    const { snapshotPieceRetryTicks, snapshotRetryTicks } = this.#limits;
    for (const transfer of this.#transfers.values()) {
      transfer.idleTicks += 1;
      const { to, term } = transfer.message;
      if (!wanted(to, term) || transfer.idleTicks >= snapshotRetryTicks) {
        this.#end(transfer);
      } else if (transfer.idleTicks % snapshotPieceRetryTicks === 0) {
        transfer.sent = transfer.confirmed;
        this.#fillWindow(transfer);
      }
    }
  }

  stop(): void {
    for (const transfer of this.#transfers.values()) this.#end(transfer);
  }

  #end(transfer: Transfer | undefined): void {
    if (transfer === undefined || transfer.isOver) return;
    transfer.isOver = true;
    this.#transfers.delete(transfer.message.to);
    // Otherwise whoever reads closes it.
    if (!transfer.isReading) this.#close(transfer);
  }

  #close({ source, message }: Transfer): void {
    source.close().catch((error: unknown) => this.#onDamage(message.to, error));
  }

  #fillWindow(transfer: Transfer): void {
    if (transfer.isReading) return;
    transfer.isReading = true;
    this.#readAndSend(transfer).then(
      () => {
        transfer.isReading = false;
        if (transfer.isOver) this.#close(transfer);
      },
      (error: unknown) => {
        transfer.isReading = false;
        if (transfer.isOver) return this.#close(transfer);
        this.#end(transfer);
        this.#onDamage(transfer.message.to, error);
      },
    );
  }

  async #readAndSend(transfer: Transfer): Promise<void> {
    const { snapshotPieceBytes, snapshotPiecesInFlightMax } = this.#limits;
    const { source } = transfer;
    const { from, to, term } = transfer.message;
    const { meta, bytes: total, checksum } = source;
    // A snapshot without any content is one empty piece.
    const isDue = () =>
      transfer.sent < Math.min(total, transfer.confirmed + snapshotPieceBytes * snapshotPiecesInFlightMax) ||
      (total === 0 && transfer.sent === 0);
    while (!transfer.isOver && isDue()) {
      const offset = transfer.sent;
      const data = await source.read(offset, snapshotPieceBytes);
      // While it was being read, an answer may have moved the window.
      if (transfer.isOver || transfer.sent !== offset) continue;
      transfer.sent += Math.max(data.length, total === 0 ? 1 : 0);
      const dataChecksum = crc32c(data);
      this.#send({
        type: 'snapshot-piece',
        from,
        to,
        term,
        meta,
        offset,
        total,
        checksum,
        data,
        dataChecksum,
      });
    }
  }
}

interface Incoming {
  readonly info: SnapshotInfo;
  /** Of the leader that sent the last piece. */
  from: MemberId;
  to: MemberId;
  term: Term;
  sink: SnapshotSink | null;
  /** Handed to the sink, and written by it. */
  received: number;
  written: number;
  isWhole: boolean;
}

/** A snapshot that is there whole, and not durable yet. */
export interface WholeSnapshot {
  readonly from: MemberId;
  readonly to: MemberId;
  readonly term: Term;
  readonly info: SnapshotInfo;
  readonly sink: SnapshotSink;
}

export interface ReceiverOptions {
  readonly store: SnapshotStore;
  readonly limits: PieceLimits;
  send(letter: Letter): void;
  damaged(reason: string): void;
  /** Told once, after the last piece. */
  arrived(whole: WholeSnapshot): void;
  fail(error: unknown): void;
}

/** A follower's side: the snapshot that is coming in, the newest only. */
export class PieceReceiver {
  readonly #options: ReceiverOptions;
  #incoming: Incoming | null = null;
  /** One piece after the other. */
  #lane: Promise<void> = Promise.resolve();

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  add(piece: SnapshotPiece): void {
    const incoming = this.#incomingFor(piece);
    if (incoming === null) return;
    incoming.from = piece.from;
    incoming.to = piece.to;
    incoming.term = piece.term;
    const { offset, data } = piece;
    const { snapshotPieceBytes, snapshotPiecesInFlightMax } = this.#options.limits;
    const isNext = offset === incoming.received && (data.length > 0 || piece.total === 0);
    const isTooMuch = incoming.received - incoming.written > snapshotPieceBytes * snapshotPiecesInFlightMax;
    if (!isNext || isTooMuch || incoming.isWhole || crc32c(data) !== piece.dataChecksum) {
      return this.#answer(incoming);
    }
    incoming.received += data.length;
    this.#inLane(() => this.#write(incoming, data));
  }

  /** What has come in so far is not wanted any more. */
  forget(): void {
    const incoming = this.#incoming;
    this.#incoming = null;
    if (incoming === null) return;
    this.#inLane(async () => {
      const { sink } = incoming;
      incoming.sink = null;
      await sink?.abort();
    });
  }

  /** Null: it belongs to an older snapshot than the one that is coming in. */
  #incomingFor(piece: SnapshotPiece): Incoming | null {
    const { meta, total, checksum, from, to, term } = piece;
    const current = this.#incoming;
    if (current !== null) {
      const { info } = current;
      const isSame =
        info.meta.index === meta.index &&
        info.meta.term === meta.term &&
        info.bytes === total &&
        info.checksum === checksum;
      if (isSame) return current;
      // Late letters of an earlier leader, or of an earlier snapshot of this one.
      if (term < current.term || (term === current.term && meta.index < info.meta.index)) return null;
      this.forget();
    }
    const info = { meta, bytes: total, checksum };
    const incoming: Incoming = { info, from, to, term, sink: null, received: 0, written: 0, isWhole: false };
    this.#incoming = incoming;
    return incoming;
  }

  async #write(incoming: Incoming, data: Uint8Array): Promise<void> {
    if (this.#incoming !== incoming) return;
    incoming.sink ??= await this.#options.store.create(incoming.info.meta);
    await incoming.sink.write(data);
    incoming.written += data.length;
    if (this.#incoming !== incoming) return;
    if (incoming.written === incoming.info.bytes) return this.#finish(incoming);
    this.#answer(incoming);
  }

  async #finish(incoming: Incoming): Promise<void> {
    const { info, from, to, term } = incoming;
    const sink = incoming.sink!;
    if (sink.checksum !== info.checksum) {
      // Pieces of two contents: begin anew.
      this.#incoming = null;
      this.#options.damaged(`snapshot ${info.meta.index} from ${from} does not match its checksum`);
      return sink.abort();
    }
    incoming.isWhole = true;
    this.#answer(incoming);
    incoming.sink = null;
    this.#incoming = null;
    this.#options.arrived({ from, to, term, info, sink });
  }

  #answer({ info, from, to, term, written }: Incoming): void {
    this.#options.send({
      type: 'snapshot-piece-accepted',
      from: to,
      to: from,
      term,
      index: info.meta.index,
      checksum: info.checksum,
      received: written,
    });
  }

  #inLane(work: () => Promise<void>): void {
    this.#lane = this.#lane.then(work).catch((error: unknown) => this.#options.fail(error));
  }
}
