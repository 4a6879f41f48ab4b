const BUCKET_SCHEMES = ['s3', 'gs', 'azure', 'swift'];
const PORT_MAX = 65_535;

/** What is wrong with the part between `//` and the path, or undefined. Never repeats a password. */
export function authorityFault(scheme: string, authority: string): string | undefined {
  const at = authority.lastIndexOf('@');
  const user = at < 0 ? undefined : authority.slice(0, at);
  const host = authority.slice(at + 1);
  if (user?.includes(':')) {
    return 'it holds a password; secrets come from the environment (see the settings of the backend)';
  }
  if (/[\s\\\0]/.test(authority)) return 'its host or bucket holds a space, a backslash or a NUL';
  if (BUCKET_SCHEMES.includes(scheme)) return bucketFault(scheme, user, host);
  if (host === '') return 'it names no host';
  return scheme === 'ssh' ? hostFault(user, host) : undefined;
}

function bucketFault(scheme: string, user: string | undefined, bucket: string): string | undefined {
  if (user !== undefined) return 'a bucket takes no user; credentials come from the environment';
  if (bucket === '') return `it names no bucket; write ${scheme}://BUCKET/PREFIX`;
  if (/:\d+$/.test(bucket)) {
    return `"${bucket}" looks like a server; write ${scheme}://BUCKET/PREFIX?endpoint=http://${bucket}`;
  }
  if (!/^[\w.-]+$/.test(bucket)) return `"${bucket}" is not a name of a bucket`;
  return undefined;
}

function hostFault(user: string | undefined, hostAndPort: string): string | undefined {
  if (user === '') return 'its user name is empty';
  const match = /^(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(\d+))?$/.exec(hostAndPort);
  if (match === null) return `"${hostAndPort}" is not HOST or HOST:PORT`;
  const port = match[2] === undefined ? 22 : Number(match[2]);
  return port < 1 || port > PORT_MAX ? `port ${match[2]} is not between 1 and ${PORT_MAX}` : undefined;
}
