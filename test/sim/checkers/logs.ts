/**
 * Checkers of a whole partition, read at the end: acknowledged, order, and what readers were given
 * (offset, ghost, phantom).
 */

import { type History, nameOf, type Place, type Seen, type Sent, short } from '../history.ts';

/** All records of a partition from its start on, and when they were read. */
export interface WholeLog {
  readonly place: Place;
  readonly records: readonly Seen[];
  readonly start: number;
  /** Power cuts so far. */
  readonly powerCuts: number;
}

/** Every acknowledged record is in the log at its offset, and every record at one offset at most. */
export function checkAcknowledged(history: History, log: WholeLog): void {
  const name = nameOf(log.place);
  const offsets = new Map<Sent, number>();
  for (const { offset, value } of log.records) {
    const record = value === null ? undefined : history.find(value);
    if (record === undefined) continue;
    const earlier = offsets.get(record);
    if (earlier !== undefined) {
      const text = `${short(record.value)} is at ${earlier} and at ${offset}`;
      history.violate('acknowledged', name, text);
    }
    offsets.set(record, offset);
  }
  for (const record of history.sentTo(log.place)) {
    if (record.offset === undefined || record.offset < log.start) continue;
    const offset = offsets.get(record);
    const mayBeLost = record.acks === 1 && record.powerCuts !== log.powerCuts;
    if (offset === record.offset || (offset === undefined && mayBeLost)) continue;
    const told = `${short(record.value)}, acknowledged (acks=${record.acks}) at ${record.offset}`;
    const where = offset === undefined ? 'is gone' : `is at ${offset}`;
    history.violate('acknowledged', name, `${told}, ${where}`);
  }
}

/** Along the log each producer's records come in the order in which it sent them. */
export function checkOrder(history: History, log: WholeLog): void {
  const orders = new Map<string, number>();
  for (const { value } of log.records) {
    const record = value === null ? undefined : history.find(value);
    if (record === undefined) continue;
    const { producer, order } = record;
    const last = orders.get(producer) ?? -1;
    if (order < last) {
      history.violate('order', nameOf(log.place), `${short(record.value)} is behind ${last}`);
    }
    orders.set(producer, order);
  }
}

/** A record that is read was sent to this partition, byte for byte, and was not refused. */
export function checkPhantom(history: History, reader: string, place: Place, seen: Seen): void {
  const fault = faultOf(history, place, seen);
  if (fault === undefined) return;
  history.violate('phantom', reader, `read at ${nameOf(place)}@${seen.offset} ${fault}`);
}

function faultOf(history: History, place: Place, { value }: Seen): string | undefined {
  const record = value === null ? undefined : history.find(value);
  if (record === undefined || value === null) return 'what nobody sent';
  if (!record.value.equals(value)) return `${short(record.value)}, damaged`;
  const sentTo = nameOf(record.place);
  if (sentTo !== nameOf(place)) return `what was sent to ${sentTo}`;
  return record.isRefused ? `${short(record.value)}, which was refused` : undefined;
}

interface Sighting {
  readonly place: Place;
  readonly offset: number;
  readonly name: string;
  /** Power cuts when it was first seen. */
  readonly powerCuts: number;
}

/** What readers were given at each offset of each partition, from the first reader on. */
export class Sightings {
  readonly #history: History;
  readonly #byOffset = new Map<string, Map<number, Sighting>>();

  constructor(history: History) {
    this.#history = history;
  }

  /** A reader was given a record: it is the one that all were given at this offset. */
  seen(reader: string, place: Place, seen: Seen, powerCuts: number): void {
    const partition = nameOf(place);
    let sightings = this.#byOffset.get(partition);
    if (sightings === undefined) {
      sightings = new Map();
      this.#byOffset.set(partition, sightings);
    }
    const name = seen.value === null ? `a delete of ${seen.key}` : short(seen.value);
    const before = sightings.get(seen.offset);
    if (before === undefined) {
      sightings.set(seen.offset, { place, offset: seen.offset, name, powerCuts });
    } else if (before.name !== name) {
      const text = `${partition}@${seen.offset} was ${before.name}, is ${name}`;
      this.#history.violate('offset', reader, text);
    }
  }

  /** What was seen is in the log still, unless a power cut may have taken it. */
  checkGhosts({ place, records, start, powerCuts }: WholeLog): void {
    const names = new Map<number, string>();
    for (const { offset, value } of records) if (value !== null) names.set(offset, short(value));
    for (const sighting of this.#byOffset.get(nameOf(place))?.values() ?? []) {
      if (sighting.offset < start || names.get(sighting.offset) === sighting.name) continue;
      if (place.visibility === 'written' && sighting.powerCuts !== powerCuts) continue;
      const text = `${sighting.name} was read at ${sighting.offset} and is not there any more`;
      this.#history.violate('ghost', nameOf(place), text);
    }
  }
}
