import { createHash } from 'node:crypto';

/** Signature algorithm OIDs (DER content, hex) and the hash that `tls-server-end-point` takes for them, RFC 5929. */
const HASHES: Readonly<Record<string, string>> = {
  // md5 and sha1 with RSA, and sha1 with ECDSA, count as SHA-256.
  '2a864886f70d010104': 'sha256',
  '2a864886f70d010105': 'sha256',
  '2a8648ce3d0401': 'sha256',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
};

/** Channel binding data of a server's certificate (DER); undefined where its algorithm has no hash defined. */
export function tlsServerEndPoint(certificate: Buffer): Buffer | undefined {
  const hash = HASHES[signatureAlgorithm(certificate) ?? ''];
  return hash === undefined ? undefined : createHash(hash).update(certificate).digest();
}

/** Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID, … }, … } */
function signatureAlgorithm(certificate: Buffer): string | undefined {
  const outer = readElement(certificate, 0);
  const toBeSigned = outer && readElement(certificate, outer.start);
  const algorithm = toBeSigned && readElement(certificate, toBeSigned.end);
  const oid = algorithm && readElement(certificate, algorithm.start);
  return oid && certificate[algorithm.start] === 0x06
    ? certificate.toString('hex', oid.start, oid.end)
    : undefined;
}

/** Bounds of the content of a DER element with a length of up to three bytes. */
function readElement(
  bytes: Buffer,
  offset: number,
): { readonly start: number; readonly end: number } | undefined {
  const first = bytes[offset + 1];
  if (first === undefined) return undefined;
  const extra = first < 0x80 ? 0 : first & 0x7f;
  if (extra > 3 || offset + 2 + extra > bytes.length) return undefined;
  const length = extra === 0 ? first : bytes.readUIntBE(offset + 2, extra);
  const start = offset + 2 + extra;
  return start + length <= bytes.length ? { start, end: start + length } : undefined;
}
