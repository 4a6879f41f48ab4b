/* How fast WAL of a sample is decoded: node --conditions=@neon-snapshot/source packages/neon-timeline/src/testing/measure-decoder.ts */
import { WalStreamDecoder } from '../wal/wal-stream-decoder.ts';
import { sampleWal } from './sample-wal.ts';

const ROUNDS = 8;
/** What a walsender puts into a message. */
const PIECE_SIZE = 128 * 1024;

for (const name of ['pg16', 'pg17']) {
  const stream = sampleWal(name);
  for (let round = 0; round < ROUNDS; round++) {
    const begin = performance.now();
    const decoder = new WalStreamDecoder(stream);
    let count = 0;
    for (let at = 0; at < stream.bytes.length; at += PIECE_SIZE) {
      decoder.push(stream.bytes.subarray(at, at + PIECE_SIZE));
      while (decoder.next() !== undefined) count++;
    }
    const seconds = (performance.now() - begin) / 1000;
    const speed = Math.round(stream.bytes.length / 1e6 / seconds);
    console.log(`${name}: ${count} records, ${speed} MB/s`);
  }
}
