import { request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  readonly bytes: Buffer;
  /** Of JSON. */
  readonly value: unknown;
}

export interface Call {
  readonly method?: string;
  readonly path: string;
  readonly body?: string | object;
  readonly headers?: Readonly<Record<string, string>>;
}

export function callTo(
  { port }: { readonly port: number },
  { method = 'GET', path, body, headers = {} }: Call,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(chunks);
        const type = response.headers['content-type'];
        const value: unknown = type === 'application/json' ? JSON.parse(bytes.toString()) : undefined;
        resolve({ status: response.statusCode ?? 0, type, bytes, value });
      });
    });
    sent.on('error', reject);
    sent.end(typeof body === 'object' ? JSON.stringify(body) : body);
  });
}
