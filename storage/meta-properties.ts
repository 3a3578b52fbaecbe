/**
 * The small files that say whose a folder is: `meta.properties` of the data folder (Java's
 * properties, version 1) and `partition.metadata` of a partition's.
 *
 * ```
 * #                                     version: 0
 * cluster.id=Some-Cluster-Id            topic_id: mGLLJmJwQOKoNTpZuFXtMg
 * directory.id=rYhC2ZAOQ5uiQbpAWJC6xw
 * node.id=1
 * version=1
 * ```
 * Source: Kafka's MetaProperties, PartitionMetadata.
 */

import path from 'node:path';
import { replaceFile } from './checkpoint.ts';
import type { Disk, Env } from './env.ts';
import { DataFolderUnusable } from './errors.ts';

export const META_PROPERTIES_FILE = 'meta.properties';
export const PARTITION_METADATA_FILE = 'partition.metadata';

export interface MetaProperties {
  readonly clusterId: string;
  readonly nodeId: number;
  /** Names this data folder among those of its broker; undefined where Kafka wrote none. */
  readonly directoryId: string | undefined;
}

/** Contents of `partition.metadata`; the topic id as Kafka writes it, in 22 characters. */
export function formatPartitionMetadata(topicId: string): Buffer {
  return Buffer.from(`version: 0\ntopic_id: ${topicId}`);
}

/** The topic id in a `partition.metadata`; undefined where it is no such file. */
export function parsePartitionMetadata(contents: Buffer): string | undefined {
  const fields = new Map<string, string>();
  for (const line of contents.toString().split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  const topicId = fields.get('topic_id');
  if (fields.get('version') !== '0' || topicId === undefined) return undefined;
  return /^[A-Za-z0-9_-]{22}$/.test(topicId) ? topicId : undefined;
}

/** Text of a value in a properties file. */
function escapeProperty(value: string): string {
  return value.replace(/[\\:=#!]/g, '\\$&').replace(/^ /, '\\ ');
}

/** Keys and values of Java's properties, as far as Kafka uses them: one a line, escapes undone. */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>();
  for (const raw of text.split(/\r\n|\n|\r/)) {
    const line = raw.trimStart();
    if (line === '' || line.startsWith('#') || line.startsWith('!')) continue;
    const match = /^((?:\\.|[^\\=: \t])*)[ \t]*[=: \t]?[ \t]*(.*)$/.exec(line);
    if (match === null) continue;
    const undo = (part: string) => part.replace(/\\(.)/g, '$1');
    properties.set(undo(match[1]!), undo(match[2]!));
  }
  return properties;
}

/** Writes `meta.properties` durably. */
export function writeMetaProperties(
  disk: Disk,
  dataDir: string,
  meta: MetaProperties,
): Promise<void> {
  const lines = ['#'];
  lines.push(`cluster.id=${escapeProperty(meta.clusterId)}`);
  if (meta.directoryId !== undefined)
    lines.push(`directory.id=${escapeProperty(meta.directoryId)}`);
  lines.push(`node.id=${meta.nodeId}`, 'version=1');
  const contents = Buffer.from(`${lines.join('\n')}\n`);
  return replaceFile(disk, path.join(dataDir, META_PROPERTIES_FILE), contents);
}

/** Reads `meta.properties`; undefined when there is none. Throws DataFolderUnusable. */
export async function readMetaProperties(
  disk: Disk,
  dataDir: string,
): Promise<MetaProperties | undefined> {
  const file = path.join(dataDir, META_PROPERTIES_FILE);
  const contents = await disk.readFile(file);
  if (contents === undefined) return undefined;
  const properties = parseProperties(contents.toString());
  const version = properties.get('version') ?? '0';
  if (version !== '0' && version !== '1') {
    throw new DataFolderUnusable(`${file}: version ${version} is not known`);
  }
  const clusterId = properties.get('cluster.id');
  const nodeId = properties.get(version === '0' ? 'broker.id' : 'node.id');
  if (clusterId === undefined || nodeId === undefined || !/^\d+$/.test(nodeId)) {
    throw new DataFolderUnusable(`${file}: cluster.id or node.id is missing`);
  }
  return { clusterId, nodeId: Number(nodeId), directoryId: properties.get('directory.id') };
}

/** A random id as Kafka writes it: 16 bytes in 22 characters, not beginning with a dash. */
export function randomUuid(env: Env): string {
  for (;;) {
    const text = env.random.bytes(16).toString('base64url');
    if (!text.startsWith('-')) return text;
  }
}

/**
 * The identity of a data folder, made when there is none. Throws DataFolderUnusable when it belongs
 * to another node.
 */
export async function loadMetaProperties(
  env: Env,
  dataDir: string,
  nodeId: number,
): Promise<MetaProperties> {
  const known = await readMetaProperties(env.disk, dataDir);
  if (known === undefined) {
    const made = { clusterId: randomUuid(env), nodeId, directoryId: randomUuid(env) };
    await writeMetaProperties(env.disk, dataDir, made);
    return made;
  }
  if (known.nodeId !== nodeId) {
    throw new DataFolderUnusable(
      `${path.join(dataDir, META_PROPERTIES_FILE)} is of node ${known.nodeId}, not of ${nodeId}`,
    );
  }
  return known;
}
