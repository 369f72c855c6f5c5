/**
 * What the tabs of a browser want, as streams.
 *
 * Place: in the shared worker, in the tab that leads, or in each tab by itself (`link` decides); between `live` and `stream`. Invariants: tabs
 * with the same token share a stream; a tab that left, or died, wants nothing; who comes later is told at once what is known.
 */

import { Stream, keyOf } from './stream.js';

/** @typedef {import('./stream.js').Group} Group */
/** @typedef {import('./stream.js').LiveEvent} LiveEvent */
/**
 * All that a tab wants, each time it changes. `locked`: it holds the lock of its name while it lives. A group with another `watch` than before
 * is to be told anew.
 * @typedef {{tab: string, token: string, locked: boolean, groups: (Group & {watch: number})[]}} Wish
 */
/** @typedef {{token: string, groups: Map<string, Group & {watch: number}>, told: Map<string, number>, send: (event: LiveEvent) => void}} Tab */

const STREAMS_MAX = 4; // of the six connections that HTTP/1.1 has to a host; questions need some, too

/** Changes with the messages between tabs and hub, so that pages of two releases share none. */
export const NAME = 'crm-stats:1';

/** The lock that a tab holds while it lives. @param {string} tab */
export function lockOf(tab) {
  return `${NAME}:tab:${tab}`;
}

export class Hub {
  #url;
  /** @type {Map<string, Tab>} */
  #tabs = new Map();
  /** @type {Map<string, Stream>} */
  #streams = new Map();
  /** @type {Set<string>} */
  #guarded = new Set();

  /** @param {string} url */
  constructor(url) {
    this.#url = url;
  }

  /** Hear what a tab wants. @param {Wish} wish @param {(event: LiveEvent) => void} send */
  hear({ tab, token, locked, groups }, send) {
    const before = this.#tabs.get(tab);
    /** @type {Map<string, number>} */
    const told = before?.token === token ? before.told : new Map();
    const wanted = new Map(groups.map((group) => [keyOf(group.operatorId, group.groupId), group]));
    if (wanted.size) this.#tabs.set(tab, { token, groups: wanted, told, send });
    else this.#tabs.delete(tab);
    if (locked && !this.#guarded.has(tab)) this.#guard(tab);
    this.#settle();
  }

  /** End all streams. */
  close() {
    this.#tabs.clear();
    this.#settle();
  }

  /** Forget the tab once its lock is free. @param {string} tab */
  async #guard(tab) {
    this.#guarded.add(tab);
    await navigator.locks.request(lockOf(tab), () => {});
    this.#guarded.delete(tab);
    this.#tabs.delete(tab);
    this.#settle();
  }

  /** Make streams what tabs want, and tell tabs what is known. */
  #settle() {
    /** @type {Map<string, Map<string, Group>>} */
    const wanted = new Map();
    for (const { token, groups } of this.#tabs.values()) wanted.set(token, new Map([...(wanted.get(token) ?? []), ...groups]));
    for (const [token, stream] of this.#streams) {
      if (wanted.has(token)) continue;
      stream.close();
      this.#streams.delete(token);
    }
    for (const [token, groups] of wanted) this.#stream(token)?.watch(groups);
    for (const tab of this.#tabs.values()) this.#tellKnown(tab);
  }

  /** The token's stream, if there may be another one. @param {string} token */
  #stream(token) {
    const found = this.#streams.get(token);
    if (found || this.#streams.size >= STREAMS_MAX) return found;
    const stream = new Stream(this.#url, token, (event) => this.#pass(token, event));
    this.#streams.set(token, stream);
    return stream;
  }

  /** @param {string} token @param {LiveEvent} event */
  #pass(token, event) {
    const key = keyOf(event.operatorId, event.groupId);
    for (const tab of this.#tabs.values()) if (tab.token === token && tab.told.has(key)) tab.send(event);
  }

  /** @param {Tab} tab */
  #tellKnown(tab) {
    for (const key of tab.told.keys()) if (!tab.groups.has(key)) tab.told.delete(key);
    for (const [key, { operatorId, groupId, watch }] of tab.groups) {
      if (tab.told.get(key) === watch) continue;
      const stream = this.#streams.get(tab.token);
      if (stream) tab.told.set(key, watch);
      const message = `over ${STREAMS_MAX} tokens in one browser`;
      const data = { status: 'error', message, stale: false, since: null };
      const crowded = { type: /** @type {const} */ ('state'), operatorId, groupId, data };
      for (const event of stream?.known(key) ?? [crowded]) tab.send(event);
    }
  }
}
