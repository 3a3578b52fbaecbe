/** docs/metrics.md, made of the table of metrics; a test fails when the page is stale. */

import { METRICS, type MetricName } from '../broker/metrics.ts';
import { PREFIX } from './exposition.ts';
import { exporterMetrics } from './kafka-exporter.ts';

const HEAD = `# Metrics

This page is written by \`npm run docs\` from the table in \`broker/metrics.ts\`. Change that.

They are served in Prometheus' text format at \`/metrics\` of each address in \`http.listeners\`,
beside \`/healthz\` (200 as long as the process answers) and \`/readyz\` (200 when clients can be
served, else 503 with the reason). Nothing of this is loaded while \`http.listeners\` is empty.

Labels come from closed sets, so the number of series does not depend on what clients send, but for
the series of topics, partitions and groups; \`/metrics?partitions=false\` leaves those out.
`;

const EXPORTER_HEAD = `
## Under kafka_exporter's names

For boards that were made for kafka_exporter.

| Name | Meaning |
| --- | --- |
`;

function ownRows(): string {
  return (Object.keys(METRICS) as MetricName[])
    .toSorted()
    .map((name) => {
      const { type, unit, labels, doc, ...rest } = METRICS[name];
      const also = 'also' in rest ? ` Also \`${rest.also}\`.` : '';
      const labelText =
        labels.length === 0 ? '–' : labels.map((label) => `\`${label}\``).join(', ');
      return `| \`${PREFIX}${name}\` | ${type} | ${unit} | ${labelText} | ${doc}${also} |\n`;
    })
    .join('');
}

function exporterRows(): string {
  return exporterMetrics.map(({ name, help }) => `| \`${name}\` | ${help} |\n`).join('');
}

/** The whole page. */
export function metricsPage(): string {
  const columns = '\n| Name | Type | Unit | Labels | Meaning |\n| --- | --- | --- | --- | --- |\n';
  return `${HEAD}${columns}${ownRows()}${EXPORTER_HEAD}${exporterRows()}`;
}
