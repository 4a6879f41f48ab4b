/**
 * Type bytes of the frontend/backend protocol 3.0, named as in protocol.h of Postgres 17 (without `PqMsg_`).
 * A typed message is: type u8, length u32 (big-endian, itself included, the type byte not), body.
 * The messages before authentication have no type byte: length u32, code u32, body.
 */
export const FRONTEND = {
  Bind: 0x42,
  Close: 0x43,
  Describe: 0x44,
  Execute: 0x45,
  Flush: 0x48,
  Parse: 0x50,
  Query: 0x51,
  Sync: 0x53,
  Terminate: 0x58,
  CopyFail: 0x66,
  PasswordMessage: 0x70,
} as const;

export const BACKEND = {
  ParseComplete: 0x31,
  BindComplete: 0x32,
  CloseComplete: 0x33,
  NotificationResponse: 0x41,
  CommandComplete: 0x43,
  DataRow: 0x44,
  ErrorResponse: 0x45,
  CopyInResponse: 0x47,
  CopyOutResponse: 0x48,
  EmptyQueryResponse: 0x49,
  BackendKeyData: 0x4b,
  NoticeResponse: 0x4e,
  AuthenticationRequest: 0x52,
  ParameterStatus: 0x53,
  RowDescription: 0x54,
  CopyBothResponse: 0x57,
  ReadyForQuery: 0x5a,
  NoData: 0x6e,
  ParameterDescription: 0x74,
  NegotiateProtocolVersion: 0x76,
} as const;

/** The same in both directions. */
export const COPY = { Data: 0x64, Done: 0x63 } as const;

/** Codes in the place of a protocol version, pqcomm.h. */
export const STARTUP_CODE = {
  Protocol3: 196608,
  CancelRequest: 80877102,
  SslRequest: 80877103,
  GssEncRequest: 80877104,
} as const;

/** AuthenticationRequest codes, protocol.h (`AUTH_REQ_*`). */
export const AUTH_REQUEST = {
  Ok: 0,
  CleartextPassword: 3,
  Md5Password: 5,
  Sasl: 10,
  SaslContinue: 11,
  SaslFinal: 12,
} as const;
