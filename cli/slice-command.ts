/** The command `slice`: its name and options; what it does is loaded when it is asked for. */

import { Command, InvalidArgumentError, Option } from 'commander';

function whole(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It is a whole number from 0 on.');
  return Number(text);
}

export function addSliceCommand(program: Command): void {
  const slice = new Command('slice')
    .description('Prints the records of a topic from any point, and goes on like tail -f.')
    .argument('<topic[:partition]>', 'all partitions when none is named')
    .option('--bootstrap <host:port>', 'a broker', '127.0.0.1:9092')
    .option('--from <where>', 'earliest, latest, an offset, an ISO time, or a token', 'earliest')
    .option('--follow', 'go on in real time; else it ends where the topic ends now')
    .option('--limit <count>', 'end after so many records (batches with --raw)', whole)
    .addOption(
      new Option('--isolation <level>', 'whether what is not committed, or aborted, is shown')
        .choices(['read_committed', 'read_uncommitted'])
        .default('read_uncommitted'),
    )
    .addOption(
      new Option('--by <way...>', 'how persisted records are fetched; none: by the broker')
        .choices(['file', 'url', 'none'])
        .default(['file', 'url']),
    )
    .addOption(
      new Option('--reset <where>', 'where to go on when the next records were deleted')
        .choices(['error', 'earliest', 'latest'])
        .default('error'),
    )
    .option('--json', 'for programs: one JSON object a line')
    .option('--raw', 'the record batches as they are stored, and nothing else')
    .option('--value-bytes <count>', 'bytes shown of a key or value; 0 shows all', whole, 200)
    .option('--min-bytes <count>', 'the broker waits for so many bytes', whole)
    .option('--max-bytes <count>', 'most bytes of one answer', whole)
    .option('--timeout <ms>', 'the broker waits at most so long', whole)
    .option('--patience <ms>', 'how long no broker may answer before it fails', whole, 15_000)
    .option('--explain', 'say on stderr how each request was answered, and the token at the end')
    .action(async (topic, options) => (await import('./slice.ts')).slice(topic, options));
  program.addCommand(slice);
  slice.copyInheritedSettings(program);
}
