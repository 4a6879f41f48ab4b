import { expect, test } from 'vitest';
import { ScramExchange } from './scram.ts';

const NONCE = 'rOprNGfwEbeRWgbNEkqO';
const exchange = () =>
  new ScramExchange({ password: 'pencil', channelBinding: undefined, couldBind: false, nonce: NONCE });

test('an exchange ends with the proof of the server, and only with the right one', async () => {
  const scram = exchange();
  expect(scram.clientFirst()).toBe(`n,,n=,r=${NONCE}`);
  const final = await scram.clientFinal(`r=${NONCE}srv,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`);
  expect(final).toMatch(/^c=biws,r=rOprNGfwEbeRWgbNEkqOsrv,p=[A-Za-z0-9+/]{43}=$/);
  for (const bad of ['', 'v=', 'e=other-error', `v=${Buffer.alloc(32).toString('base64')}`])
    expect(() => scram.verifyServerFinal(bad)).toThrow(
      expect.objectContaining({ code: 'PQ_AUTHENTICATION' }),
    );
});

test.each([
  ['a nonce that is not ours', 'r=other,s=AAAA,i=4096', 'PQ_PROTOCOL'],
  ['a nonce without its own part', `r=${NONCE},s=AAAA,i=4096`, 'PQ_PROTOCOL'],
  ['no rounds', `r=${NONCE}x,s=AAAA,i=0`, 'PQ_PROTOCOL'],
  ['rounds to keep us busy', `r=${NONCE}x,s=AAAA,i=999999999`, 'PQ_UNSUPPORTED'],
  ['garbage', 'hello', 'PQ_PROTOCOL'],
])('a challenge with %s is refused', async (_name, challenge, code) => {
  await expect(exchange().clientFinal(challenge)).rejects.toMatchObject({ code });
});
