/**
 * Apache Kafka's Java clients at work: what java/src/tailrace/interop/Clients.java checks, each check
 * a test. With TAILRACE_TEST_PEER=kafka the same checks run against Apache Kafka.
 */

import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { ApiVersionsRequest, ApiVersionsResponse } from '../../protocol/messages/api-versions.ts';
import { startTestBroker } from '../clients/test-broker.ts';
import { runJava } from './java.ts';

interface Told {
  readonly name: string;
  readonly error?: string;
  /** Where the broker does not announce the API that the check needs. */
  readonly unserved?: string;
  readonly millis: number;
}

/** Least numbers of checks, so that a part that ends early is seen. */
const PARTS = { producers: 23, transactions: 9, groups: 10, admin: 24 } as const;
const only = process.env.TAILRACE_INTEROP_PART;

t.setTimeout(600_000);

const broker = await startTestBroker(t, {
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': '300',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.num.partitions': '4',
  'group.min.session.timeout.ms': '1000',
});

/** Keys of the APIs that the broker announces. */
async function announcedKeys(): Promise<number[]> {
  const connection = await WireConnection.open(broker.host, broker.port);
  const pair = [ApiVersionsRequest, ApiVersionsResponse] as const;
  const { apiKeys } = await connection.call(...pair, 0, {});
  connection.close();
  return apiKeys.map(({ apiKey }) => apiKey);
}

const keys = (await announcedKeys()).join(',');

for (const [part, least] of Object.entries(PARTS)) {
  if (only !== undefined && only !== part) continue;
  t.test(part, async (t) => {
    const { out, err } = await runJava('tailrace.interop.Clients', [broker.address, keys, part]);
    const lines = out.trimEnd().split('\n');
    for (const line of lines) {
      const { name, error, unserved, millis } = JSON.parse(line) as Told;
      if (unserved !== undefined) t.comment(`${unserved} is not served: ${name}`);
      else if (error === undefined) t.pass(`${name} (${millis} ms)`);
      else t.fail(name, { error, log: err.slice(-2000) });
    }
    t.ok(lines.length >= least, `${lines.length} checks`);
  });
}
