/**
 * Log levels as configurations of the resource "broker logger" (KIP-412): this broker has one logger,
 * `root`. What is set holds until the process ends, as in Kafka.
 * Source: Kafka's RuntimeLoggerManager, LoggingController.
 */

import { type ErrorName, ProtocolError } from '../protocol/errors.ts';
import type { Logger } from '../storage/env.ts';
import { type ConfigEntry, ConfigSource } from './config/describe.ts';

export const ROOT_LOGGER = 'root';
const LEVELS: readonly string[] = ['DEBUG', 'ERROR', 'FATAL', 'INFO', 'TRACE', 'WARN'];
/** What a log without levels of its own is told to be at. */
const OFF = 'OFF';
/** Kafka gives no type for a level. */
const UNKNOWN_TYPE = 0;
const SILENT = 'silent';

/** One change of a logger; the operations are those of IncrementalAlterConfigs. */
export interface LoggerChange {
  readonly name: string;
  readonly operation: number;
  readonly value: string | null;
}

const OPERATION_NAMES = ['SET', 'DELETE', 'APPEND', 'SUBTRACT'];

function fail(error: ErrorName, message: string): never {
  throw new ProtocolError(error, message);
}

export function describeLoggers(log: Logger, names: ReadonlySet<string> | null): ConfigEntry[] {
  if (names !== null && !names.has(ROOT_LOGGER)) return [];
  const level = log.level ?? SILENT;
  const root = {
    name: ROOT_LOGGER,
    value: level === SILENT ? OFF : level.toUpperCase(),
    readOnly: false,
    configSource: ConfigSource.brokerLogger,
    isSensitive: false,
    synonyms: [],
    configType: UNKNOWN_TYPE,
    documentation: null,
  };
  return [root];
}

/** Throws ProtocolError where a change cannot be made. */
export function checkLoggerChanges(changes: readonly LoggerChange[]): void {
  for (const { name, operation, value } of changes) {
    const operationName = OPERATION_NAMES[operation];
    if (operationName !== 'SET' && operationName !== 'DELETE') {
      const what = operationName ?? `Unknown operation type ${operation}`;
      const word = operationName === undefined ? 'is' : 'operation is';
      fail('INVALID_REQUEST', `${what} ${word} not allowed for the BROKER_LOGGER resource`);
    }
    if (name !== ROOT_LOGGER) fail('INVALID_CONFIG', `Logger ${name} does not exist!`);
    if (operationName === 'DELETE') {
      fail('INVALID_REQUEST', 'Removing the log level of the root logger is not allowed');
    }
    if (value !== null && LEVELS.includes(value)) continue;
    fail(
      'INVALID_CONFIG',
      `Cannot set the log level of ${name} to ${value} as it is not a supported log level. ` +
        `Valid log levels are ${LEVELS.join(', ')}`,
    );
  }
}

/** Puts checked changes in force. */
export function applyLoggerChanges(log: Logger, changes: readonly LoggerChange[]): void {
  for (const { name, value } of changes) {
    log.warn({ logger: name, before: log.level, level: value }, 'the log level is changed');
    log.level = (value as string).toLowerCase();
  }
}
