import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPqError } from './pq-error.ts';
import {
  decodeWalMessage,
  encodeStandbyStatus,
  encodeWalData,
  encodeWalKeepalive,
} from './replication/wal-messages.ts';
import { decodeDataRow, decodeRowDescription, encodeDataRow, encodeRowDescription } from './row-codec.ts';
import { decodeServerFields, encodeServerFields } from './server-fields.ts';
import { decodeStartupMessage, encodeStartupMessage, type StartupMessage } from './startup-message.ts';

/** Bodies as Postgres 15.18 sent them. */
const GOLDEN = {
  // SELECT 1 AS a, NULL::text AS b
  rowDescription:
    '0002' + '6100000000000000 000000170004ffffffff0000' + '6200000000000000 00000019ffffffffffff0000',
  dataRow: '0002' + '0000000131' + 'ffffffff',
  // SELECT nothing
  error:
    '534552524f5200564552524f5200433432373033004d636f6c756d6e20226e6f7468696e672220646f6573206e6f74206578697374005038004670617273' +
    '655f72656c6174696f6e2e63004c3336373500526572726f724d697373696e67436f6c756d6e0000',
} as const;

const golden = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const body = (message: StartupMessage) => encodeStartupMessage(message).subarray(4);

const SAMPLES: readonly {
  readonly name: string;
  readonly bytes: Buffer;
  readonly decode: (bytes: Buffer) => unknown;
}[] = [
  { name: 'RowDescription', bytes: golden(GOLDEN.rowDescription), decode: decodeRowDescription },
  { name: 'DataRow', bytes: golden(GOLDEN.dataRow), decode: (bytes) => decodeDataRow(bytes, 2) },
  { name: 'ErrorResponse', bytes: golden(GOLDEN.error), decode: decodeServerFields },
  {
    name: 'startup',
    bytes: body({
      kind: 'startup',
      minorVersion: 0,
      parameters: new Map([
        ['user', 'me'],
        ['database', 'x'],
      ]),
    }),
    decode: decodeStartupMessage,
  },
  {
    name: 'WAL data',
    bytes: encodeWalData({
      kind: 'data',
      startLsn: 0x1000000n,
      serverEndLsn: 0x2000000n,
      sendTime: new Date(0),
      data: Buffer.from('wal'),
    }),
    decode: decodeWalMessage,
  },
  {
    name: 'keepalive',
    bytes: encodeWalKeepalive({
      kind: 'keepalive',
      serverEndLsn: 7n,
      sendTime: new Date(0),
      replyRequested: true,
    }),
    decode: decodeWalMessage,
  },
];

test('a row set of a real server decodes, and ours has the same bytes', () => {
  const columns = decodeRowDescription(golden(GOLDEN.rowDescription));
  expect(columns).toEqual([
    { name: 'a', typeOid: 23 },
    { name: 'b', typeOid: 25 },
  ]);
  const row = decodeDataRow(golden(GOLDEN.dataRow), 2);
  expect(row).toEqual([Buffer.from('1'), null]);
  expect(encodeDataRow(['1', null])).toEqual(golden(GOLDEN.dataRow));
  expect(decodeRowDescription(encodeRowDescription(columns))).toEqual(columns);
});

test('an error of a real server decodes with its fields, and ours decodes to the same', () => {
  const fields = decodeServerFields(golden(GOLDEN.error));
  expect(fields).toEqual({
    severity: 'ERROR',
    code: '42703',
    message: 'column "nothing" does not exist',
    position: '8',
    routine: 'errorMissingColumn',
  });
  expect(decodeServerFields(encodeServerFields(fields))).toEqual(fields);
});

test('startup messages have the bytes of the protocol', () => {
  expect(encodeStartupMessage({ kind: 'ssl-request' }).toString('hex')).toBe('0000000804d2162f');
  const cancel: StartupMessage = { kind: 'cancel-request', processId: 9, secretKey: Buffer.from('key!') };
  expect(encodeStartupMessage(cancel).toString('hex')).toBe('0000001004d2162e000000096b657921');
  expect(decodeStartupMessage(body(cancel))).toEqual(cancel);
  const startup: StartupMessage = { kind: 'startup', minorVersion: 0, parameters: new Map([['user', 'é']]) };
  expect(encodeStartupMessage(startup).toString('hex')).toBe('000000110003000075736572' + '00c3a90000');
  expect(decodeStartupMessage(body(startup))).toEqual(startup);
});

test('WAL messages keep positions, times and bytes', () => {
  const data = {
    kind: 'data',
    startLsn: 0xffff_ffff_ffff_0000n,
    serverEndLsn: 0xffff_ffff_ffff_ffffn,
    sendTime: new Date('2026-11-24T12:00:00.123Z'),
    data: Buffer.from([1, 2, 3]),
  } as const;
  expect(decodeWalMessage(encodeWalData(data))).toEqual(data);
  const status = encodeStandbyStatus(
    { written: 0x16b3748n, flushed: 0x16b3740n, applied: 1n },
    new Date('2000-01-01T00:00:01Z'),
  );
  expect(status.toString('hex')).toBe('7200000000016b374800000000016b3740000000000000000100000000000f424000');
});

describe.each(SAMPLES)('$name', ({ bytes, decode }) => {
  const failsOnlyByType = (input: Buffer) => {
    try {
      decode(input);
    } catch (error) {
      if (!isPqError(error)) throw error;
      return true;
    }
    return false;
  };

  test('cut at any byte never reads past its end', () => {
    for (let length = 0; length < bytes.length; length++) {
      // In memory that goes on, so that a read past the end would be seen in the values.
      const cut = bytes.subarray(0, length);
      const failed = failsOnlyByType(cut);
      if (!failed) expect(decode(cut)).not.toEqual(decode(bytes));
    }
  });

  test('with any bits flipped gives a value or a typed error', () => {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      failsOnlyByType(flipped);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (input) => void failsOnlyByType(Buffer.from(input))),
    );
  });
});
