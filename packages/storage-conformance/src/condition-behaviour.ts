import { isStorageError, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect } from 'vitest';
import { bytesOf, expectStorageError, type KitTest, listKeys, readObject, streamOf } from './kit-helpers.ts';

const RACERS = 8;

/** Conditional puts and server-side copy: as the capability says, or refused. */
export function describeConditions(kitTest: KitTest): void {
  describe('conditions', () => {
    kitTest('put-if-absent stores only where nothing is, or is refused as unsupported', async (storage) => {
      const put = () => storage.put('key', bytesOf('1'), { ifNoneMatch: '*' });
      if (!storage.capability.conditionalPut.ifNoneMatch) return expectUnsupported(storage, put());
      await put();
      await expectStorageError(
        storage.put('key', bytesOf('2'), { ifNoneMatch: '*' }),
        'STORAGE_ALREADY_EXISTS',
      );
      await expectStorageError(
        storage.put('key', streamOf(bytesOf('3')), { ifNoneMatch: '*' }),
        'STORAGE_ALREADY_EXISTS',
      );
      expect(await readObject(storage, 'key')).toEqual(bytesOf('1'));
      await storage.delete(['key']);
      await storage.put('key', streamOf(bytesOf('4')), { ifNoneMatch: '*' });
      expect(await readObject(storage, 'key')).toEqual(bytesOf('4'));
    });

    kitTest(`of ${RACERS} racing puts-if-absent exactly one wins`, async (storage) => {
      if (!storage.capability.conditionalPut.ifNoneMatch) {
        return expectUnsupported(storage, storage.put('race', bytesOf('x'), { ifNoneMatch: '*' }));
      }
      for (let round = 0; round < 5; round++) {
        const key = `race/${round}`;
        const won = await race((racer) => storage.put(key, bytesOf(racer), { ifNoneMatch: '*' }));
        expect(won.winners).toHaveLength(1);
        expect(new Set(won.losses)).toEqual(new Set(['STORAGE_ALREADY_EXISTS']));
        expect(await readObject(storage, key)).toEqual(bytesOf(won.winners[0] ?? ''));
      }
    });

    kitTest('put-if-unchanged replaces only that version, or is refused as unsupported', async (storage) => {
      const first = await storage.put('key', bytesOf('1'));
      const replace = (text: string, ifMatch: string) => storage.put('key', bytesOf(text), { ifMatch });
      if (!storage.capability.conditionalPut.ifMatch) return expectUnsupported(storage, replace('2', 'x'));
      const etag = first.etag ?? 'missing';
      const second = await replace('2', etag);
      await expectStorageError(replace('3', etag), 'STORAGE_PRECONDITION_FAILED');
      expect(await readObject(storage, 'key')).toEqual(bytesOf('2'));
      await replace('4', (await storage.head('key')).etag ?? 'missing');
      await expectStorageError(replace('5', second.etag ?? 'missing'), 'STORAGE_PRECONDITION_FAILED');
      await expectStorageError(
        storage.put('absent', bytesOf('6'), { ifMatch: etag }),
        'STORAGE_PRECONDITION_FAILED',
      );
      expect(await listKeys(storage)).toEqual(['key']);
    });

    kitTest(
      `of ${RACERS} racing replacements of one version exactly one wins, round after round`,
      async (storage) => {
        const { etag: firstEtag } = await storage.put('key', bytesOf('start'));
        if (!storage.capability.conditionalPut.ifMatch) {
          return expectUnsupported(storage, storage.put('key', bytesOf('x'), { ifMatch: firstEtag ?? 'x' }));
        }
        let etag = firstEtag ?? 'missing';
        for (let round = 0; round < 5; round++) {
          // Other bytes every round: where the etag is a hash of them, equal bytes are the same version.
          const bodyOf = (racer: string) => bytesOf(`${racer}, round ${round}`);
          const won = await race((racer) => storage.put('key', bodyOf(racer), { ifMatch: etag }));
          expect(won.winners).toHaveLength(1);
          expect(new Set(won.losses)).toEqual(new Set(['STORAGE_PRECONDITION_FAILED']));
          expect(await readObject(storage, 'key')).toEqual(bodyOf(won.winners[0] ?? ''));
          etag = (await storage.head('key')).etag ?? 'missing';
        }
      },
    );

    kitTest('both conditions at once are STORAGE_INVALID_OPTION', async (storage) => {
      await expectStorageError(
        storage.put('key', bytesOf('x'), { ifNoneMatch: '*', ifMatch: 'etag' }),
        'STORAGE_INVALID_OPTION',
      );
    });

    kitTest('copy makes an independent object, and is absent where it is not declared', async (storage) => {
      expect(storage.copy !== undefined).toBe(storage.capability.serverSideCopy);
      if (storage.copy === undefined) return;
      await storage.put('from', bytesOf('content'));
      const result = await storage.copy('from', 'to/there');
      expect(result.sizeBytes).toBe(7);
      await storage.put('from', bytesOf('changed'));
      expect(await readObject(storage, 'to/there')).toEqual(bytesOf('content'));
      await expectStorageError(storage.copy('missing', 'x'), 'STORAGE_NOT_FOUND');
    });
  });
}

async function race(
  attempt: (racer: string) => Promise<unknown>,
): Promise<{ readonly winners: readonly string[]; readonly losses: readonly string[] }> {
  const winners: string[] = [];
  const losses: string[] = [];
  const racers = Array.from({ length: RACERS }, (_, index) => `racer ${index}`);
  await Promise.all(
    racers.map(async (racer) => {
      try {
        await attempt(racer);
        winners.push(racer);
      } catch (error) {
        losses.push(isStorageError(error) ? error.code : String(error));
      }
    }),
  );
  return { winners, losses };
}

async function expectUnsupported(storage: Storage, work: Promise<unknown>): Promise<void> {
  await expectStorageError(work, 'STORAGE_UNSUPPORTED');
  expect(storage.url).not.toBe('');
}
