/**
 * A schema registry that stores itself in topics of the broker: Apicurio Registry, asked through the
 * API that Confluent's has. What was registered is there after the registry was killed and the broker
 * was started again: the registry has nothing but its topic to know it from.
 */

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { startTestBroker } from '../clients/test-broker.ts';
import { freePort } from './free-port.ts';
import { JavaProcess } from './java.ts';

const LIMIT_MS = 120_000;
const CLASS_PATH = join('.dev', 'java', 'registry', 'apicurio-registry-app-3.0.9-runner.jar');
const MAIN_CLASS = 'io.quarkus.runner.GeneratedMain';

t.setTimeout(600_000);
const broker = await startTestBroker(t, { 'offsets.topic.num.partitions': '2' });

class Registry {
  readonly #java: JavaProcess;
  readonly #url: string;

  private constructor(port: number) {
    const settings = {
      'apicurio.storage.kind': 'kafkasql',
      'apicurio.kafkasql.bootstrap.servers': broker.address,
      'quarkus.http.host': '127.0.0.1',
      'quarkus.http.port': port,
      'quarkus.log.level': 'WARN',
    };
    const jvmOptions = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`);
    this.#java = new JavaProcess(MAIN_CLASS, [], { classPath: CLASS_PATH, jvmOptions });
    this.#url = `http://127.0.0.1:${port}/apis/ccompat/v7`;
  }

  /** Resolves when it has read so many subjects from its topic; it answers before that. */
  static async start(subjects: number): Promise<Registry> {
    const registry = new Registry(await freePort());
    const deadline = performance.now() + LIMIT_MS;
    while ((await registry.#subjects()) < subjects) {
      const { out, err, hasEnded } = registry.#java;
      if (hasEnded || performance.now() > deadline) {
        throw new Error(`the registry does not know them: ${err}${out.slice(-3000)}`);
      }
      await delay(100);
    }
    return registry;
  }

  /** How many it tells of; -1 while nobody listens, or it says that it is not ready. */
  async #subjects(): Promise<number> {
    try {
      const answer = await fetch(`${this.#url}/subjects`);
      return answer.ok ? ((await answer.json()) as string[]).length : -1;
    } catch (error) {
      if (error instanceof TypeError) return -1;
      throw error;
    }
  }

  async get<T>(path: string): Promise<T> {
    const answer = await fetch(this.#url + path);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  async post<T>(path: string, body: object): Promise<{ status: number; answer: T }> {
    const headers = { 'content-type': 'application/json' };
    const request = { method: 'POST', headers, body: JSON.stringify(body) };
    const answer = await fetch(this.#url + path, request);
    return { status: answer.status, answer: (await answer.json()) as T };
  }

  async kill(): Promise<void> {
    this.#java.kill('SIGKILL');
    await this.#java.ended();
  }
}

interface Version {
  readonly id: number;
  readonly version: number;
  readonly schema: string;
}

/** A schema of an order; `fields` are added to its id. */
function orders(...fields: readonly object[]): { schema: string } {
  const all = [{ name: 'id', type: 'long' }, ...fields];
  return { schema: JSON.stringify({ type: 'record', name: 'Order', fields: all }) };
}

t.test('what was registered is there after a kill and a restart', async (t) => {
  const versions = '/subjects/orders-value/versions';
  const note = { name: 'note', type: 'string', default: '' };
  let registry = await Registry.start(0);
  t.teardown(() => registry.kill());
  const first = await registry.post<{ id: number }>(versions, orders());
  t.equal(first.status, 200);
  const second = await registry.post<{ id: number }>(versions, orders(note));
  t.not(second.answer.id, first.answer.id);
  for (let subject = 0; subject < 20; subject++) {
    await registry.post(`/subjects/subject-${subject}/versions`, orders(note));
  }
  const before = await registry.get<Version>(`${versions}/1`);
  t.match(before, { version: 1, id: first.answer.id, schema: orders().schema });

  await registry.kill();
  await broker.restart();
  registry = await Registry.start(21);
  t.equal((await registry.get<string[]>('/subjects')).length, 21);
  t.same(await registry.get(`${versions}/1`), before);
  const latest = await registry.get<Version>(`${versions}/latest`);
  t.match(latest, { version: 2, id: second.answer.id, schema: orders(note).schema });
  t.match(await registry.get(`/schemas/ids/${second.answer.id}`), orders(note), 'by its id');
  const again = await registry.post<{ id: number }>(versions, orders(note));
  t.equal(again.answer.id, second.answer.id, 'the same schema is the same id');
  const third = await registry.post<{ id: number }>(versions, orders({ ...note, name: 'more' }));
  t.ok(third.answer.id > second.answer.id, 'ids go on');
});
