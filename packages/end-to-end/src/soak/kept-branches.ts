import { connect } from '../testing/commit-load.ts';
import type { RunningNeon } from '../testing/running-neon.ts';

/** Branches that were made while nothing was written, and what their tables held then. */
export interface KeptBranches {
  make(name: string, connectionString: string): Promise<void>;
  /** Starts an endpoint on each of them. What is wrong, in words. */
  check(): Promise<string[]>;
}

const CONTENTS = `SELECT md5(string_agg(c::text, ',' ORDER BY client, number)) AS commits,
  (SELECT md5(string_agg(n::text, ',' ORDER BY client)) FROM counters AS n) AS counters FROM commits AS c`;

export function keepBranches(running: RunningNeon): KeptBranches {
  const kept = new Map<string, string>();
  return {
    async make(name, connectionString) {
      const contents = await contentsOf(connectionString);
      await running.command(['branch', 'create', name]);
      kept.set(name, contents);
    },
    async check() {
      const faults: string[] = [];
      for (const [name, wanted] of kept) {
        await running.command(['endpoint', 'create', name, `--branch=${name}`]);
        await running.command(['endpoint', 'start', name]);
        const { endpoints } = await running.status();
        const endpoint = endpoints.find((each) => each.name === name);
        const found = await contentsOf(endpoint?.connectionString ?? '');
        await running.command(['endpoint', 'stop', name]);
        if (found !== wanted) faults.push(`branch ${name} has ${found}, not ${wanted}`);
      }
      return faults;
    },
  };
}

async function contentsOf(connectionString: string): Promise<string> {
  const session = await connect(connectionString);
  try {
    const { rows } = await session.query(CONTENTS);
    return JSON.stringify(rows);
  } finally {
    await session.end();
  }
}
