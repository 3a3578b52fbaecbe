/**
 * The listeners that the options name. PLAINTEXT is the one protocol served; a listener of another
 * one is refused, but for the controllers' own, which are not opened.
 */

import { IllegalValue } from './option.ts';

export interface Listener {
  readonly name: string;
  /** Empty: all interfaces. */
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
}

const ADDRESS = /^([A-Za-z0-9_.-]+):\/\/(?:\[([0-9a-fA-F:.%]*)\]|([^:[\]/]*)):(\d{1,5})$/;

function parseListener(option: string, text: string): Listener {
  const match = ADDRESS.exec(text);
  const port = Number(match?.[4]);
  if (match === null || port > 65535) {
    throw new IllegalValue(option, text, 'it takes NAME://host:port');
  }
  return { name: (match[1] ?? '').toUpperCase(), host: match[2] ?? match[3] ?? '', port };
}

export interface ListenerOptions {
  readonly listeners: readonly string[];
  readonly advertised: readonly string[] | null;
  readonly protocolMap: string;
  readonly controllerNames: readonly string[];
  readonly http: readonly string[];
}

/** Where HTTP is served. */
export type HttpListener = Pick<Listener, 'host' | 'port'>;

export interface Listeners {
  readonly listeners: readonly Listener[];
  /** By listener name; undefined where the listener's own address is told. */
  readonly advertised: ReadonlyMap<string, Listener>;
  readonly http: readonly HttpListener[];
}

function parseHttpListener(text: string): HttpListener {
  const { name, host, port } = parseListener('http.listeners', text);
  if (name !== 'HTTP') throw new IllegalValue('http.listeners', text, 'it takes http://host:port');
  return { host, port };
}

function parseProtocolMap(text: string): Map<string, string> {
  const map = new Map<string, string>();
  for (const entry of text === '' ? [] : text.split(',')) {
    const [name, protocol, ...rest] = entry.split(':');
    if (name === undefined || protocol === undefined || rest.length > 0) {
      throw new IllegalValue('listener.security.protocol.map', entry, 'it takes NAME:PROTOCOL');
    }
    map.set(name.trim().toUpperCase(), protocol.trim().toUpperCase());
  }
  return map;
}

/** Reads the options together. Throws IllegalValue. */
export function parseListeners(options: ListenerOptions): Listeners {
  const protocols = parseProtocolMap(options.protocolMap);
  const controllers = new Set(options.controllerNames.map((name) => name.toUpperCase()));
  const listeners: Listener[] = [];
  const names = new Set<string>();
  for (const text of options.listeners) {
    const listener = parseListener('listeners', text);
    if (controllers.has(listener.name)) continue;
    if (names.has(listener.name)) {
      throw new IllegalValue('listeners', text, 'each listener needs a name of its own');
    }
    const protocol = protocols.get(listener.name) ?? listener.name;
    if (protocol !== 'PLAINTEXT') {
      const reason = `its protocol is ${protocol}, and this version serves PLAINTEXT only`;
      throw new IllegalValue('listeners', text, reason);
    }
    names.add(listener.name);
    listeners.push(listener);
  }
  if (listeners.length === 0) {
    throw new IllegalValue('listeners', options.listeners.join(','), 'no listener is left to open');
  }
  const advertised = new Map<string, Listener>();
  for (const text of options.advertised ?? []) {
    const listener = parseListener('advertised.listeners', text);
    if (controllers.has(listener.name)) continue;
    if (!names.has(listener.name)) {
      throw new IllegalValue('advertised.listeners', text, 'listeners has none of this name');
    }
    if (isUnspecified(listener.host)) {
      throw new IllegalValue('advertised.listeners', text, 'clients cannot connect to this host');
    }
    advertised.set(listener.name, listener);
  }
  return { listeners, advertised, http: options.http.map(parseHttpListener) };
}

/** Whether a host stands for all interfaces. */
export function isUnspecified(host: string): boolean {
  return host === '' || host === '0.0.0.0' || host === '::';
}
