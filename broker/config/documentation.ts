/** docs/configuration.md, made of the tables of options; a test fails when the page is stale. */

import { brokerOption, type OptionName } from './broker-options.ts';
import { cleanerOptions } from './cleaner-options.ts';
import { httpOptions } from './http-options.ts';
import { storageOptions, topicDefaultOptions } from './log-options.ts';
import { networkOptions, requestOptions } from './network-options.ts';
import { formatValue, type Option, rangeText } from './option.ts';
import { topicOption } from './topic-config.ts';
import { type TopicOptionName, topicOptions } from './topic-options.ts';
import { transactionOptions } from './transaction-options.ts';

const HEAD = `# Configuration

This page is written by \`npm run docs\` from the tables in \`broker/config/\`. Change those.

Names, types, defaults and bounds are Apache Kafka 4.4's wherever Kafka has the option; what is
ours alone, or has another default here, says so. A value comes from, the strongest first:

1. what AlterConfigs set for this broker, then what it set for all brokers (dynamic options only);
2. the command line, \`tailrace serve --set name=value\`, or the options of \`Broker.start\`;
3. the environment, with the names of Apache Kafka's container image: \`KAFKA_\` before the name
   in capital letters, \`_\` for \`.\`, \`__\` for \`_\`, \`___\` for \`-\`:
   \`KAFKA_LOG_RETENTION_MS\` is \`log.retention.ms\`; \`KAFKA_CFG_\` is taken for \`KAFKA_\`;
4. a file in the form of Kafka's \`server.properties\`, \`tailrace serve --config FILE\`;
5. the default.

A value that an option does not take stops the start. A name of Kafka's that has no meaning here is
named in a warning and left out, so that an existing file can be used. A name that nobody knows is
an error on the command line and a warning in a file or in the environment.

9223372036854775807 stands for "never" or "no limit". "Changes nothing" means that the value is
checked, kept and shown, so that tools work, and has no effect for the reason given.
`;

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function defaultOf(option: Option): string {
  const text = formatValue(option, option.default);
  if (text === null) return '–';
  return text === '' ? 'empty' : `\`${text}\``;
}

function meaningOf(option: Option): string {
  const parts: string[] = [];
  if (option.own) parts.push('*Ours.*');
  parts.push(option.doc);
  if (option.kafkaDefault !== undefined) {
    parts.push(`Kafka’s default is \`${option.kafkaDefault}\`.`);
  }
  if (option.inert !== undefined) parts.push(`Changes nothing: ${option.inert}.`);
  return parts.join(' ');
}

function brokerTable(names: readonly OptionName[]): string {
  const rows = names.toSorted().map((name) => {
    const option = brokerOption(name);
    const dynamic = option.dynamic === 'read-only' ? 'no' : option.dynamic;
    return row([
      `\`${name}\``,
      option.kind,
      defaultOf(option),
      rangeText(option),
      dynamic,
      meaningOf(option),
    ]);
  });
  return [
    '| name | type | default | takes | dynamic | meaning |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function topicTable(): string {
  const rows = (Object.keys(topicOptions) as TopicOptionName[]).toSorted().map((name) => {
    const option = topicOption(name);
    const counterparts = option.counterparts.map((counterpart) => `\`${counterpart.name}\``);
    return row([
      `\`${name}\``,
      option.kind,
      defaultOf(option),
      rangeText(option),
      counterparts.join(', ') || '–',
      meaningOf(option),
    ]);
  });
  return [
    '| name | type | default | takes | broker option | meaning |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function row(cells: readonly string[]): string {
  return `| ${cells.map(cell).join(' | ')} |`;
}

function namesOf(table: object): OptionName[] {
  return Object.keys(table) as OptionName[];
}

/** The whole page. */
export function configurationPage(): string {
  return [
    HEAD,
    '## Listeners, connections, memory\n',
    `${brokerTable(namesOf(networkOptions))}\n`,
    '## HTTP, slices, locations\n',
    `${brokerTable(namesOf(httpOptions))}\n`,
    '## Requests, groups, producers, metadata\n',
    `${brokerTable(namesOf(requestOptions))}\n`,
    '## Transactions\n',
    `${brokerTable(namesOf(transactionOptions))}\n`,
    '## Data folder and write path\n',
    `${brokerTable(namesOf(storageOptions))}\n`,
    '## The log cleaner\n',
    `${brokerTable(namesOf(cleanerOptions))}\n`,
    '## Defaults of topics\n',
    'What holds for every topic that has no value of its own.\n',
    `${brokerTable(namesOf(topicDefaultOptions))}\n`,
    '## Topics\n',
    'Set when a topic is created, or later by AlterConfigs and IncrementalAlterConfigs. A topic',
    'without a value of its own takes that of the broker option, the first of them that is set.\n',
    `${topicTable()}\n`,
  ].join('\n');
}
