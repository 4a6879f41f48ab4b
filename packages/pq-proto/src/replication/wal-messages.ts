import { BodyReader } from '../body-reader.ts';
import { protocolError } from '../pq-error.ts';

/**
 * Payloads of CopyData on a physical replication connection, network order (walsender.c):
 * `w`: start LSN u64, server's end u64, send time i64, WAL bytes. `k`: server's end u64, time i64, reply now u8.
 * `r`: written, flushed, applied u64, time i64, reply now u8. Times are microseconds since 2000-01-01 UTC.
 */
const TAG = { WalData: 0x77, Keepalive: 0x6b, StandbyStatus: 0x72 } as const;

const WAL_DATA_HEADER_SIZE = 25;
const KEEPALIVE_SIZE = 18;
const STANDBY_STATUS_SIZE = 34;
const UNIX_TO_POSTGRES_EPOCH_MS = 946_684_800_000;

export interface WalData {
  readonly kind: 'data';
  /** LSN of the first byte of `data`. */
  readonly startLsn: bigint;
  /** End of WAL on the server when it sent this. */
  readonly serverEndLsn: bigint;
  readonly sendTime: Date;
  /** Up to 128 KiB; records are split at page boundaries only. A view of received memory, the caller's to keep. */
  readonly data: Uint8Array;
}

export interface WalKeepalive {
  readonly kind: 'keepalive';
  readonly serverEndLsn: bigint;
  readonly sendTime: Date;
  /** The stream has answered already, with the status last given. */
  readonly replyRequested: boolean;
}

/** LSNs are "last byte + 1". The slot's restart LSN follows `flushed`: give only what is durable. */
export interface StandbyStatus {
  readonly written: bigint;
  readonly flushed: bigint;
  /** Default: `flushed`. */
  readonly applied?: bigint;
  /** Ask the server for a keepalive. Default false. */
  readonly replyRequested?: boolean;
}

export function decodeWalMessage(body: Buffer): WalData | WalKeepalive {
  const reader = new BodyReader(body, 'replication');
  const tag = reader.uint8();
  if (tag === TAG.WalData) {
    const startLsn = reader.uint64();
    const serverEndLsn = reader.uint64();
    return { kind: 'data', startLsn, serverEndLsn, sendTime: readTime(reader), data: reader.rest() };
  }
  if (tag === TAG.Keepalive) {
    const message = {
      kind: 'keepalive',
      serverEndLsn: reader.uint64(),
      sendTime: readTime(reader),
      replyRequested: reader.uint8() !== 0,
    } as const;
    reader.end();
    return message;
  }
  throw protocolError(
    'stream WAL',
    `a replication message has type 0x${tag.toString(16)}; w and k are known`,
  );
}

export function encodeWalData(message: WalData): Buffer {
  const header = Buffer.alloc(WAL_DATA_HEADER_SIZE);
  header.writeUInt8(TAG.WalData, 0);
  header.writeBigUInt64BE(message.startLsn, 1);
  header.writeBigUInt64BE(message.serverEndLsn, 9);
  header.writeBigInt64BE(postgresTime(message.sendTime), 17);
  return Buffer.concat([header, message.data]);
}

export function encodeWalKeepalive(message: WalKeepalive): Buffer {
  const bytes = Buffer.alloc(KEEPALIVE_SIZE);
  bytes.writeUInt8(TAG.Keepalive, 0);
  bytes.writeBigUInt64BE(message.serverEndLsn, 1);
  bytes.writeBigInt64BE(postgresTime(message.sendTime), 9);
  bytes.writeUInt8(message.replyRequested ? 1 : 0, 17);
  return bytes;
}

export function encodeStandbyStatus(status: StandbyStatus, now: Date): Buffer {
  const bytes = Buffer.alloc(STANDBY_STATUS_SIZE);
  bytes.writeUInt8(TAG.StandbyStatus, 0);
  bytes.writeBigUInt64BE(status.written, 1);
  bytes.writeBigUInt64BE(status.flushed, 9);
  bytes.writeBigUInt64BE(status.applied ?? status.flushed, 17);
  bytes.writeBigInt64BE(postgresTime(now), 25);
  bytes.writeUInt8(status.replyRequested ? 1 : 0, 33);
  return bytes;
}

function readTime(reader: BodyReader): Date {
  return new Date(Number(reader.int64() / 1000n) + UNIX_TO_POSTGRES_EPOCH_MS);
}

function postgresTime(time: Date): bigint {
  return BigInt(time.getTime() - UNIX_TO_POSTGRES_EPOCH_MS) * 1000n;
}
