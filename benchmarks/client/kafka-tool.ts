/** Apache Kafka's command line tools, run by their classes as Kafka's own scripts run them. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';

/** Where test/interop/install.sh puts the jars. */
const LIBS = join('.dev', 'kafka-tools', 'libs', '*');
/** As kafka-run-class.sh has it for tools, with room for the producer's buffers. */
const JVM_OPTIONS = ['-Xmx512m', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20'];

/** What a tool prints; throws when it ends with anything but 0. */
export async function runKafkaTool(name: string, words: readonly string[]): Promise<string> {
  const args = [...JVM_OPTIONS, '-cp', LIBS, `org.apache.kafka.tools.${name}`, ...words];
  const child = spawn('java', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const out: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => errors.push(bytes));
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  process.off('exit', kill);
  const said = Buffer.concat(out).toString();
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${Buffer.concat(errors)}${said}`);
  return said;
}
