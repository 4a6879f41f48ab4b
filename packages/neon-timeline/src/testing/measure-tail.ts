/*
 * How fast a reader ingests the raw tail of a sample:
 * node --conditions=@neon-snapshot/source packages/neon-timeline/src/testing/measure-tail.ts
 */
import { loadTimelineWithTail } from '../timeline/load-timeline-with-tail.ts';
import { sampleFacts, sampleWithTail } from './sample-with-tail.ts';

const ROUNDS = 3;

for (const name of ['pg16', 'pg17']) {
  await using storage = await sampleWithTail(name);
  const { place } = sampleFacts(name);
  for (let round = 0; round < ROUNDS; round++) {
    const begin = process.cpuUsage();
    const { tail } = await loadTimelineWithTail(storage, {
      tenant: place.tenantId,
      timelineId: place.timelineId,
    });
    const { user, system } = process.cpuUsage(begin);
    const seconds = (user + system) / 1e6;
    const bytes = Number((tail?.end ?? 0n) - (tail?.start ?? 0n));
    console.log(
      `${name}: ${(bytes / 1e6).toFixed(1)} MB of WAL in ${seconds.toFixed(2)} s of CPU, ${(bytes / 1e6 / seconds).toFixed(0)} MB/s`,
    );
  }
}
