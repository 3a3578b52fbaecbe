/** Broker options of HTTP: where it is served, slices, and locations at either door. */

import { bool, int, list, optionalText } from './option.ts';

/** What is wrong with a text as the beginning of URLs. */
function urlFault(text: string | null): string | undefined {
  if (text === null) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url?.search === '' && url.hash === '' && url.username === '';
  return isPlain && /^https?:$/.test(url.protocol)
    ? undefined
    : 'it takes http://host[:port][/path]';
}

export const httpOptions = {
  'http.listeners': list([], {
    own: true,
    doc:
      'Where health, metrics and slices are served over HTTP, as http://host:port separated by ' +
      'commas; nothing is served, nor loaded, when empty.',
  }),
  'http.advertised.url': optionalText({
    own: true,
    fault: urlFault,
    doc:
      'What located URLs of this broker begin with, as http://host:port; the first of ' +
      '`http.listeners` when not set, with the host that Kafka clients are told where that one ' +
      'listens on all interfaces.',
  }),
  'http.max.connections': int(1000, {
    own: true,
    min: 1,
    doc: 'How many connections each HTTP listener takes at a time; further ones are closed at once.',
  }),
  'slice.http.enable': bool(true, {
    own: true,
    doc: 'Whether slices and segments are served over HTTP, beside health and metrics.',
  }),
  'slice.location.enable': bool(true, {
    own: true,
    dynamic: 'cluster-wide',
    doc:
      'Whether clients that can do so are told where persisted records lie, to fetch them ' +
      'themselves, over HTTP and in a Fetch.',
  }),
  'slice.location.max.bytes': int(2 ** 30, {
    own: true,
    min: 1,
    max: 2 ** 30,
    dynamic: 'cluster-wide',
    doc:
      'How many bytes the locations of one answer name at most, whatever the client asks for; the ' +
      'first batch also when it is larger.',
  }),
  'slice.location.base.url': optionalText({
    own: true,
    fault: urlFault,
    doc:
      'What URLs of located files begin with where a static server hands them out: it serves the ' +
      'folder `located` of the data folder, in which each has a name. Without it the broker ' +
      'serves them itself.',
  }),
} as const;
