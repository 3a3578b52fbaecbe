/**
 * Where static values come from: a server.properties file, the environment, the command line and
 * the embedding program. Precedence: flag > environment > file > default.
 *
 * Environment names are those of Apache Kafka's container image: KAFKA_ before the name in capital
 * letters, `_` for `.`, `__` for `_`, `___` for `-`. KAFKA_CFG_ is taken for KAFKA_ too.
 * The file's grammar is java.util.Properties'.
 */

/** One setting, with where it was made for messages. */
export interface Setting {
  readonly name: string;
  readonly value: string;
  /** `command line`, `environment variable KAFKA_X`, `server.properties line 3`. */
  readonly origin: string;
  readonly kind: SourceKind;
}

export type SourceKind = 'flag' | 'environment' | 'file';

/** Variables of the container image and of Kafka's scripts that are no configurations. */
const NOT_CONFIGURATIONS = new Set([
  'KAFKA_VERSION',
  'KAFKA_HEAP_OPTS',
  'KAFKA_LOG4J_OPTS',
  'KAFKA_OPTS',
  'KAFKA_JMX_OPTS',
  'KAFKA_JMX_PORT',
  'KAFKA_JMX_HOSTNAME',
  'KAFKA_JVM_PERFORMANCE_OPTS',
  'KAFKA_GC_LOG_OPTS',
  'KAFKA_LOG4J_ROOT_LOGLEVEL',
  'KAFKA_LOG4J_LOGGERS',
  'KAFKA_TOOLS_LOG4J_LOGLEVEL',
  'KAFKA_HOME',
  'KAFKA_DEBUG',
  'KAFKA_CLUSTER_ID',
]);

/** Settings out of an environment, in the order of the variables' names. */
export function settingsOfEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Setting[] {
  const settings: Setting[] = [];
  for (const variable of Object.keys(environment).sort()) {
    const value = environment[variable];
    if (value === undefined || NOT_CONFIGURATIONS.has(variable)) continue;
    const match = /^KAFKA_(?:CFG_)?(.+)$/.exec(variable);
    if (match === null) continue;
    const name = optionNameOf(match[1] ?? '');
    settings.push({ name, value, origin: `environment variable ${variable}`, kind: 'environment' });
  }
  return settings;
}

function optionNameOf(variable: string): string {
  return variable
    .toLowerCase()
    .replace(/_/g, '.')
    .replace(/\.\.\./g, '-')
    .replace(/\.\./g, '_');
}

/** Settings out of `name=value` texts of a command line. Throws Error on a text without `=`. */
export function settingsOfFlags(flags: readonly string[]): Setting[] {
  return flags.map((flag) => {
    const at = flag.indexOf('=');
    if (at <= 0) throw new Error(`--set takes name=value, not ${flag}`);
    const name = flag.slice(0, at).trim();
    return { name, value: flag.slice(at + 1), origin: 'command line', kind: 'flag' };
  });
}

/** Settings that an embedding program hands over. */
export function settingsOfProgram(values: Readonly<Record<string, string>>): Setting[] {
  return Object.entries(values).map(([name, value]) => ({
    name,
    value,
    origin: 'the options of Broker.start',
    kind: 'flag',
  }));
}

/** Settings out of a file's text; of a name that stands twice the later counts, as in Java. */
export function settingsOfProperties(text: string, fileName: string): Setting[] {
  const settings = new Map<string, Setting>();
  const lines = text.split(/\r\n|\r|\n/);
  for (let index = 0; index < lines.length; index++) {
    const lineNumber = index + 1;
    let line = (lines[index] ?? '').trimStart();
    if (line === '' || line.startsWith('#') || line.startsWith('!')) continue;
    while (endsInContinuation(line) && index + 1 < lines.length) {
      index++;
      line = line.slice(0, -1) + (lines[index] ?? '').trimStart();
    }
    const { name, value } = splitProperty(line);
    const origin = `${fileName} line ${lineNumber}`;
    settings.set(name, { name, value: value.trim(), origin, kind: 'file' });
  }
  return [...settings.values()];
}

/** An odd number of backslashes at the end joins the next line. */
function endsInContinuation(line: string): boolean {
  const backslashes = /\\*$/.exec(line)?.[0].length ?? 0;
  return backslashes % 2 === 1;
}

function splitProperty(line: string): { name: string; value: string } {
  let at = 0;
  while (at < line.length && !/[\s=:]/.test(line[at] ?? '')) at += line[at] === '\\' ? 2 : 1;
  const separator = /^[ \t\f]*[=:]?[ \t\f]*/.exec(line.slice(at))?.[0].length ?? 0;
  return { name: unescapeText(line.slice(0, at)), value: unescapeText(line.slice(at + separator)) };
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

function unescapeText(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|([\s\S])|$)/g, (_match, code, character) => {
    if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16));
    return character === undefined ? '' : (ESCAPES[character] ?? character);
  });
}
