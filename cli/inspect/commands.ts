/**
 * The commands for operators: `segments`, `topics`, `journal`. Only their names and options are
 * here; what they do is loaded when one of them is asked for, so that `serve` starts as fast as ever.
 */

import { Command, InvalidArgumentError } from 'commander';

const DEFAULT_DATA = './data';

const WHICH =
  '\nA log is named by its topic (all its partitions), as <topic>-<partition>, or by the path of its' +
  '\nfolder. Without a name all logs of the data folder are meant. Nothing is changed.';

function whole(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It is a whole number from 0 on.');
  return Number(text);
}

function oneMore(text: string, before: readonly string[]): string[] {
  return [...before, text];
}

/** A command with the options that all of these have. */
function command(name: string, about: string): Command {
  return new Command(name)
    .description(about)
    .option('--data <folder>', 'the data folder of the broker', DEFAULT_DATA)
    .option('--json', 'for programs: one JSON object a line');
}

export function addInspectCommands(program: Command): void {
  for (const one of [segmentsCommand(), topicsCommand(), journalCommand()]) {
    program.addCommand(one);
    for (const under of [one, ...one.commands]) under.copyInheritedSettings(program);
  }
}

/** A command that only holds others, which end as the program does. */
function group(name: string, about: string, commands: readonly Command[]): Command {
  const parent = new Command(name).description(about);
  for (const one of commands) parent.addCommand(one);
  return parent;
}

function segmentsCommand(): Command {
  const list = command('list', 'Segments with sizes, offsets, times and the state of the indexes.')
    .argument('[log...]', 'logs; all when none is given')
    .addHelpText('after', WHICH)
    .action(async (logs, options) => (await import('./index.ts')).listSegments(logs, options));
  const show = command('show', 'All that is known of a log and, from its batches, of each segment.')
    .argument('<log...>', 'logs')
    .addHelpText('after', WHICH)
    .action(async (logs, options) => (await import('./index.ts')).showLogs(logs, options));
  const dump = command('dump', 'Prints batches and records, keys and values in readable form.')
    .argument('<log...>', 'logs')
    .option('--from <offset>', 'first offset', whole)
    .option('--to <offset>', 'offset at which to end', whole)
    .option('--limit <count>', 'most records, or batches', whole)
    .option('--batches', 'headers of batches instead of records')
    .option('--value-bytes <count>', 'bytes shown of a key or value; 0 shows all', whole, 200)
    .addHelpText('after', WHICH)
    .action(async (logs, options) => (await import('./index.ts')).dumpLogs(logs, options));
  const verify = command('verify', 'Checks every checksum and all files against each other.')
    .argument('[log...]', 'logs; all, and the journal, when none is given')
    .option('--all', 'go on after the first damage')
    .addHelpText('after', `${WHICH}\nEnds with 1 when there is damage.`)
    .action(async (logs, options) => (await import('./index.ts')).verifyLogs(logs, options));
  const compact = command('compact', 'Cleans compacted logs now; keeps what is replaced.')
    .argument('<log...>', 'logs, by name')
    .option('--backup <folder>', 'where the files that are replaced are kept (in the data folder)')
    .option('--config <file>', 'configuration of the broker, where it is stopped')
    .option('--set <name=value>', 'one configuration; may be given several times', oneMore, [])
    .addHelpText(
      'after',
      '\nA broker that runs does it itself. Of one that was stopped, cleanly, the folder is opened' +
        '\nfor that time. Files that would be replaced are linked into the backup folder first.',
    )
    .action(async (logs, options) => (await import('./index.ts')).compactLogs(logs, options));
  const all = [list, show, dump, verify, compact];
  return group('segments', 'Looks at the files of logs, and cleans them.', all);
}

function topicsCommand(): Command {
  const list = command('list', 'Topics with partitions, sizes and offsets.').action(
    async (options) => (await import('./index.ts')).listTopics(options),
  );
  const describe = command('describe', 'Configurations and partitions of topics.')
    .argument('<topic...>', 'topics')
    .action(async (topics, options) =>
      (await import('./index.ts')).describeTopics(topics, options),
    );
  return group('topics', 'Looks at topics in a data folder.', [list, describe]);
}

function journalCommand(): Command {
  const list = command('list', 'Files of the journal.').action(async (options) =>
    (await import('./index.ts')).listJournal(options),
  );
  const show = command('show', 'What the journal holds, group by group.').action(async (options) =>
    (await import('./index.ts')).showJournal(options),
  );
  const dump = command('dump', 'Prints the records in the journal.')
    .option('--limit <count>', 'most records, or batches', whole)
    .option('--batches', 'headers of batches instead of records')
    .option('--value-bytes <count>', 'bytes shown of a key or value; 0 shows all', whole, 200)
    .action(async (options) => (await import('./index.ts')).dumpJournal(options));
  const verify = command('verify', 'Checks groups, checksums and offsets.')
    .option('--all', 'go on after the first damage')
    .action(async (options) => (await import('./index.ts')).verifyJournal(options));
  return group('journal', 'Looks at the journal.', [list, show, dump, verify]);
}
